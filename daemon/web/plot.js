// Plotly, loaded once and when first wanted; and the look that all charts share.

import { byId, make } from "./dom.js";

let loading;

/** Return Plotly, whose bundle is large: the page works before it is there. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = byId("plotly").href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = undefined; // whoever wants it next asks again
      script.remove();
      reject(new Error("The charts cannot be loaded."));
    };
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
const isDark = matchMedia("(prefers-color-scheme: dark)");
const EVERY_MS = 500;
const RETRY_MS = 5_000;

/** Return what the layouts of all charts have in common. */
export function layout(colour, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 10, r: 70, t: 8, b: 36 },
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

/** Return text as a chart shows it letter by letter: Plotly takes some tags, and %{names} in templates. */
export function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
}

/** Draws when asked to, but by itself at most twice a second, and never while nobody can see it. */
export class Drawing {
  #timer;
  #drawn = -Infinity;
  #drawing = false;
  #wanted = false;
  #hurry = false;

  constructor(element, describe) {
    this.element = element;
    this.describe = describe;
    isDark.addEventListener("change", () => this.#drawn > 0 && this.want(true));
    for (const shown of ["visibilitychange", "tab"]) document.addEventListener(shown, () => this.#wanted && this.want(true));
  }

  /** Have it drawn soon; `hurry` where a person waits for it. */
  want(hurry = false) {
    this.#wanted = true;
    this.#hurry ||= hurry;
    if (this.#drawing || document.hidden || (this.#timer !== undefined && !this.#hurry)) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#hurry) this.#draw();
    else this.#timer = setTimeout(() => this.#draw(), Math.max(0, this.#drawn + EVERY_MS - performance.now()));
  }

  async #draw() {
    this.#timer = undefined;
    if (this.element.offsetParent === null) return; // it is on a tab that is not shown
    this.#drawing = true;
    this.#wanted = this.#hurry = false;
    let pause = 0;
    try {
      const drawn = await plotly();
      const { traces, layout: about, label } = this.describe();
      this.element.querySelector(":scope > .empty")?.remove();
      await drawn.react(this.element, traces, about, OPTIONS);
      this.element.setAttribute("aria-label", label);
      this.#drawn = performance.now();
    } catch (error) {
      console.warn("a chart cannot be drawn", error);
      if (this.#drawn < 0) this.element.replaceChildren(make("p", { class: "empty dim" }, error.message));
      this.#wanted = true;
      pause = RETRY_MS;
    }
    this.#drawing = false;
    if (pause) this.#timer = setTimeout(() => this.#draw(), pause);
    else if (this.#wanted) this.want();
  }
}
