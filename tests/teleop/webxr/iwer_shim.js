// Runs before the page, after iwer.min.js: puts a simulated headset into the browser and gives tests a hold on it.
// Where IWER differs from a real headset (poses are never null, controllers are always `emulated`, frames go on while
// hidden) it is made to behave; headless Chromium draws 60 frames per second, so frames come from a timer instead, and
// in software, so antialiasing is left out.
(() => {
  const sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...what) {
      super(...what);
      sockets.push(this);
    }
  };
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return getContext.call(this, kind, kind === 'webgl2' ? {...options, antialias: !!window.HEADSET_FINE} : options);
  };
  const HZ = window.HEADSET_HZ ?? 90;
  let waiting = [], handle = 0, due = performance.now();
  window.requestAnimationFrame = callback => (waiting.push([++handle, callback]), handle);
  window.cancelAnimationFrame = gone => { waiting = waiting.filter(([one]) => one !== gone); };
  const beat = () => {
    const callbacks = waiting;
    waiting = [];
    window.headset?.step();
    for (const [, callback] of callbacks) callback(performance.now());
    due += 1000 / HZ;
    const now = performance.now();
    if (now - due > 1000) due = now;  // the page stood still: no frames are made up for it
    setTimeout(beat, Math.max(0, due - now));
  };
  setTimeout(beat, 0);

  const modes = window.HEADSET_AR ? ['inline', 'immersive-vr', 'immersive-ar'] : ['inline', 'immersive-vr'];
  const device = new IWER.XRDevice({...IWER.metaQuest3, supportedSessionModes: modes}, {});
  device.installRuntime({forceInstall: true});
  const state = {hidden: false, session: null, later: []};
  const names = {left: {a: 'x-button', b: 'y-button'}, right: {a: 'a-button', b: 'b-button'}};
  const felt = [];

  const headset = window.headset = {
    device, felt, guessed: {left: false, right: false}, unseen: {left: false, right: false}, lostHead: false,
    script: null, buffered: 0,
    move(side, x, y, z) { device.controllers[side].position.set(x, y, z); },
    turn(side, x, y, z, w) { device.controllers[side].quaternion.set(x, y, z, w); },
    button(side, name, value) { device.controllers[side].updateButtonValue(names[side][name] ?? name, value); },
    connect(side, on) { device.controllers[side].connected = on; },
    see(word) {
      state.hidden = word === 'hidden';
      device.updateVisibilityState(word);
      if (!state.hidden) for (const [session, callback] of state.later.splice(0)) ask.call(session, callback);
    },
    recentre() { device.recenter(); },
    leave() { return state.session.end(); },
    // Moves a hand steadily, as far as it says, from where it is.
    glide(side, dx, dy, dz, seconds) {
      const {x, y, z} = device.controllers[side].position, began = performance.now();
      headset.script = now => {
        const share = Math.min(1, (now - began) / 1000 / seconds);
        headset.move(side, x + share * dx, y + share * dy, z + share * dz);
      };
    },
    // A circle in a vertical plane across the operator's view, beginning at rest at its right end.
    circle(side, radius, speed) {
      const {x, y, z} = device.controllers[side].position, began = performance.now();
      headset.script = now => {
        const angle = speed / radius * (now - began) / 1000;
        headset.move(side, x + radius * (Math.cos(angle) - 1), y + radius * Math.sin(angle), z);
      };
      return (performance.timeOrigin + began) / 1000;  // wall clock [s]
    },
    step() {
      headset.script?.(performance.now());
      headset.buffered = Math.max(headset.buffered, ...sockets.map(socket => socket.bufferedAmount));
    },
    // Does something and says when [s, wall clock].
    at(name, ...what) {
      const now = (performance.timeOrigin + performance.now()) / 1000;
      headset[name](...what);
      return now;
    },
    stall(ms) { const end = performance.now() + ms; while (performance.now() < end); },
  };

  const request = navigator.xr.requestSession.bind(navigator.xr);
  navigator.xr.requestSession = async (...args) => {
    if (!navigator.userActivation.isActive) throw new DOMException('no click', 'SecurityError');  // as real browsers
    const session = state.session = await request(...args);
    for (const {gamepad, handedness} of device.inputSources) {
      for (const actuator of gamepad?.hapticActuators ?? []) {
        const pulse = actuator.pulse.bind(actuator);
        actuator.pulse = (...what) => (felt.push([handedness, ...what]), pulse(...what));
      }
    }
    return session;
  };
  const ask = XRSession.prototype.requestAnimationFrame;
  XRSession.prototype.requestAnimationFrame = function (callback) {
    if (!state.hidden) return ask.call(this, (...frame) => (state.hidden ? state.later.push([this, callback]) : callback(...frame)));
    state.later.push([this, callback]);
    return 0;
  };
  const side = space => [...state.session.inputSources].find(s => s.gripSpace === space || s.targetRaySpace === space)?.handedness;
  const getPose = XRFrame.prototype.getPose;
  XRFrame.prototype.getPose = function (space, base) {
    const pose = getPose.call(this, space, base), hand = side(space);
    if (!hand) return pose;
    if (headset.unseen[hand]) return null;
    Object.defineProperty(pose, 'emulatedPosition', {value: headset.guessed[hand]});
    return pose;
  };
  const getViewerPose = XRFrame.prototype.getViewerPose;
  XRFrame.prototype.getViewerPose = function (base) {
    return headset.lostHead ? null : getViewerPose.call(this, base);
  };
})();
