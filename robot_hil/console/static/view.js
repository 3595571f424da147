// What the screen says: who drives, why the robot stands, numbers, devices. Everything comes from the console's messages.

import { $, age, count, duration, el, flag, icon, percent, text } from "./dom.js";

/** Word, shape and what to do, for each state of the robot. */
const STATES = {
  POLICY: { word: "POLICY", icon: "i-policy", look: "policy", say: "The policy drives. Take over when it goes wrong." },
  ENGAGING: { word: "HUMAN", icon: "i-human", look: "human", say: "You are taking over." },
  HUMAN: { word: "HUMAN", icon: "i-human", look: "human", say: "A person drives." },
  RELEASING: { word: "HUMAN", icon: "i-human", look: "human", say: "Letting go: the policy drives again in a moment." },
  HOLD: { word: "HOLD", icon: "i-hold", look: "hold", say: "The robot stands. Let go of the device, then resume (P)." },
  LOST: { word: "LOST", icon: "i-lost", look: "lost", say: "The device was lost while it drove. Make it work, let go of it, then resume (P)." },
  ESTOP: { word: "STOPPED", icon: "i-estop", look: "estop", say: "Stopped. Clear the stop with a reason, then resume." },
  IDLE: { word: "IDLE", icon: "i-idle", look: "idle", say: "The robot waits." },
  OFFLINE: { word: "NO LINK", icon: "i-lost", look: "lost", say: "This page has no connection: what it shows is old. Look at the robot." },
  "NO ROBOT": { word: "NO ROBOT", icon: "i-none", look: "none", say: "No robot is running here. Start one with `robot-hil`." },
};
const SHOWN = { start: "Begin to drive: the episode starts with you.", resume: "Resume (P) to go on.", clear: "Clear the stop, then resume." };
const PHASES = { demo: "demonstration", train: "training", check: "check, person off", eval: "evaluation, person off" };
const DEVICE_ICONS = { keyboard: "i-keyboard", gamepad: "i-pad", webxr: "i-headset", spacemouse: "i-puck", leader: "i-arm" };
const STATUS_WORDS = { ok: "ready", estimated: "guessing", lost: "lost", disconnected: "not there" };
const MODES = { takeover: "Takeover", residual: "Residual", masked: "Masked", arm: "Arm", hand: "Hand" };
const MODE_HELP = {
  takeover: "you drive everything", residual: "your motion is added to the policy's", masked: "you drive what the device masks",
  arm: "you drive the arm, the policy the hand", hand: "you drive the hand, the policy the arm",
};
/** What the button for the next stage is called, and what to do now; see robot_hil/actor/recovery.py. */
const STAGES = {
  recovery: ["Recovered", "Bring the robot back to where it knows the way (B goes back), then press R"],
  correction: ["Corrected: end", "Show how to go on; R ends the episode"],
};
export const STANDING = ["HOLD", "LOST"];

/** Show the robot's state: the big word, the reason, what to do next. */
export function show_state(state, { pilot }) {
  const name = STATES[state.state] ? state.state : "IDLE";
  const look = STATES[name];
  const word = state.robot === false && name === "LOST" ? { ...look, say: "The robot's process fell silent. Look at the robot." } : look;
  document.body.dataset.state = word.look;
  text($("state-word"), word.word);
  $("state-icon").setAttribute("href", `#${word.icon}`);
  text($("state-driver"), driver_words(state, name));
  const [why, next] = lines(state, word, name === "HUMAN" && pilot.you);
  text($("reason"), why);
  text($("message"), next);
  flag($("say"), "urgent", ["HOLD", "LOST", "ESTOP", "OFFLINE"].includes(name));
  text($("episode"), state.episode_id >= 0 ? `#${state.episode_id}` : "–");
  text($("episode-clock"), state.episode_id >= 0 ? duration(state.episode_s) : "–");
  text($("phase"), PHASES[state.phase] ?? state.phase ?? "–");
  text($("step"), state.step ?? "–");
  text($("tool"), tool_words(state));
  show_policy(state);
}

