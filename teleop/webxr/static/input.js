// What the hands and the head do, as messages.
const STICK = 3, A_OR_X = 4, B_OR_Y = 5, SQUEEZE = 1;

const round = value => Math.round(value * 1e6) / 1e6;
const within = (value, low) => Math.min(1, Math.max(low, Math.round((value || 0) * 1e3) / 1e3));

function pose(xr) {
  const {position: p, orientation: q} = xr.transform;
  return {p: [round(p.x), round(p.y), round(p.z)], q: [round(q.x), round(q.y), round(q.z), round(q.w)]};
}

// Triggers are analogue; a few devices only say that they are pressed.
function values(gamepad) {
  return [...gamepad.buttons].slice(0, 16).map(
    (button, i) => within(button.pressed && (i > SQUEEZE || !button.value) ? 1 : button.value, 0));
}

export class Input {
  constructor() {
    this.seq = 0;
    this.kept = {};  // buttons of frames that could not be sent: a short tap must not vanish, nor a released clutch
    this.bothSticks = false;
    this.aDown = {};
    this.resuming = {};  // hands whose A or X was pressed while the robot held: not a verdict before it was let go
  }

  event(kind) {
    return {type: 'xr_event', seq: ++this.seq, t: performance.now(), kind};
  }

  // Returns the message for one frame. `sent(ok)` must follow.
  frame(session, xrFrame, space) {
    const viewer = xrFrame.getViewerPose(space);
    const message = {
      type: 'xr', seq: this.seq + 1, t: performance.now(), visible: session.visibilityState === 'visible',
      head: viewer && !viewer.emulatedPosition ? pose(viewer) : null, left: null, right: null,
    };
    for (const source of session.inputSources) {
      if (source.handedness === 'none' || !source.gamepad || !source.gripSpace || source.hand) continue;
      const grip = xrFrame.getPose(source.gripSpace, space);
      message[source.handedness] = {
        grip: grip ? pose(grip) : null, emulated: Boolean(grip?.emulatedPosition),
        buttons: values(source.gamepad), axes: [...source.gamepad.axes].slice(0, 8).map(value => within(value, -1)),
      };
    }
    this.now = {left: message.left?.buttons.slice(), right: message.right?.buttons.slice()};
    for (const side of ['left', 'right']) this.remember(message[side], this.kept[side]);
    return message;
  }

  remember(hand, kept) {
    if (!hand || !kept) return;
    for (let i = STICK; i <= B_OR_Y && i < hand.buttons.length; i++) hand.buttons[i] = Math.max(hand.buttons[i], kept[i] || 0);
    if (hand.buttons.length > SQUEEZE) hand.buttons[SQUEEZE] = Math.min(hand.buttons[SQUEEZE], kept[SQUEEZE] ?? 1);
  }

  sent(ok, message) {
    if (ok) this.seq = message.seq;
    this.kept = ok ? {} : {left: message.left?.buttons, right: message.right?.buttons};
  }

  // While the robot holds, A or X means "go on" and not "success". Takes it out of the message; true once per press.
  resumePressed(message, standing) {
    let edge = false;
    for (const side of ['left', 'right']) {
      const down = (this.now[side]?.[A_OR_X] || 0) > 0.5, fresh = down && !this.aDown[side];
      this.aDown[side] = down;
      edge ||= standing && fresh;
      this.resuming[side] = down && (this.resuming[side] || (standing && fresh));
      if (this.resuming[side] && message[side]) message[side].buttons[A_OR_X] = 0;
    }
    return edge;
  }

  // True once per press of both sticks.
  stopPressed() {
    const both = ['left', 'right'].every(side => (this.now[side]?.[STICK] || 0) > 0.5);
    const edge = both && !this.bothSticks;
    this.bothSticks = both;
    return edge;
  }
}

export function pulse(session, hand, strength, seconds) {
  for (const {handedness, gamepad} of session?.inputSources ?? []) {
    if (!gamepad || (hand && hand !== handedness)) continue;
    const actuator = gamepad.hapticActuators?.[0];
    if (actuator) actuator.pulse(strength, seconds * 1000);
    else gamepad.vibrationActuator?.playEffect?.('dual-rumble', {duration: seconds * 1000, strongMagnitude: strength, weakMagnitude: strength});
  }
}
