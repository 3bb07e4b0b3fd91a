// The equity curve: history from the journal, and the newest from the stream.

import { get } from "./api.js";
import { byId } from "./dom.js";
import { money } from "./format.js";
import { axis, colours, Drawing, layout } from "./plot.js";

const POINTS = 600;
const POINTS_MAX = 2_400;
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
    byId("span").addEventListener("change", () => this.load());
    store.on(["summary"], () => this.#append());
    store.on(["snapshot"], () => this.load());
  }

  async load() {
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
    } catch (error) {
      console.warn("the equity curve cannot be read", error);
    }
    this.#loading = false;
    if (this.#again) this.load();
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
    const colour = colours();
    const line = {
      type: "scatter",
      mode: "lines",
      x: this.#times,
      y: this.#values,
      line: { color: colour.accent, width: 1.75 },
      hovertemplate: "%{y:,.2f}<extra></extra>",
    };
    const low = Math.min(...this.#values);
    const high = Math.max(...this.#values);
    const near = this.#start >= low && this.#start <= high;
    const begun = { type: "line", xref: "paper", x0: 0, x1: 1, y0: this.#start, y1: this.#start };
    return {
      traces: [line],
      layout: layout(colour, {
        uirevision: byId("span").value,
        xaxis: axis(colour, { type: "date", showgrid: false }),
        yaxis: axis(colour, { side: "right", tickformat: ",.6~g", fixedrange: true, nticks: 6 }),
        shapes: near ? [{ ...begun, line: { color: colour.edge, width: 1, dash: "dot" } }] : [],
      }),
      label: `Equity curve: ${money(this.#values.at(-1))} now, between ${money(low)} and ${money(high)}`,
    };
  }
}
