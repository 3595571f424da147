// Stored episodes: verdicts on them, and takeovers as short clips. Images come by HTTP, with the token in a header.

import { $, el, flag, text } from "./dom.js";

const PERIOD_MS = 100;
const LEAD = 5; // steps shown before and after a takeover

export class Review {
  /** `token()`; `label(key, verdict)` sends a verdict, key = {actor_id, epoch, episode_id}. */
  constructor(token, label) {
    this.token = token;
    this.label = label;
    this.playing = 0;
    $("review-open").addEventListener("click", () => this.open());
    $("review-button").addEventListener("click", () => this.open());
    $("review").addEventListener("close", () => (this.playing += 1));
  }

  async ask(path) {
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${this.token()}` } });
    if (answer.status === 404 && path.includes("?")) throw new Error("this console shows no run folder");
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `${answer.status} ${answer.statusText}`);
    return answer;
  }

  async open() {
    if (!$("review").open) $("review").show();
    await this.refresh();
  }

  /** Return what is stored of one of the newest episodes; undefined if it is not there. */
  async find(actor_id, epoch, episode_id) {
    const { episodes } = await (await this.ask("/api/episodes?last=5")).json();
    return episodes.find((one) => one.actor_id === actor_id && one.epoch === epoch && one.episode_id === episode_id);
  }

  async refresh() {
    const list = $("episodes");
    try {
      const { episodes } = await (await this.ask("/api/episodes?last=50")).json();
      list.replaceChildren(...episodes.map((episode) => this.row(episode)));
      if (!episodes.length) list.append(el("li", { class: "nothing" }, "No episodes are stored yet."));
    } catch (problem) {
      list.replaceChildren(el("li", { class: "nothing" }, `The episodes cannot be read: ${problem.message}`));
    }
  }

  row(episode) {
    const key = { actor_id: episode.actor_id, epoch: episode.epoch, episode_id: episode.episode_id };
    const verdicts = ["success", "fail", "discard"].map((verdict) => {
      const button = el("button", {
        type: "button", class: `small ${{ success: "good", fail: "bad" }[verdict] ?? ""}`, "aria-pressed": String(episode.label === verdict),
        onclick: () => this.label(key, episode.label === verdict ? "none" : verdict),
      }, verdict);
      return button;
    });
    const clips = (episode.interventions ?? []).map(([first, last], i) =>
      el("button", { type: "button", class: "small quiet", onclick: () => this.play(episode, first, last) }, `takeover ${i + 1} (${last - first + 1} steps)`));
    const whole = el("button", { type: "button", class: "small quiet", onclick: () => this.play(episode, 0, episode.steps - 1) }, "all");
    const fate = episode.success ? "success" : "failed";
    return el("li", {},
      el("b", {}, `#${episode.episode_id}`),
      el("span", { class: episode.success ? "fate good" : "fate" }, `${episode.phase}${episode.complete === false ? " (under way)" : ""} · ${fate} · ${episode.steps} steps${episode.label && episode.label !== "none" ? ` · labelled ${episode.label}` : ""}`),
      el("div", { class: "row" }, ...verdicts, ...(episode.cameras?.length ? [whole, ...clips] : [])));
  }

  /** Play steps `first` to `last` of an episode, with some before and after, from all its cameras side by side. */
  async play(episode, first, last) {
    const turn = ++this.playing;
    const from = Math.max(0, first - LEAD);
    const to = Math.min(episode.steps - 1, last + LEAD);
    const cameras = episode.cameras.slice(0, 3);
    const canvas = $("clip-canvas");
    try {
      for (let index = from; index <= to && turn === this.playing; index++) {
        const due = performance.now() + PERIOD_MS;
        const images = await Promise.all(cameras.map((camera) => this.image(episode, camera, index)));
        if (turn !== this.playing) return;
        side_by_side(canvas, images);
        const human = episode.interventions?.some(([a, b]) => index >= a && index <= b);
        flag(canvas, "human", human);
        text($("clip-note"), `Episode #${episode.episode_id}, step ${index} of ${episode.steps}${human ? " · person drives" : ""}`);
        await new Promise((done) => setTimeout(done, Math.max(0, due - performance.now())));
      }
      $("clip-row").replaceChildren(el("button", { type: "button", class: "small", onclick: () => this.play(episode, first, last) }, "Play again"));
    } catch (problem) {
      text($("clip-note"), `This clip cannot be shown: ${problem.message}`);
    }
  }

  async image({ actor_id, epoch, episode_id }, camera, index) {
    const parts = [actor_id, epoch, episode_id, camera].map(encodeURIComponent).join("/");
    return createImageBitmap(await (await this.ask(`/api/episodes/${parts}/${index}.jpg`)).blob());
  }
}

function side_by_side(canvas, images) {
  const height = Math.max(...images.map((image) => image.height));
  canvas.width = images.reduce((sum, image) => sum + image.width, 0);
  canvas.height = height;
  const g = canvas.getContext("2d");
  let x = 0;
  for (const image of images) {
    g.drawImage(image, x, 0);
    x += image.width;
    image.close();
  }
}
