// A person says what frames show. Everything goes through /api/reward/, with the token in a header.

import { $, el, flag, percent, text } from "/static/dom.js";

const POLL_MS = 400;
const page = { frames: [], at: 0, state: null, busy: false, shown: null };

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("t");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname + location.search); // not in screenshots, not in bookmarks
  }
  return sessionStorage.getItem("token") ?? "";
}

async function ask(path, body) {
  const headers = { Authorization: `Bearer ${token()}` };
  const asked = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`/api/reward/${path}`, asked).catch(() => null);
  if (!answer) throw new Error("the program that serves this page is gone: start it again");
  if (answer.status === 401) throw new Error("wrong or missing token: open the link that was printed");
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? answer.statusText);
  return answer;
}

function trouble(problem) {
  text($("about"), `This did not work: ${problem.message}.`.replace("..", "."));
  flag($("about"), "problem", true);
}

/** Do one thing at a time: keys that are pressed meanwhile count for nothing. */
async function alone(work) {
  if (page.busy) return;
  page.busy = true;
  document.body.dataset.busy = "yes";
  try {
    await work();
  } catch (problem) {
    trouble(problem);
  } finally {
    page.busy = false;
    document.body.dataset.busy = "";
  }
}

// -- what is to be seen -------------------------------------------------------------------------------------------------

const frame = () => page.frames[page.at];

async function load() {
  page.frames = (await (await ask("frames")).json()).frames;
  page.at = 0;
  await refresh();
  await show();
}

async function refresh() {
  page.state = await (await ask("state")).json();
  show_state();
}

const picture = async (one, camera) => createImageBitmap(await (await ask(`frames/${one.id}/${encodeURIComponent(camera)}.png`)).blob());

async function show() {
  const one = frame();
  flag($("about"), "problem", false);
  text($("place"), `${Math.min(page.at, page.frames.length)} of ${page.frames.length} looked at`);
  $("place-bar").style.width = `${(100 * page.at) / Math.max(1, page.frames.length)}%`;
  for (const id of ["skip", "discard"]) $(id).disabled = !one;
  for (const button of $("answers").children) button.disabled = !one;
  if (!one) return show_end();
  text($("question"), "What does this show?");
  const called = one.label == null ? "taken out" : `called ${page.state.classes[one.label]}`;
  text($("about"), `Frame ${one.id} · ${one.episode}, step ${one.step} · ${called} by ${one.source}`);
  show_thoughts(one);
  const images = await Promise.all(one.cameras.map((camera) => picture(one, camera)));
  if (one !== frame()) return;
  $("pictures").replaceChildren(...images.map((image, i) => {
    const canvas = el("canvas", { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    image.close();
    return el("figure", {}, canvas, el("figcaption", {}, one.cameras[i]));
  }));
  page.shown = one.id;
  document.body.dataset.shown = one.id;
}

function show_end() {
  page.shown = null;
  document.body.dataset.shown = "";
  $("pictures").replaceChildren();
  $("thoughts").replaceChildren();
  text($("doubt"), "");
  text($("question"), page.frames.length ? "All of them looked at." : "Nothing is left to look at.");
  text($("about"), page.state.labelled ? "Train again (R): the model then learns what you said, and doubts other frames." : "Nothing was labelled.");
}

function show_thoughts(one) {
  $("thoughts").replaceChildren(...page.state.classes.map((name, i) => {
    const share = el("i");
    share.style.width = `${100 * one.probabilities[i]}%`;
    return el("li", { class: i === one.label ? "named" : "" }, el("span", {}, name), el("b", {}, percent(one.probabilities[i])), el("div", { class: "bar" }, share));
  }));
  text($("doubt"), `Doubt ${percent(one.doubt)} · its members differ by ${percent(one.spread)}`);
}

function show_state() {
  const { classes, version, figures, labelled, training, doing, problem } = page.state;
  if ($("answers").children.length !== classes.length) {
    $("answers").replaceChildren(...classes.map((name, i) =>
      el("button", { type: "button", class: name === "success" ? "good" : "", onclick: () => say(i) }, name, el("kbd", {}, i + 1))));
  }
  text($("version"), `v${version}`);
  $("figures").replaceChildren(...figures.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", {}, value))));
  const words = `${labelled} label${labelled === 1 ? "" : "s"} since this version was trained.`;
  text($("learn-words"), training != null ? `${doing || "training"}…` : problem ? `It could not be trained: ${problem}` : words);
  $("training").hidden = training == null;
  $("training-bar").style.width = `${100 * (training ?? 0)}%`;
  $("retrain").disabled = training != null || !labelled;
}

// -- what can be done ---------------------------------------------------------------------------------------------------

const say = (label) => alone(async () => {
  const one = frame();
  if (!one || page.shown !== one.id) return; // not seen yet
  if (label != null && label >= page.state.classes.length) return;
  page.state = await (await ask("label", { frame: one.id, label, operator: $("name").value.trim() })).json();
  Object.assign(one, { label, source: "review" });
  page.at += 1;
  show_state();
  await show();
});

const skip = () => alone(async () => {
  if (!frame()) return;
  page.at += 1;
  await show();
});

const undo = () => alone(async () => {
  const { frame: id } = await (await ask("undo", {})).json();
  if (!id) return trouble(new Error("there is nothing to undo"));
  page.frames = (await (await ask("frames")).json()).frames;
  page.at = Math.max(0, page.frames.findIndex((one) => one.id === id));
  await refresh();
  await show();
});

const retrain = () => alone(async () => {
  if ($("retrain").disabled) return;
  const { version } = page.state;
  page.state = await (await ask("retrain", {})).json();
  for (show_state(); page.state.training != null; await refresh()) await new Promise((done) => setTimeout(done, POLL_MS));
  if (page.state.version !== version) await load();
});

const KEYS = { KeyS: skip, KeyU: undo, KeyD: () => say(null), KeyR: retrain };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.("input")) return;
  const digit = event.code.match(/^(?:Digit|Numpad)([1-9])$/);
  if (digit) say(Number(digit[1]) - 1);
  else KEYS[event.code]?.();
});
for (const [id, act] of [["skip", skip], ["undo", undo], ["discard", () => say(null)], ["retrain", retrain]]) $(id).addEventListener("click", act);
addEventListener("click", (event) => event.target.closest?.("button")?.blur()); // Enter and Space press nothing twice
$("name").value = localStorage.getItem("name") ?? "";
$("name").addEventListener("change", () => {
  localStorage.setItem("name", $("name").value.trim());
  $("name").blur();
});

alone(load);
