// A gamepad in the browser's standard mapping, read and told 50 times per second while one is there.

const NAMES = { A: 0, B: 1, X: 2, Y: 3, LB: 4, RB: 5, LT: 6, RT: 7, BACK: 8, START: 9, LEFT_STICK: 10, RIGHT_STICK: 11, GUIDE: 16 };
const PRESSED = 0.5;
/** Which button says what; both sticks pressed in is an e-stop as well. */
const MEANING = [[NAMES.A, "success"], [NAMES.B, "fail"], [NAMES.Y, "false_positive"], [NAMES.X, "reset"], [NAMES.BACK, "pause"], [NAMES.START, "resume"], [NAMES.RIGHT_STICK, "next"], [NAMES.GUIDE, "estop"]];

export class PadReader {
  /** `send(message)`; `command(kind)` at the press of a button with a meaning. */
  constructor(send, command) {
    this.send = send;
    this.command = command;
    this.seq = 0;
    this.pilot = false;
    this.armed = false;
    this.connected = false; // whether the robot was told of a pad
    this.before = null;
    this.note = "";
  }

  /** Return the pad to use, or null. */
  find() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected);
    const pad = pads.find((one) => one.mapping === "standard") ?? null;
    this.note = !pad && pads.length ? `${pads[0].id}: this browser does not know its layout` : "";
    return pad;
  }

  /** `armed`: the page is in use and has the pilot's seat. */
  beat(armed) {
    const pad = this.find();
    if (pad && armed) this.look(pad);
    else this.before = null;
    if (!armed) {
      if (this.armed && this.connected) this.tell(null, true); // let go in good order: at rest, then silence
      this.armed = this.connected = false;
      return;
    }
    this.armed = true;
    if (pad) this.tell(pad, true);
    else if (this.connected) this.tell(null, false);
    this.connected = Boolean(pad);
  }

  seat(pilot) {
    if (!pilot) this.armed = this.connected = false;
    this.pilot = pilot;
  }

  tell(pad, connected) {
    const unit = (value) => Math.min(1, Math.max(-1, Number.isFinite(value) ? value : 0));
    this.send({
      type: "pad",
      seq: this.seq++,
      t: performance.now(),
      connected,
      axes: (pad?.axes ?? []).slice(0, 8).map(unit),
      buttons: (pad?.buttons ?? []).slice(0, 32).map((button) => Math.max(0, unit(button.value))),
      id: (pad?.id ?? "").slice(0, 200),
    });
  }

  /** Turn presses into commands; what was down when we began to look is no press. */
  look(pad) {
    const down = pad.buttons.map((button) => button.value > PRESSED);
    const both = down[NAMES.LEFT_STICK] && down[NAMES.RIGHT_STICK];
    if (this.before) {
      for (const [index, kind] of MEANING) if (down[index] && !this.before.down[index]) this.command(kind);
      if (both && !this.before.both) this.command("estop");
    }
    this.before = { down, both };
  }
}
