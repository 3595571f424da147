// Small helpers. Text from outside enters the page as text only: nothing here takes HTML.

export const $ = (id) => document.getElementById(id);

/** Make an element: `el("b", {class: "x", onclick: f}, "text", child)`. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Set the text of an element, only when it changed: a page that redraws ten times per second must not flicker. */
export function text(node, value) {
  const words = String(value ?? "");
  if (node.textContent !== words) node.textContent = words;
}

/** Set a class to be there or not. */
export function flag(node, name, on) {
  node.classList.toggle(name, Boolean(on));
}

/** An icon from the sheet in index.html. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const percent = (share) => (share == null ? "–" : `${Math.round(100 * share)} %`);

/** 75 -> 1:15, 3700 -> 1:01:40. */
export function duration(seconds) {
  if (seconds == null) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** An age in words: 40 ms, 1.3 s, 2:05. */
export function age(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.round(1000 * Math.max(0, seconds))} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : duration(seconds);
}

/** 1234567 -> 1,234,567. */
export const count = (n) => (n == null ? "–" : Math.round(n).toLocaleString("en"));
