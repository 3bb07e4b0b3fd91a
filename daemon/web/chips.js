// Which features stand on a chart: those that are prices, until people choose.

import { make } from "./dom.js";
import { featuresOf } from "./figures.js";

export class Chips {
  #chosen = null;
  #found = [];

  /** @param onChange called when people have chosen. */
  constructor(place, onChange) {
    this.place = place;
    this.onChange = onChange;
  }

  /** Offer what stands beside these bars; `anew` forgets what was chosen. */
  offer(bars, anew = false) {
    if (anew) this.#chosen = null;
    const before = this.#found.map(({ name }) => name).join("\n");
    this.#found = featuresOf(bars);
    if (before === this.#found.map(({ name }) => name).join("\n")) return this.#press(); // the focus stays
    this.place.replaceChildren(
      ...this.#found.map((feature) =>
        make(
          "button",
          { class: "chip", type: "button", "aria-pressed": String(this.#isShown(feature)), onclick: () => this.#toggle(feature.name) },
          feature.name,
        ),
      ),
    );
  }

  /** Return how many are offered. */
  get count() {
    return this.#found.length;
  }

  /** Return the features to draw. */
  get shown() {
    return this.#found.filter((feature) => this.#isShown(feature));
  }

  #isShown({ name, isPrice }) {
    return this.#chosen === null ? isPrice : this.#chosen.has(name);
  }

  #toggle(name) {
    this.#chosen ??= new Set(this.shown.map((feature) => feature.name));
    if (!this.#chosen.delete(name)) this.#chosen.add(name);
    this.#press();
    this.onChange();
  }

  #press() {
    this.#found.forEach((feature, index) => this.place.children[index].setAttribute("aria-pressed", String(this.#isShown(feature))));
  }
}
