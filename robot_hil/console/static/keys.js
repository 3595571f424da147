// The keyboard: which keys that drive are down, told at every change and 50 times per second.

import { el } from "./dom.js";

/** Keys that the robot's side understands (teleop/keyboard.py), with what they do. */
export const DRIVE = {
  KeyW: "away", KeyS: "towards you", KeyA: "left", KeyD: "right", KeyE: "up", KeyQ: "down",
  ArrowUp: "away", ArrowDown: "towards you", ArrowLeft: "left", ArrowRight: "right", PageUp: "up", PageDown: "down",
  KeyI: "tip forward", KeyK: "tip back", KeyJ: "turn left", KeyL: "turn right", KeyU: "roll left", KeyO: "roll right",
  KeyC: "close", KeyV: "open", KeyG: "open or close", KeyB: "back the way it came", ShiftLeft: "fine", ShiftRight: "fine",
};
const MODIFIERS = ["MetaLeft", "MetaRight", "ControlLeft", "ControlRight", "AltLeft", "AltRight"];

/** Whether what is typed now goes into a field of the page. */
export function typing(target) {
  return Boolean(target?.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]"));
}

export class KeyCapture {
  /** `send(message)`; `commands[code]` is called for keys with a meaning of their own, with whether it went down. */
  constructor(send, commands) {
    this.send = send;
    this.commands = commands;
    this.down = new Set();
    this.speed = "Digit4";
    this.seq = 0;
    this.pilot = false;
    this.armed = false;
    this.onchange = () => {};
    addEventListener("keydown", (event) => this.press(event), { capture: true });
    addEventListener("keyup", (event) => this.release(event), { capture: true });
    addEventListener("blur", () => this.update());
    addEventListener("focus", () => this.update());
    addEventListener("pagehide", () => this.lay_aside());
    document.addEventListener("visibilitychange", () => this.update());
    document.addEventListener("focusin", (event) => typing(event.target) && this.clear());
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const drives = event.code in DRIVE;
    const command = this.commands[event.code];
    if (!drives && !command) return;
    if (event.code !== "Space" && document.querySelector("dialog[open]")) return; // reading: only the stop works
    if (event.code === "Enter" && reached_by_tab()) return; // it presses that button; Space is the stop everywhere
    event.preventDefault();
    if (event.repeat) return;
    if (command) return command(true, event);
    if (this.down.has(event.code)) return;
    this.down.add(event.code);
    this.tell();
  }

  release(event) {
    this.commands[event.code]?.(false, event);
    if (MODIFIERS.includes(event.code)) this.clear(); // these swallow the release of other keys
    if (this.down.delete(event.code)) this.tell();
  }

  /** Forget what is down, e.g. because a field is being typed into. */
  clear() {
    if (!this.down.size) return;
    this.down.clear();
    this.tell();
  }

  /** The page came into or out of use: as a place to drive from, it is armed or not. */
  update() {
    const ready = this.pilot && !document.hidden && document.hasFocus();
    if (!ready) return this.lay_aside();
    if (this.armed) return;
    this.armed = true;
    this.down.clear(); // what is held now was pressed elsewhere
    this.tell();
  }

  lay_aside() {
    for (const command of Object.values(this.commands)) command(false, null);
    if (!this.armed) return;
    this.armed = false;
    this.down.clear();
    this.tell();
  }

  seat(pilot) {
    if (pilot !== this.pilot) this.armed = false; // the console told the robot already
    this.pilot = pilot;
    this.down.clear();
    this.update();
  }

  tell() {
    if (this.pilot) {
      this.send({ type: "keys", seq: this.seq++, t: performance.now(), down: [...this.down, this.speed], armed: this.armed });
    }
    this.onchange();
  }

  beat() {
    if (this.armed) this.tell();
  }
}

function reached_by_tab() {
  const focused = document.activeElement;
  return Boolean(focused?.matches?.("button:focus-visible, a:focus-visible, summary:focus-visible"));
}

/** A table of the keys, for the help. */
export function key_table(rows) {
  return el("table", { class: "keys" }, ...rows.map(([keys, what]) =>
    el("tr", {}, el("td", {}, ...keys.split(" ").map((key) => el("kbd", {}, key.replace("~", " ")))), el("td", {}, what))));
}
