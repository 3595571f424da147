// Camera images over a connection of their own: newest wins, the age of each is shown.

import { age, el, flag, icon, text } from "./dom.js";
import { Connection } from "./connection.js";

const OLD_MS = 300;
const GONE_MS = 3000;

export class Cameras {
  /** Show cameras in `root`; `hello()` as for the control connection; `offset()`: console time - page time [ms]. */
  constructor(root, hello, offset) {
    this.root = root;
    this.offset = offset;
    this.views = new Map();
    this.names = [];
    this.connection = new Connection({
      path: "/video",
      welcomed: false,
      hello,
      handlers: { binary: (data) => this.frame(data) },
      onchange: (ready) => ready && this.watch(),
    });
    setInterval(() => this.tick(), 200);
  }

  show(names) {
    if (names.join("\n") === this.names.join("\n") && this.root.childElementCount) return;
    this.names = names;
    this.views.clear();
    this.root.replaceChildren(...names.map((name) => this.view(name)));
    if (!names.length) this.root.append(el("p", { class: "nothing" }, icon("i-camera"), "No cameras"));
    this.root.dataset.count = names.length;
    this.watch();
  }

  view(name) {
    const canvas = el("canvas", { class: "waiting" });
    const badge = el("span", { class: "badge old" }, "no image");
    const rate = el("span", { class: "rate" });
    const solo = () => {
      const on = !figure.classList.contains("solo");
      for (const other of this.root.children) other.hidden = on && other !== figure;
      flag(figure, "solo", on);
    };
    const figure = el("figure", { class: "camera", title: "Click to see this one alone", onclick: solo }, canvas, el("figcaption", {}, el("b", {}, name), rate, badge));
    this.views.set(name, { canvas, badge, rate, t: null, drawn: [], busy: false });
    return figure;
  }

  watch() {
    this.connection.send({ type: "watch", cameras: this.names.slice(0, 8) });
  }

  async frame(data) {
    const size = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
    const view = this.views.get(head.camera);
    try {
      if (view && !document.hidden) await this.draw(view, head, new Blob([new Uint8Array(data, 4 + size)], { type: "image/jpeg" }));
    } finally {
      this.connection.send({ type: "got", camera: head.camera, seq: head.seq });
    }
  }

  async draw(view, head, blob) {
    const bitmap = await createImageBitmap(blob);
    const { canvas } = view;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap); // without a copy
    if (canvas.className) canvas.className = "";
    const now = performance.now();
    view.t = this.offset() == null ? now - (head.now - head.t) : head.t - this.offset();
    view.drawn.push(now);
  }

  tick() {
    const now = performance.now();
    for (const view of this.views.values()) {
      view.drawn = view.drawn.filter((t) => now - t < 1000);
      const old = view.t == null ? Infinity : now - view.t;
      text(view.badge, view.t == null ? "no image" : age(old / 1000));
      flag(view.badge, "old", old > OLD_MS);
      flag(view.canvas, "stale", old > GONE_MS);
      text(view.rate, view.drawn.length ? `${view.drawn.length} fps` : "");
    }
  }
}
