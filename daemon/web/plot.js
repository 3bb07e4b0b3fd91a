// Plotly, loaded once and when first wanted; and the look that all charts share.

import { byId } from "./dom.js";

let loading;

/** Return Plotly, whose bundle is large: the page works before it is there. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = byId("plotly").href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the charts cannot be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** Return the colours of the page as it is shown now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "dim", "line", "edge", "accent", "up", "down", "warn", "card"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const isTouch = matchMedia("(pointer: coarse)");

/** Return what the layouts of all charts have in common. */
export function layout(colour, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 10, r: 62, t: 8, b: 36 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour.dim },
    hovermode: "x",
    hoverlabel: { bgcolor: colour.card, bordercolor: colour.edge, font: { color: colour.ink, size: 12 } },
    showlegend: false,
    dragmode: isTouch.matches ? false : "zoom", // a finger scrolls the page
    ...more,
  };
}

/** Return an axis. */
export function axis(colour, more) {
  return { gridcolor: colour.line, linecolor: colour.line, zeroline: false, automargin: false, ...more };
}

export const OPTIONS = { displayModeBar: false, responsive: true, showTips: false };

/** Draws when asked to, but at most twice a second and never while nobody can see it. */
export class Drawing {
  #timer;
  #drawn = 0;
  #wanted = false;

  constructor(element, describe) {
    this.element = element;
    this.describe = describe;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.want());
    document.addEventListener("visibilitychange", () => this.#wanted && this.want());
    document.addEventListener("tab", () => this.#wanted && this.want());
  }

  want() {
    this.#wanted = true;
    if (this.#timer !== undefined || document.hidden) return;
    this.#timer = setTimeout(() => this.#draw(), Math.max(0, this.#drawn + 500 - performance.now()));
  }

  async #draw() {
    if (this.element.offsetParent === null) {
      this.#timer = undefined; // it is on a tab that is not shown
      return;
    }
    this.#wanted = false;
    try {
      const drawn = await plotly();
      const { traces, layout: about, label } = this.describe();
      await drawn.react(this.element, traces, about, OPTIONS);
      this.element.setAttribute("aria-label", label);
    } catch (error) {
      this.element.textContent = error.message;
    }
    this.#drawn = performance.now();
    this.#timer = undefined;
    if (this.#wanted) this.want();
  }
}
