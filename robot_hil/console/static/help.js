// The help: keys and buttons, as in docs/operator.md.

import { $, el } from "./dom.js";
import { key_table } from "./keys.js";

const DRIVE = [
  ["W A S D", "away, left, towards you, right; the arrow keys do the same"],
  ["E Q", "up, down; Page Up and Page Down do the same"],
  ["I K", "tip forward, back"], ["J L", "turn left, right"], ["U O", "roll left, right"],
  ["C V G", "gripper: close, open, change"],
  ["B", "hold to go back the way the robot came"],
  ["Shift", "hold for fine motion"],
  ["1 2 3 4", "speed: 25, 50, 75, 100 %"],
];
const SAY = [
  ["Enter", "success"], ["Backspace", "fail"], ["X", "no success: what the reward model took for one was none"],
  ["N", "reset: end this episode"], ["P", "pause, resume"],
  ["R", "where who takes over recovers and corrects: brought back; and again: done, the episode ends"],
  ["M", "how you and the policy share the robot from the next takeover on"],
  ["Space", "hold half a second: STOP"],
];
const PAD = [
  ["RB", "hold to drive; nothing moves without it"],
  ["LB", "hold for slow motion"],
  ["Left~stick", "away, towards you, left, right"],
  ["Right~stick", "up, down; turn"],
  ["Cross", "tip and roll"],
  ["RT LT", "gripper: close, open"],
  ["Left~stick~in", "with RB: back the way the robot came"], ["Right~stick~in", "as R of the keyboard"],
  ["A B X", "success, fail, reset"], ["Y", "no success: what the reward model took for one was none"],
  ["Back Start", "pause, resume"],
  ["Guide", "STOP; so is pressing both sticks in"],
];

export function set_up_help() {
  $("help-body").append(
    el("p", {}, "The robot obeys the pilot's page while that page is in front and a key is down. Letting go gives it back. If the connection or the device is lost while driving, the robot holds until somebody resumes."),
    el("p", {}, "STOP is a stop by software. Keep the hardware stop within reach."),
    el("div", { class: "columns" },
      el("section", {}, el("h3", {}, "Drive with the keyboard"), key_table(DRIVE)),
      el("section", {}, el("h3", {}, "Say"), key_table(SAY)),
      el("section", {}, el("h3", {}, "Gamepad"), key_table(PAD))));
  $("help-open").addEventListener("click", () => $("help").show());
}
