// The control connection: says hello, keeps the clock, comes back by itself, and repeats buttons until they arrived.
const RETRY_MS = 250, PING_MS = 200, SILENT_MS = 2000, REPEAT_MS = 250, MAX_BUFFER = 65536, VERSION = 1;
const SECONDS = 10;  // the shortest round trip of so long counts
// An answer later than that: something fills up on the way, and frames become as rare as they may be.
const FRAME_PING_MS = 20, LATE_MS = 50, LATE_TIMES = 2.5, RARE_MS = 50;
const OFTEN_MS = 7;  // no robot asks more often than that
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
    this.forget();
    this.nextPing = this.nextRepeat = this.retryAt = this.heard = this.frameAt = 0;
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
    if (now >= this.nextPing) this.ping(now);
    if (now >= this.nextRepeat) {
      this.nextRepeat = now + REPEAT_MS;
      for (const body of this.waiting.values()) this.send(body);
    }
  }

  forget() {
    this.trips = [];     // the best answer of each second: {second, rtt, offset}
    this.unanswered = [];  // times of pings
    this.rtt = Infinity;
  }

  ping(now) {
    if (!this.send({type: 'ping', t: now})) return;
    this.unanswered.push(now);
    this.nextPing = now + PING_MS;
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
    this.forget();
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
    const now = performance.now(), trip = {second: Math.floor(now / 1000), rtt: now - t, offset: s - (t + now) / 2};
    this.unanswered = this.unanswered.filter(sent => sent > t);
    const last = this.trips.at(-1), fresh = last?.second !== trip.second;
    if (fresh) this.trips.push(trip);
    else if (trip.rtt < last.rtt) this.trips[this.trips.length - 1] = trip;
    if (this.trips.length > SECONDS) this.trips.shift();
    const best = this.trips.reduce((a, b) => (b.rtt < a.rtt ? b : a));
    if (fresh || best.offset !== this.offset) {
      this.offset = best.offset;
      this.rtt = best.rtt;
      this.send({type: 'clock', offset: best.offset, rtt: best.rtt});
    }
  }

  // Sends a frame, rarely while earlier ones are on their way for longer than usual: old poses help nobody.
  sendFrame(body) {
    const now = performance.now(), late = now - this.unanswered[0] > Math.max(LATE_MS, LATE_TIMES * this.rtt);
    if (now - this.frameAt < (late ? RARE_MS : OFTEN_MS)) return false;
    if (now >= this.nextPing - PING_MS + FRAME_PING_MS) this.ping(now);
    this.frameAt = now;
    return this.send(body);
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
