// The operator's page: puts connection, keys, pad, cameras and panels together.

import { $, age, el, flag, text } from "./dom.js";
import { Connection, Edges } from "./connection.js";
import { KeyCapture } from "./keys.js";
import { PadReader } from "./pad.js";
import { Cameras } from "./video.js";
import { chart_of, draw } from "./plots.js";
import { clear_notes, note, note_edge, toast } from "./log.js";
import { set_up_help } from "./help.js";
import * as sound from "./sound.js";
import { set_up_words } from "./words.js";
import { STANDING, show_advice, show_devices, show_metrics, show_pilot, show_reward, show_state, show_ways } from "./view.js";
import { Review } from "./review.js";

const BEAT_MS = 20;
const LONG_PRESS_MS = 500;
const HTTP_STOP_MS = 400;
const TITLES = { success: "Success", fail: "Fail", false_positive: "Not a success", reset: "Reset", pause: "Pause", resume: "Resume", estop: "STOP", clear: "Clear the stop", mode: "Change the mode", next: "Next stage" };

const page = { state: null, pilot: { name: "", you: false }, may_drive: true, welcome: null, metrics: null, plot: "learning", labels: new Map() };

// -- token and name -----------------------------------------------------------------------------------------------------

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("t");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname + location.search); // not in screenshots, not in bookmarks
  }
  return sessionStorage.getItem("token") ?? "";
}

const hello = () => ({ token: token(), role: "pilot", name: localStorage.getItem("name") ?? "" });

// -- connections --------------------------------------------------------------------------------------------------------

const connection = new Connection({
  path: "/ws",
  hello,
  onchange: () => connected(),
  handlers: {
    welcome: (message) => {
      page.welcome = message;
      page.may_drive = message.may_drive ?? message.role === "pilot";
      text($("run"), [message.experiment, message.task, message.folder].filter(Boolean).join(" · "));
      document.title = `${message.experiment || "robot_hil"} · console`;
      cameras.show(message.cameras ?? []);
      clear_notes(); // the console sends the log from its beginning
      show_pilot(page.pilot, page.may_drive);
    },
    state: (message) => {
      page.state = message;
      render();
    },
    pilot: (message) => {
      page.pilot = message;
      keys.seat(message.you);
      pad.seat(message.you);
      show_pilot(message, page.may_drive);
      render();
    },
    ack: (message) => edges.acknowledged(message),
    log: ({ entries }) => {
      entries.forEach(note);
      for (const { text: words } of entries) heard_of_label(words);
    },
    metrics: (message) => {
      page.metrics = message;
      show_metrics(message, page.welcome?.control_hz);
      show_last();
      show_advice(message.advice ?? []);
      plot();
    },
    refused: ({ reason }) => toast(reason, "refused"),
  },
});
const cameras = new Cameras($("cameras"), hello, () => connection.offset);
const edges = new Edges((message) => connection.send(message), edge_changed);

function connected() {
  const lost = !connection.ready;
  $("offline").hidden = !lost || performance.now() - connection.since < 400;
  text($("offline-reason"), connection.problem || "The robot is held if this page was driving it. Trying to reconnect…");
  if (!lost) return;
  if (!$("offline").hidden) show_state({ ...page.state, state: "OFFLINE", reason: "", message: "", driver: "", waiting: "" }, page);
  page.pilot = { name: "", you: false };
  keys.seat(false);
  pad.seat(false);
  show_pilot(page.pilot, false);
}

// -- edges --------------------------------------------------------------------------------------------------------------

function edge_changed(edge) {
  note_edge(edge);
  if (edge.state !== "pending") sound.play(edge.state === "ok" ? "ok" : "refused");
  if (edge.state === "ok" && edge.kind === "label") labelled(edge.message);
  if (edge.state === "ok") toast(`${edge.title} ✓`, "ok");
  if (edge.state === "refused") toast(`${edge.title}: ${edge.reason || "refused"}`, "refused");
  if (edge.state === "lost") {
    toast(edge.kind === "estop" ? "STOP NOT CONFIRMED: use the hardware stop now" : `${edge.title}: no answer, press again`, "refused");
  }
}

function press(kind, reason = "") {
  if (kind === "estop") return stop();
  if (!page.pilot.you) return toast("Take the pilot's seat first", "refused");
  edges.begin({ type: "event", kind, reason }, TITLES[kind]);
}

/** Disturb the world: also from a page that has not the pilot's seat. */
function disturb(kind) {
  edges.begin({ type: "event", kind: "disturb", reason: "", value: kind }, `Disturb: ${kind}`);
}

