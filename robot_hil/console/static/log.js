// The event log: what the robot and the console wrote, and what this page asked for, with its answer.

import { $, el, icon, text } from "./dom.js";

const KEPT = 200;
const ANSWERS = { pending: ["i-wait", "sent"], ok: ["i-check", "ok"], refused: ["i-cross", "refused"], lost: ["i-cross", "NOT CONFIRMED"] };

const clock = (date) => date.toLocaleTimeString("en-GB");

function add(node) {
  const list = $("log");
  const low = list.scrollTop > 30; // somebody reads further down
  list.prepend(node);
  while (list.children.length > KEPT) list.lastChild.remove();
  if (low) list.scrollTop += node.offsetHeight;
}

/** Write a line of the robot or the console: {wall [s], level, text}. */
export function note(entry) {
  const when = entry.wall ? new Date(1000 * entry.wall) : new Date();
  add(el("li", { class: entry.level }, el("time", {}, clock(when)), el("span", {}, entry.text)));
}

export function clear_notes() {
  for (const node of [...$("log").children]) if (!node.edge) node.remove();
}

/** Write down an edge of this page, or its answer once there is one. */
export function note_edge(edge) {
  if (!edge.node) {
    edge.node = el("li", { class: "edge" }, el("time", {}, clock(new Date())), el("span", {}, edge.title), el("em"));
    edge.node.edge = edge;
    add(edge.node);
  }
  const [sign, word] = ANSWERS[edge.state];
  edge.node.className = `edge ${edge.state}`;
  const answer = edge.node.lastChild;
  answer.replaceChildren(icon(sign), `${word}${edge.reason && edge.state !== "ok" ? `: ${edge.reason}` : ""}`);
}

let hiding = 0;

/** Say something over the page for a moment: the answer to a button. */
export function toast(words, level) {
  const box = $("toast") ?? document.body.appendChild(el("div", { id: "toast", role: "status" }));
  text(box, words);
  box.className = `shown ${level}`;
  clearTimeout(hiding);
  hiding = setTimeout(() => (box.className = level), level === "ok" ? 1200 : 5000);
}
