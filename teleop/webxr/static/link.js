// The control connection: says hello, keeps the clock, comes back by itself, and repeats buttons until they arrived.
const RETRY_MS = 250, PING_MS = 200, SILENT_MS = 2000, REPEAT_MS = 250, MAX_BUFFER = 65536, VERSION = 1;
const WINDOW = 50;  // pings over which the shortest round trip counts: ten seconds
const FINAL = {4401: 'The link is not valid: open the one that the console printed.', 4426: 'Reload this page: the console is newer.'};

export function socketUrl(path) {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;
}

export class Link {
  constructor(token, {hello, onMessage, onChange}) {
    Object.assign(this, {token, hello, onMessage, onChange});
    this.offset = null;        // console time = performance.now() + offset [ms]
    this.problem = '';
    this.waiting = new Map();  // buttons that are not acknowledged yet
    this.pings = [];
    this.nextPing = this.nextRepeat = this.retryAt = this.heard = 0;
    this.socket = null;
    this.ready = false;        // the console said welcome
    setInterval(() => this.tick(), 50);
  }

  // Called by a timer and, because timers may rest in a headset, by every frame.
  tick() {
    const now = performance.now();
    if (!this.socket) {
      if (now >= this.retryAt && !this.final) this.connect(now);
      return;
    }
    if (now - this.heard > SILENT_MS) return this.drop('the console is silent');
    if (!this.ready) return;
    if (now >= this.nextPing) {
      this.nextPing = now + PING_MS;
      this.send({type: 'ping', t: now});
    }
    if (now >= this.nextRepeat) {
      this.nextRepeat = now + REPEAT_MS;
      for (const body of this.waiting.values()) this.send(body);
    }
  }

  connect(now) {
    const socket = new WebSocket(socketUrl('/ws'));
    this.socket = socket;
    this.heard = now;
    socket.onopen = () => socket.send(JSON.stringify({type: 'hello', v: VERSION, token: this.token, ...this.hello()}));
    socket.onmessage = event => this.socket === socket && this.receive(JSON.parse(event.data));
    socket.onclose = event => this.socket === socket && this.drop(FINAL[event.code] || '', Boolean(FINAL[event.code]));
  }

  drop(problem, final = false) {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    this.final = final;
    this.problem = problem;
    this.pings = [];
    this.retryAt = performance.now() + RETRY_MS;
    socket.close();
    this.onChange();
  }

  // Say hello again, e.g. because the name changed.
  restart() {
    if (this.socket) this.drop('');
    this.final = false;
    this.retryAt = 0;
  }

  receive(body) {
    this.heard = performance.now();
    if (body.type === 'pong') return this.clock(body);
    if (body.type === 'ack') this.waiting.delete(body.id);
    if (body.type === 'welcome') {
      this.ready = true;
      this.problem = '';
      this.onChange();
    }
    this.onMessage(body);
  }

  clock({t, s}) {
    const now = performance.now();
    this.pings.push({rtt: now - t, offset: s - (t + now) / 2});
    if (this.pings.length > WINDOW) this.pings.shift();
    const best = this.pings.reduce((a, b) => (b.rtt < a.rtt ? b : a));
    if (best.offset !== this.offset || this.pings.length % 10 === 0) {
      this.offset = best.offset;
      this.send({type: 'clock', offset: best.offset, rtt: best.rtt});
    }
  }

  // Returns whether it was sent: a slow connection must not fill a queue of old poses.
  send(body) {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > MAX_BUFFER) return false;
    this.socket.send(JSON.stringify(body));
    return true;
  }

  // An edge: sent until it is acknowledged, over reconnections as well.
  press(kind, reason = '') {
    const id = `${kind}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
    const body = {type: 'event', id, kind, reason};
    this.waiting.set(id, body);
    this.send(body);
  }
}
