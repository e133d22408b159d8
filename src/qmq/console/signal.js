// A value that several parts of the page look at.

import { useEffect, useState } from "./html.js";

export class Signal {
  #value;
  #listeners = new Set();

  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.notify();
  }

  // Tells everybody who looks, also when something inside the value has changed.
  notify() {
    for (const listener of [...this.#listeners]) listener(this.#value);
  }

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

// Draws the component anew whenever the signal changes, and returns its value.
export function useSignal(signal) {
  const [, draw] = useState(0);
  useEffect(() => signal.listen(() => draw((n) => n + 1)), [signal]);
  return signal.value;
}