/** Show in what ways the pilot may help here; nothing where there is no choice. */
export function show_ways({ mode, modes, stage, disturbances }, may_drive, disturb) {
  $("mode").hidden = (modes ?? []).length < 2;
  const [button, words] = STAGES[stage] ?? ["", ""];
  $("next").hidden = !button;
  text($("next-word"), button);
  text($("stage"), words);
  const kinds = may_drive ? disturbances ?? [] : [];
  $("disturb").hidden = !kinds.length;
  if ($("disturb").dataset.kinds !== kinds.join()) {
    $("disturb").dataset.kinds = kinds.join();
    $("disturb").replaceChildren(el("span", { class: "label" }, "disturb"), ...kinds.map((kind) => {
      const button = el("button", { type: "button", class: "small" }, kind);
      button.addEventListener("click", () => disturb(kind));
      return button;
    }));
  }
  $("ways").hidden = !stage && $("mode").hidden && !kinds.length;
  text($("mode-word"), MODES[mode] ?? mode ?? "Takeover");
  $("mode").title = `${MODE_HELP[mode] ?? ""}; press for another way, which counts from the next takeover on`;
}

/** Return who moves what, where that is not one of them alone. */
function shared_words({ axes }) {
  const owners = Object.entries(axes ?? {});
  const words = { human: "you", policy: "policy", blended: "both", hold: "nobody" };
  if (owners.every(([, owner]) => owner === owners[0][1])) return owners[0]?.[1] === "blended" ? "added to the policy" : "";
  const groups = [...new Set(owners.map(([, owner]) => owner))];
  return groups.map((group) => `${words[group] ?? group}: ${owners.filter(([, owner]) => owner === group).map(([axis]) => axis).join(" ")}`).join(" · ");
}

/** Return the two lines beside the word: why it is so, and what to do next. */
function lines(state, word, you_drive) {
  const todo = SHOWN[state.waiting] ?? (you_drive ? "You drive. Let go to give the robot back." : word.say);
  const first = state.reason || todo;
  const more = state.reason && (state.waiting || word.look === "estop" || state.robot === false) ? todo : "";
  return [sentence(first), [state.message, more].filter(Boolean).map(sentence).join("  ")];
}

function driver_words(state, name) {
  const arms = Object.entries(state.arms ?? {});
  if (arms.length > 1) return arms.map(([arm, word]) => `${arm} ${word}`).join(" · ");
  if (name === "ENGAGING") return "taking over";
  if (name === "RELEASING") return "letting go";
  const driver = state.driver && state.driver !== "policy" ? state.driver : "";
  return name === "HUMAN" ? [driver, shared_words(state)].filter(Boolean).join(" · ") : driver;
}

function tool_words({ tool, gripper }) {
  if (!tool) return "";
  const width = gripper == null ? "" : ` · gripper ${Math.round(1000 * gripper)} mm`;
  return `tool ${tool.map((metres) => metres.toFixed(3)).join("  ")} m${width}`;
}

/** Begin with a capital letter and end with a full stop. */
function sentence(words) {
  const trimmed = (words ?? "").trim();
  if (!trimmed) return "";
  const begun = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…)]$/.test(begun) ? begun : `${begun}.`;
}

function show_policy(state) {
  const version = state.policy_version ?? -1;
  text($("m-policy"), version < 0 ? "none" : `v${version}`);
  text($("l-policy"), state.policy_age_s == null ? "policy" : `policy, ${age(state.policy_age_s)} old`);
  if (state.env_steps) text($("m-steps"), count(state.env_steps));
}

/** Show who has the pilot's seat. */
export function show_pilot({ name, you }, may_drive) {
  text($("pilot"), you ? `${name === "someone" ? "you" : name || "you"}` : name || "nobody");
  flag($("seat"), "mine", you);
  text($("seat-button"), you ? "Give the seat back" : name ? "Take the seat over" : "Take the seat");
  $("seat-button").hidden = !may_drive;
  for (const button of document.querySelectorAll("#actions > button, #ways > button, #reward > button, #words button, #words input")) button.disabled = !you;
  flag($("actions"), "locked", !you);
}

