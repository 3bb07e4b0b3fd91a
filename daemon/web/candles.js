// Candlesticks of one symbol, with the trades in it and what a strategy was told beside each bar.

import { get, passes } from "./api.js";
import { Chips } from "./chips.js";
import { byId, options } from "./dom.js";
import { candleFigure } from "./figures.js";
import { Drawing } from "./plot.js";
import { longer } from "./timeframes.js";

const BARS = innerWidth < 640 ? 120 : 240;
const TRADES = 500;
const RELOAD_MS = 1_000;
const PENDING_MS = 3_000;

export class CandleChart {
  #bars = [];
  #trades = [];
  #base = "";
  #anew = true; // whether other bars than before are shown
  #asked = 0;
  #reloading;

  constructor(store) {
    this.store = store;
    this.drawing = new Drawing(byId("price-chart"), () => this.#describe());
    this.chips = new Chips(byId("features"), () => this.drawing.want(true));
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
    if (picker !== this.pickers[2]) this.#anew = true;
    this.#bars = [];
    this.load();
  }

  /** Read bars and trades anew. */
  async load() {
    clearTimeout(this.#reloading);
    this.#reloading = undefined;
    const [symbol, strategy, asked, chosen] = [this.symbol, this.strategy, ++this.#asked, !this.#bars.length];
    try {
      const bars = await get("/api/live/bars", { symbol, strategy, timeframe: this.pickers[2].value, limit: BARS });
      const from = bars.rows[0]?.open_ns;
      const trades = await get("/api/live/fills", { symbol, strategy: strategy || undefined, from_ns: from, limit: TRADES });
      if (asked !== this.#asked) return;
      if (!this.#base) this.#lengths(bars.timeframe);
      this.#bars = bars.rows;
      this.#trades = trades.rows;
      this.chips.offer(this.#bars, this.#anew);
      this.#anew = false;
      this.drawing.want(chosen);
      if (bars.pending) this.#reloading = setTimeout(() => this.load(), PENDING_MS); // features of earlier bars are computed
    } catch (error) {
      console.warn("the bars cannot be read", error);
      if (passes(error) && asked === this.#asked) this.#reloading = setTimeout(() => this.load(), PENDING_MS);
    }
  }

  #lengths(base) {
    this.#base = base;
    options(this.pickers[2], [base, ...longer(base)].map((each) => [each, each]));
  }

  #append() {
    const row = this.store.rows("bars").find((bar) => bar.symbol === this.symbol && (!this.strategy || bar.strategy === this.strategy));
    const last = this.#bars.at(-1);
    if (row === undefined || !this.#base) return;
    if (this.timeframe === this.#base && last && row.open_ns === last.open_ns) return;
    if (this.timeframe === this.#base && last && row.open_ns === last.close_ns) {
      this.#bars.push({ ...row, features: this.strategy ? row.features : null });
      if (this.#bars.length > BARS) this.#bars.shift();
      if (!this.chips.count) this.chips.offer(this.#bars);
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

  #describe() {
    return candleFigure({
      symbol: this.symbol,
      bars: this.#bars,
      trades: this.#trades,
      features: this.chips.shown,
      step: this.store.sections.symbols?.[this.symbol]?.price_step,
      keep: `${this.symbol} ${this.timeframe}`,
    });
  }
}
