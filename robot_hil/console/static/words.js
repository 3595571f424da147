// Corrections in words: typed, or spoken where the browser can listen.

import { $, flag } from "./dom.js";

/** `send(text)` sends one correction. */
export function set_up_words(send) {
  const field = $("words-text");
  $("words").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = field.value.trim();
    if (!words) return;
    send(words);
    field.value = "";
    field.blur(); // the keys drive again
  });
  field.addEventListener("keydown", (event) => event.code === "Escape" && field.blur());
  const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
  if (Recognition) set_up_speech(Recognition, field, send);
}

function set_up_speech(Recognition, field, send) {
  const listener = new Recognition();
  listener.lang = "en-US";
  listener.interimResults = true;
  let listening = false;
  const button = $("mic");
  button.hidden = false;
  const show = (on) => {
    listening = on;
    flag(button, "on", on);
  };
  button.addEventListener("click", () => {
    button.blur();
    if (listening) return listener.stop();
    field.value = "";
    listener.start();
    show(true);
  });
  listener.onresult = (event) => {
    const heard = [...event.results].map((result) => result[0].transcript).join(" ").trim();
    field.value = heard;
    if (event.results[event.results.length - 1].isFinal && heard) {
      send(heard);
      field.value = "";
    }
  };
  listener.onerror = (event) => {
    field.placeholder = `cannot listen: ${event.error}`;
    show(false);
  };
  listener.onend = () => show(false);
}
