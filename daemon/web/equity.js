// The equity curve: history from the journal, and the newest from the stream.

import { get, passes } from "./api.js";
import { byId } from "./dom.js";
import { equityFigure } from "./figures.js";
import { Drawing } from "./plot.js";

const POINTS = 600;
const POINTS_MAX = 2_400;
const RETRY_MS = 3_000;
const DAY_NS = 86_400e9;
const NS_PER_MS = 1e6;

export class EquityChart {
  #times = [];
  #values = [];
  #start = null;
  #loading = false;
  #again = false;

  constructor(store) {
    this.store = store;
    this.drawing = new Drawing(byId("equity-chart"), () => this.#describe());
    byId("span").addEventListener("change", () => this.load(true));
    store.on(["summary"], () => this.#append());
    store.on(["snapshot"], () => this.load());
  }

  async load(chosen = false) {
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    try {
      const days = Number(byId("span").value);
      const now = this.store.one("summary")?.clock.ts_ns;
      const from = days && now ? Math.round(now - days * DAY_NS) : undefined;
      const curve = await get("/api/live/equity", { points: POINTS, from_ns: from });
      this.#times = curve.points.map((point) => point.ts_ns / NS_PER_MS);
      this.#values = curve.points.map((point) => point.equity);
      this.#start = curve.start_cash;
      this.#append();
      if (chosen) this.drawing.want(true);
    } catch (error) {
      console.warn("the equity curve cannot be read", error);
      if (passes(error)) setTimeout(() => this.load(), RETRY_MS);
    }
    this.#loading = false;
    if (this.#again) this.load(chosen);
  }

  #append() {
    const summary = this.store.one("summary");
    if (!summary || this.#start === null) return;
    const time = summary.clock.ts_ns / NS_PER_MS;
    const last = this.#times.length - 1;
    if (last >= 0 && time < this.#times[last]) return;
    if (last >= 0 && time === this.#times[last]) this.#values[last] = summary.equity;
    else {
      this.#times.push(time);
      this.#values.push(summary.equity);
    }
    if (this.#times.length > POINTS_MAX) this.load();
    this.drawing.want();
  }

  #describe() {
    return equityFigure({ times: this.#times, values: this.#values, start: this.#start, keep: byId("span").value });
  }
}