/** Show what is known of the reward model; nothing where success is not told from images. */
export function show_reward(reward) {
  $("reward").hidden = !reward;
  if (!reward) return;
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const [rate, low, high] = reward.false_positive ?? [];
  text($("reward-words"), [
    `model v${reward.version}`,
    rate == null ? "" : `false positives ${share(rate)} (${share(low)} to ${share(high)})`,
    reward.probability == null ? "" : `now ${percent(reward.probability)}`,
    reward.false_positives ? `${count(reward.false_positives)} pointed out` : "",
    reward.late ? `${count(reward.late)} frames too late` : "",
    reward.training ? "learning from it…" : "",
  ].filter(Boolean).join(" · "));
  $("reward-bar").style.width = `${100 * (reward.probability ?? 0)}%`;
}

/** Show the devices as the robot sees them. */
export function show_devices(devices) {
  const list = $("devices");
  if (!devices?.length) return list.replaceChildren(el("li", { class: "nothing" }, "None known yet."));
  while (list.children.length > devices.length || list.querySelector(".nothing")) list.lastChild.remove();
  devices.forEach((device, i) => {
    const row = list.children[i] ?? list.appendChild(device_row());
    fill_device(row, device);
  });
}

function device_row() {
  return el("li", {}, el("i", { class: "sign" }), el("div", {}, el("b", {}), el("span", { class: "problem" })), el("span", { class: "facts" }), el("span", { class: "status" }));
}

function fill_device(row, device) {
  const [sign, names, facts, status] = row.children;
  if (row.dataset.kind !== device.kind) {
    row.dataset.kind = device.kind;
    sign.replaceChildren(icon(DEVICE_ICONS[device.kind] ?? "i-person"));
  }
  row.className = device.engaged ? "engaged" : device.status;
  text(names.children[0], device.name + (device.operator ? ` · ${device.operator}` : ""));
  text(names.children[1], device.status === "ok" ? "" : device.problem);
  names.title = device.problem;
  const known = device.status === "ok";
  text(facts, [
    known && device.rate_hz ? `${Math.round(device.rate_hz)} Hz` : null,
    known ? age(device.age_s) : null,
    device.battery == null ? null : `▮ ${percent(device.battery)}`,
    device.dropped ? `${count(device.dropped)} dropped` : null,
  ].filter(Boolean).join(" · "));
  text(status, device.engaged ? "drives" : STATUS_WORDS[device.status] ?? device.status);
}

/** Show the numbers of learning. */
export function show_metrics(metrics, control_hz) {
  text($("window"), metrics.window);
  share("success", metrics.success_rate);
  share("human", metrics.intervention_rate);
  flag($("m-success"), "reached", metrics.success_rate >= 0.95);
  flag($("m-human"), "reached", metrics.intervention_rate != null && metrics.intervention_rate <= 0.05);
  text($("m-takeovers"), metrics.takeovers == null ? "–" : metrics.takeovers.toFixed(1));
  text($("m-cycle"), cycle(metrics, control_hz));
  text($("m-steps"), count(metrics.env_steps));
  text($("m-check"), percent(metrics.check_success));
  const learner = metrics.learner;
  text($("m-utd"), learner ? learner.utd.toFixed(1) : "–");
  text($("l-utd"), learner ? `updates/step, ${Math.round(learner.updates_per_s)}/s` : "updates/step");
  const pools = Object.entries(learner?.replay ?? {}).map(([name, size]) => `${name} ${count(size)}`);
  text($("buffers"), [pools.length ? `stored steps: ${pools.join(" · ")}` : "", metrics.problem].filter(Boolean).join("  "));
}

function share(name, value) {
  text($(`m-${name}`), percent(value));
  $(`m-${name}-bar`).style.width = `${100 * (value ?? 0)}%`;
}

function cycle(metrics, control_hz) {
  if (metrics.cycle_steps == null) return "–";
  const seconds = metrics.cycle_s ?? (control_hz ? metrics.cycle_steps / control_hz : null);
  return seconds == null ? `${Math.round(metrics.cycle_steps)} steps` : `${seconds.toFixed(1)} s`;
}

const TROUBLE = ["learner", "labels", "failure"];
const AT_ONCE = 2;

/** Show what the coach says, the most urgent first: [{kind, title, text}]. */
export function show_advice(list) {
  $("coach").hidden = !list.length;
  $("advice").replaceChildren(...list.slice(0, AT_ONCE).map(({ kind, title, text: words }) =>
    el("li", { class: TROUBLE.includes(kind) ? "warning" : "" }, el("b", {}, title), el("span", {}, words))));
}
