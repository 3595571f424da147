// The control connection: hello, pings, reconnection; and edges, which are sent again until they are acknowledged.

import { PROTOCOL } from "./protocol.js";

const RETRY_MS = 250;
const PING_MS = 200;
const SILENT_MS = 2000; // a console that is there answers pings
const FULL = 65536; // bytes waiting in the socket: more would arrive as old news
const UNAUTHORIZED = 4401;
const RELOAD = 4426;

export class Connection {
  /**
   * `handlers[type](message)` for each type of message; `onchange(ready)` when the connection comes or goes.
   * `welcomed`: the console answers a hello; else the connection is ready as soon as it is open.
   */
  constructor({ path, hello, handlers, onchange, welcomed = true }) {
    this.path = path;
    this.hello = hello;
    this.handlers = handlers;
    this.onchange = onchange;
    this.welcomed = welcomed;
    this.ready = false;
    this.problem = ""; // why there is no way to reconnect; empty: it is being tried
    this.since = performance.now();
    this.offset = null; // the console's time = performance.now() + offset [ms]
    this.rtt = null;
    this.samples = [];
    this.open();
    setInterval(() => this.ping(), PING_MS);
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "hello", v: PROTOCOL, client: "console", ...this.hello() }));
      if (!this.welcomed) this.became(true);
    };
    socket.onmessage = (event) => this.take(event);
    socket.onclose = (event) => this.closed(socket, event);
  }

  take(event) {
    this.heard = performance.now();
    if (typeof event.data !== "string") return this.handlers.binary?.(event.data);
    const message = JSON.parse(event.data);
    if (message.type === "pong") return this.pong(message);
    if (message.type === "welcome") this.became(true);
    if (message.type === "refused" && message.reload) this.problem = message.reason;
    this.handlers[message.type]?.(message);
  }

  closed(socket, event) {
    if (socket !== this.socket) return;
    if (event.code === UNAUTHORIZED) this.problem = "Wrong or missing token: open the link that the console printed.";
    if (event.code === RELOAD) this.problem ||= "This page is of another version than the console: reload it.";
    this.became(false);
    if (!this.problem) setTimeout(() => this.open(), RETRY_MS);
  }

  became(ready) {
    if (ready !== this.ready) this.since = performance.now();
    this.ready = ready;
    if (!ready) this.samples = [];
    this.onchange(ready);
  }

  /** Send now, or not at all; return whether it went. */
  send(message) {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > FULL) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  ping() {
    if (this.ready && performance.now() - this.heard > SILENT_MS) return this.abandon();
    this.send({ type: "ping", t: performance.now() });
  }

  pong({ t, s }) {
    const now = performance.now();
    this.samples.push({ rtt: now - t, offset: s - (now + t) / 2 });
    if (this.samples.length > 20) this.samples.shift();
    const best = this.samples.reduce((a, b) => (b.rtt < a.rtt ? b : a));
    this.rtt = now - t;
    this.offset = best.offset;
    this.send({ type: "clock", offset: best.offset, rtt: best.rtt });
  }

  /** The other side is gone although nobody said so, e.g. the network: do not wait for a farewell. */
  abandon() {
    const socket = this.socket;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.closed(socket, {});
  }

  /** Give up this connection and come back at once, e.g. with another name. */
  renew() {
    this.socket.close();
  }
}

const AGAIN_MS = 120;
const GIVE_UP_MS = 3000;
const GIVE_UP_ESTOP_MS = 10000;

/** Edges under way: each is sent again with the same id until the robot has it, or visibly given up. */
export class Edges {
  /** `onchange(edge)` when one begins, is answered or is given up: `edge.state` is pending, ok, refused or lost. */
  constructor(send, onchange) {
    this.send = send;
    this.onchange = onchange;
    this.pending = new Map();
    const random = crypto.getRandomValues(new Uint8Array(8));
    this.prefix = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.number = 0;
    setInterval(() => this.again(), AGAIN_MS);
  }

  /** Send `message` (without id) until it is acknowledged; `title` is how people call it. */
  begin(message, title) {
    const id = `${this.prefix}-${++this.number}`;
    const edge = { id, title, kind: message.kind ?? message.type, message: { ...message, id }, state: "pending", reason: "" };
    edge.began = performance.now();
    this.pending.set(id, edge);
    this.send(edge.message);
    this.onchange(edge);
    return edge;
  }

  again() {
    const now = performance.now();
    for (const edge of this.pending.values()) {
      const patience = edge.kind === "estop" ? GIVE_UP_ESTOP_MS : GIVE_UP_MS;
      if (now - edge.began > patience) this.end(edge, "lost", `no answer within ${patience / 1000} s`);
      else this.send(edge.message);
    }
  }

  acknowledged({ id, ok, reason }) {
    const edge = this.pending.get(id);
    if (edge) this.end(edge, ok ? "ok" : "refused", reason);
  }

  end(edge, state, reason) {
    this.pending.delete(edge.id);
    edge.state = state;
    edge.reason = reason;
    edge.took = performance.now() - edge.began;
    this.onchange(edge);
  }
}
