// Candlesticks of one symbol, with the trades in it and what a strategy was told beside each bar.

import { get } from "./api.js";
import { byId, make } from "./dom.js";
import { price, quantity } from "./format.js";
import { axis, colours, Drawing, layout } from "./plot.js";

const BARS = innerWidth < 640 ? 120 : 240;
const TRADES = 500;
const NS_PER_MS = 1e6;
const RELOAD_MS = 1_000;
const PENDING_MS = 3_000;
const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const LENGTHS = ["1s", "5s", "15s", "1m", "5m", "15m", "30m", "1h", "4h", "1d"];
const PLACE = /^(\d+)([smhdw])$/;

function seconds(timeframe) {
  const [, count, unit] = PLACE.exec(timeframe) ?? [, 0, "s"];
  return Number(count) * SECONDS[unit];
}

export class CandleChart {
  #bars = [];
  #trades = [];
  #base = "";
  #shown = null; // names of features people chose; null for those that fit
  #asked = 0;
  #reloading;

  constructor(store) {
    this.store = store;
    this.drawing = new Drawing(byId("price-chart"), () => this.#describe());
    this.pickers = ["symbol", "whose", "timeframe"].map(byId);
    for (const picker of this.pickers) picker.addEventListener("change", () => this.#choose(picker));
    store.on(["symbols", "strategies"], () => this.#offer());
    store.on(["bars"], () => this.#append());
    store.on(["events"], (events) => this.#trade(events));
    store.on(["snapshot", "missed"], () => this.#base && this.load());
  }

  get symbol() {
    return this.pickers[0].value;
  }

  get strategy() {
    return this.pickers[1].value;
  }

  get timeframe() {
    return this.pickers[2].value || this.#base;
  }

  #offer() {
    const symbols = this.store.rows("symbols").map((row) => row.symbol);
    if (!symbols.length) return;
    const isNew = !this.symbol;
    options(this.pickers[0], symbols.map((name) => [name, name]));
    const whose = this.store.rows("strategies").filter((row) => row.symbols.includes(this.symbol));
    options(this.pickers[1], [...whose.map((row) => [row.strategy, row.strategy]), ["", "all trades"]]);
    if (isNew) this.load();
  }

  #choose(picker) {
    if (picker === this.pickers[0]) this.#offer();
    if (picker !== this.pickers[2]) this.#shown = null;
    this.#bars = [];
    this.load();
  }

  /** Read bars and trades anew. */
  async load() {
    clearTimeout(this.#reloading);
    this.#reloading = undefined;
    const [symbol, strategy, asked] = [this.symbol, this.strategy, ++this.#asked];
    try {
      const bars = await get("/api/live/bars", { symbol, strategy, timeframe: this.pickers[2].value, limit: BARS });
      const from = bars.rows[0]?.open_ns;
      const trades = await get("/api/live/fills", { symbol, strategy: strategy || undefined, from_ns: from, limit: TRADES });
      if (asked !== this.#asked) return;
      if (!this.#base) this.#lengths(bars.timeframe);
      this.#bars = bars.rows;
      this.#trades = trades.rows;
      this.#chips();
      this.drawing.want();
      if (bars.pending) this.#reloading = setTimeout(() => this.load(), PENDING_MS); // features of earlier bars are computed
    } catch (error) {
      console.warn("the bars cannot be read", error);
    }
  }

  #lengths(base) {
    this.#base = base;
    const longer = LENGTHS.filter((each) => seconds(each) > seconds(base) && seconds(each) % seconds(base) === 0);
    options(this.pickers[2], [base, ...longer].map((each) => [each, each]));
  }

  #append() {
    const row = this.store.rows("bars").find((bar) => bar.symbol === this.symbol && (!this.strategy || bar.strategy === this.strategy));
    const last = this.#bars.at(-1);
    if (row === undefined || !this.#base) return;
    if (this.timeframe === this.#base && last && row.open_ns === last.open_ns) return;
    if (this.timeframe === this.#base && last && row.open_ns === last.close_ns) {
      this.#bars.push({ ...row, features: this.strategy ? row.features : null });
      if (this.#bars.length > BARS) this.#bars.shift();
      if (this.#bars.length === 2) this.#chips();
      this.drawing.want();
    } else this.#reloading ??= setTimeout(() => this.load(), RELOAD_MS); // some went by unseen, or belong to a longer one
  }

  #trade(events) {
    for (const event of events) {
      if (event.kind !== "fill" || event.symbol !== this.symbol) continue;
      if (!this.strategy || event.strategy === this.strategy) this.#trades.push(event);
    }
    if (this.#trades.length > 2 * TRADES) this.#trades.splice(0, this.#trades.length - TRADES);
  }

  /** Return the features there are numbers for, and whether each is a price. */
  #features() {
    const found = new Map();
    for (const bar of this.#bars) {
      for (const [name, value] of Object.entries(bar.features ?? {})) {
        if (value !== null) found.set(name, value / bar.close);
      }
    }
    return [...found].map(([name, ratio]) => ({ name, isPrice: ratio > 0.5 && ratio < 2 }));
  }

  #isShown({ name, isPrice }) {
    return this.#shown === null ? isPrice : this.#shown.has(name);
  }

  #chips() {
    const found = this.#features();
    const chips = found.map((feature) =>
      make("button", { class: "chip", "aria-pressed": String(this.#isShown(feature)), onclick: () => this.#toggle(feature.name) }, feature.name),
    );
    byId("features").replaceChildren(...chips);
  }

  #toggle(name) {
    this.#shown ??= new Set(this.#features().filter((each) => this.#isShown(each)).map((each) => each.name));
    if (!this.#shown.delete(name)) this.#shown.add(name);
    this.#chips();
    [...byId("features").children].find((chip) => chip.textContent === name)?.focus();
    this.drawing.want();
  }

  #describe() {
    const colour = colours();
    const bars = this.#bars;
    const step = this.store.sections.symbols?.[this.symbol]?.price_step;
    const times = bars.map((bar) => bar.open_ns / NS_PER_MS);
    const shown = this.#features().filter((each) => this.#isShown(each));
    const below = shown.some((each) => !each.isPrice);
    const palette = [colour.accent, colour.warn, "#9a6dd7", "#2ba5b5", "#c4669b", colour.dim];
    const candles = {
      type: "candlestick",
      name: this.symbol,
      x: times,
      open: bars.map((bar) => bar.open),
      high: bars.map((bar) => bar.high),
      low: bars.map((bar) => bar.low),
      close: bars.map((bar) => bar.close),
      increasing: { line: { color: colour.up, width: 1 }, fillcolor: colour.up },
      decreasing: { line: { color: colour.down, width: 1 }, fillcolor: colour.down },
    };
    const overlays = shown.map((feature, index) => ({
      type: "scatter",
      mode: "lines",
      name: feature.name,
      x: times,
      y: bars.map((bar) => bar.features?.[feature.name] ?? null),
      yaxis: feature.isPrice ? "y" : "y2",
      line: { color: palette[index % palette.length], width: 1.4 },
      hovertemplate: `${feature.name} %{y:.6~g}<extra></extra>`,
    }));
    return {
      traces: [candles, ...overlays, this.#marks("buy", colour.up, step), this.#marks("sell", colour.down, step)],
      layout: layout(colour, {
        uirevision: `${this.symbol} ${this.timeframe}`,
        xaxis: axis(colour, { type: "date", showgrid: false, rangeslider: { visible: false }, anchor: below ? "y2" : "y" }),
        yaxis: axis(colour, { side: "right", domain: below ? [0.3, 1] : [0, 1], tickformat: ",.6~g", fixedrange: true }),
        yaxis2: axis(colour, { side: "right", domain: [0, 0.24], visible: below, tickformat: "~g", nticks: 4, fixedrange: true }),
      }),
      label: `Candlesticks of ${this.symbol}: ${bars.length} bars, the last close ${price(bars.at(-1)?.close, step)}, ${this.#trades.length} trades`,
    };
  }

  #marks(side, colour, step) {
    const from = this.#bars[0]?.open_ns ?? 0;
    const trades = this.#trades.filter((trade) => trade.side === side && trade.executed_ns >= from);
    return {
      type: "scatter",
      mode: "markers",
      name: side,
      x: trades.map((trade) => trade.executed_ns / NS_PER_MS),
      y: trades.map((trade) => trade.price),
      text: trades.map((trade) => `${trade.strategy} ${side} ${quantity(trade.quantity)} at ${price(trade.price, step)}`),
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        symbol: side === "buy" ? "triangle-up" : "triangle-down",
        size: 11,
        color: colour,
        line: { color: colours().card, width: 1.5 },
      },
    };
  }
}

/** Have a select offer these [value, text] pairs, and keep what was chosen where it is still there. */
function options(select, pairs) {
  const have = [...select.options].map((option) => option.value);
  if (have.join("\n") === pairs.map(([value]) => value).join("\n")) return;
  const chosen = select.options.length ? select.value : pairs[0][0];
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs[0][0];
}