/** Stop by every way there is: over the socket, and by HTTP if that is not answered at once. */
function stop() {
  const edge = edges.begin({ type: "event", kind: "estop", reason: "" }, TITLES.estop);
  flag($("estop"), "fired", true);
  setTimeout(() => flag($("estop"), "fired", false), 1000);
  setTimeout(async () => {
    if (edge.state !== "pending") return;
    const headers = { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" };
    const answer = await fetch("/api/estop", { method: "POST", headers, body: JSON.stringify({ reason: "console" }) }).catch(() => null);
    const body = await answer?.json().catch(() => null);
    if (body?.ok && edge.state === "pending") edges.end(edge, "ok", "");
  }, connection.ready ? HTTP_STOP_MS : 0);
}

function pause_or_resume() {
  press([...STANDING, "ESTOP"].includes(page.state?.state) ? "resume" : "pause");
}

// -- keys, pad, long press ----------------------------------------------------------------------------------------------

let holding = 0;
let shown_keys = null;

function hold_space(down) {
  if (down === Boolean(holding)) return;
  clearTimeout(holding);
  holding = down ? setTimeout(stop, LONG_PRESS_MS) : 0;
  flag($("estop"), "holding", down);
}

const on_press = (act) => (down) => down && act();
const choose_speed = (code) => {
  keys.speed = code;
  keys.tell();
  for (const button of $("speed").children) button.setAttribute("aria-pressed", String(button.dataset.key === code));
};
const keys = new KeyCapture((message) => connection.send(message), {
  Enter: on_press(() => press("success")),
  NumpadEnter: on_press(() => press("success")),
  Backspace: on_press(() => press("fail")),
  KeyX: on_press(() => press("false_positive")),
  KeyN: on_press(() => press("reset")),
  KeyP: on_press(pause_or_resume),
  KeyM: on_press(() => press("mode")),
  KeyR: on_press(() => press("next")),
  Space: hold_space,
  ...Object.fromEntries([1, 2, 3, 4].map((n) => [`Digit${n}`, on_press(() => choose_speed(`Digit${n}`))])),
});
const pad = new PadReader((message) => connection.send(message), press);
keys.onchange = show_keys;
choose_speed("Digit4");
setInterval(() => {
  keys.beat();
  pad.beat(keys.armed);
}, BEAT_MS);

function show_keys() {
  const words = !page.pilot.you ? "watching" : keys.armed ? (pad.connected ? "keyboard and gamepad are live" : "keyboard is live") : "click here to drive";
  const down = [...keys.down].map((code) => code.replace(/^(Key|Digit|Arrow)/, ""));
  const now = [words, pad.note, ...down].join(" ");
  if (now === shown_keys) return;
  shown_keys = now;
  text($("drive-note"), pad.note || words);
  flag($("drive"), "live", keys.armed);
  $("drive-keys").replaceChildren(...down.map((key) => el("kbd", {}, key)));
}

// -- what the buttons do ------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("#actions [data-kind]")) {
  button.addEventListener("click", () => press(button.dataset.kind));
}
$("false-positive").addEventListener("click", () => press("false_positive"));
$("pause").addEventListener("click", pause_or_resume);
$("mode").addEventListener("click", () => press("mode"));
$("next").addEventListener("click", () => press("next"));
$("estop").addEventListener("click", stop);
for (const button of $("speed").children) button.addEventListener("click", () => choose_speed(button.dataset.key));
$("seat-button").addEventListener("click", () => {
  connection.send(page.pilot.you ? { type: "pilot", want: false } : { type: "pilot", want: true, take: Boolean(page.pilot.name) });
});
$("clear-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const reason = $("clear-reason").value.trim();
  if (!reason) return $("clear-reason").focus();
  press("clear", reason);
  $("clear-reason").value = "";
  $("clear-reason").blur();
});
for (const button of $("last-buttons").querySelectorAll("[data-verdict]")) {
  button.addEventListener("click", () => label_last(button.dataset.verdict));
}
for (const button of document.querySelectorAll("[data-plot]")) {
  button.addEventListener("click", () => {
    page.plot = button.dataset.plot;
    for (const other of document.querySelectorAll("[data-plot]")) other.setAttribute("aria-selected", String(other === button));
    plot();
  });
}
for (const dialog of document.querySelectorAll("dialog")) dialog.querySelector(".close").addEventListener("click", () => dialog.close());
addEventListener("keydown", (event) => {
  if (event.code === "Escape") for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
});
// A button that was clicked must not keep the focus: Enter and Space belong to the robot.
addEventListener("click", (event) => event.target.closest?.("button")?.blur());
const show_sound = () => text($("sound"), sound.is_on() ? "Sound on" : "Sound off");
$("sound").addEventListener("click", () => {
  sound.toggle();
  show_sound();
});
show_sound();
$("name").value = localStorage.getItem("name") ?? "";
$("name").addEventListener("change", () => {
  localStorage.setItem("name", $("name").value.trim());
  $("name").blur();
  connection.renew();
});

