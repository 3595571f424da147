// Short sounds for an operator who looks at the robot and not at the screen.

const KEY = "sound";
// Made at once: it takes a while, in which nothing else happens, and later somebody may be driving.
const context = "AudioContext" in window ? new AudioContext() : null;

/** Notes [Hz, start s, length s] of each sound. */
const SOUNDS = {
  ok: [[880, 0, 0.05]],
  refused: [[220, 0, 0.15]],
  hold: [[440, 0, 0.12], [330, 0.14, 0.18]],
  lost: [[330, 0, 0.15], [330, 0.2, 0.15], [330, 0.4, 0.25]],
  estop: [[262, 0, 0.5]],
};

export const is_on = () => localStorage.getItem(KEY) !== "off";

/** Turn sounds on or off; return whether they are on. */
export function toggle() {
  localStorage.setItem(KEY, is_on() ? "off" : "on");
  return is_on();
}

/** Play a sound by name; silent before the page was clicked or a key was pressed, as browsers demand it. */
export function play(name) {
  if (!SOUNDS[name] || !is_on() || !context || !navigator.userActivation?.hasBeenActive) return;
  if (context.state === "suspended") context.resume();
  for (const [pitch, start, length] of SOUNDS[name]) {
    const tone = context.createOscillator();
    const level = context.createGain();
    const from = context.currentTime + start;
    tone.frequency.value = pitch;
    level.gain.setValueAtTime(0.12, from);
    level.gain.exponentialRampToValueAtTime(0.001, from + length);
    tone.connect(level).connect(context.destination);
    tone.start(from);
    tone.stop(from + length);
  }
}