// -- labels -------------------------------------------------------------------------------------------------------------

function label(key, verdict) {
  edges.begin({ type: "label", ...key, verdict, reason: "" }, `Episode #${key.episode_id}: ${verdict === "none" ? "verdict taken back" : verdict}`);
}

function labelled({ actor_id, epoch, episode_id, verdict }) {
  page.labels.set(`${actor_id}/${epoch}/${episode_id}`, verdict);
  show_last();
  if ($("review").open) review.refresh();
}
const review = new Review(token, label);

function label_last(verdict) {
  const [actor_id, epoch, episode_id] = page.state?.last_episode ?? [];
  if (actor_id != null) label({ actor_id, epoch, episode_id }, verdict);
}

/** The robot logs a verdict that came after the end of an episode. */
function heard_of_label(words) {
  const [, episode, verdict] = words.match(/^episode (\d+) labelled (\w+)/) ?? [];
  const last = page.state?.last_episode;
  if (verdict && last && Number(episode) === last[2]) page.labels.set(last.join("/"), verdict);
  show_last();
}

/** Ask what is stored of the newest episode that is over: a late verdict changes it. */
async function look_up_last() {
  const last = page.state?.last_episode;
  if (!last || !page.welcome?.folder) return;
  const stored = await review.find(...last).catch(() => null);
  if (stored) page.labels.set(last.join("/"), stored.label);
  show_last();
}

/** Show the newest episode that is over: what it came to, and what people said of it. */
function show_last() {
  const last = page.state?.last_episode;
  if (last && last.join("/") !== page.last) {
    page.last = last.join("/");
    look_up_last();
  }
  $("last-buttons").hidden = !last || !page.pilot.you;
  if (!last) return;
  const history = page.metrics?.history;
  const i = history?.episode?.lastIndexOf(last[2]) ?? -1;
  const facts = i < 0 ? [] : [
    history.success[i] ? "success" : "no success",
    `${history.steps[i]} steps`,
    history.takeovers[i] ? `${history.takeovers[i]} takeover${history.takeovers[i] > 1 ? "s" : ""}` : "no takeover",
  ];
  const verdict = page.labels.get(last.join("/"));
  if (verdict && verdict !== "none") facts.push(`labelled ${verdict}`);
  text($("last-words"), [`#${last[2]}`, ...facts].join(" · "));
  flag($("last"), "good", i >= 0 && history.success[i]);
}

// -- drawing ------------------------------------------------------------------------------------------------------------

function render() {
  const state = page.state;
  if (!state) return;
  const before = document.body.dataset.state;
  show_state(state, page);
  if (document.body.dataset.state !== before) sound.play(document.body.dataset.state);
  show_devices(state.devices);
  show_reward(state.reward);
  show_ways(state, page.may_drive, disturb);
  show_last();
  const stopped = state.state === "ESTOP";
  $("clear").hidden = !(stopped && page.pilot.you);
  const standing = stopped || STANDING.includes(state.state);
  text($("pause-word"), standing ? "Resume" : "Pause");
  $("pause-icon").setAttribute("href", standing ? "#i-play" : "#i-pause");
  flag($("pause"), "call", STANDING.includes(state.state));
}

function plot() {
  draw($("plot"), chart_of(page.plot, page.metrics));
}
new ResizeObserver(plot).observe($("plot"));

setInterval(() => {
  connected_if_lost();
  show_keys();
  const rtt = connection.rtt == null ? "–" : age(connection.rtt / 1000);
  text($("link"), connection.ready ? `console ${rtt}` : "no console");
}, 250);

function connected_if_lost() {
  if (!connection.ready) connected();
}

set_up_words((words) => {
  if (page.pilot.you) edges.begin({ type: "words", text: words }, `“${words}”`);
  else toast("Take the pilot's seat first", "refused");
});
set_up_help();
show_pilot(page.pilot, false);
