// What one backtest came to: its figures, its chart, its equity and its trades.

import { get } from "./api.js";
import { Chips } from "./chips.js";
import { byId, make, options, say, Table } from "./dom.js";
import { candleFigure, equityFigure } from "./figures.js";
import { count, money, percent, price, quantity, ratio, when } from "./format.js";
import { Drawing } from "./plot.js";
import { longer, seconds } from "./timeframes.js";

const BARS = 300;
const POINTS = 800;
const FILLS_MAX = 5_000;
const PAGE = 1_000;
const TRADES_PAGE = 100;
const NS_PER_S = 1e9;
const NS_PER_MS = 1e6;
const AFTER = 40; // bars beyond a trade that is looked at

export class Result {
  #id = 0;
  #charts = [];
  #bars = [];
  #fills = [];
  #trades = [];
  #curve = { start_equity: 0, points: [] };
  #cursor = 0; // 0 for the newest bars
  #after = []; // cursors of what was seen before going back
  #made = 0; // trades it made, whether kept or not
  #next = null; // of the trades
  #asked = 0;
  #reading = 0;
  #isReading = false; // a second press is about what the first has not brought yet

  constructor() {
    this.panels = [...document.querySelectorAll(".result")];
    this.price = new Drawing(byId("result-price"), () => this.#candles());
    this.equity = new Drawing(byId("result-equity"), () => this.#equity());
    this.chips = new Chips(byId("result-features"), () => this.price.want(true));
    this.table = new Table(byId("result-trades"), this.#columns(), "It made no round trip.");
    byId("result-symbol").addEventListener("change", () => this.#choose());
    byId("result-timeframe").addEventListener("change", () => this.#read(0));
    byId("result-earlier").addEventListener("click", () => this.#earlier());
    byId("result-later").addEventListener("click", () => this.#later());
    byId("result-more").addEventListener("click", () => this.#more());
  }

  /** Show a backtest: how it stands, and everything once it is done. */
  async show(id, row, isNew) {
    this.#id = id;
    const asked = ++this.#asked;
    say(byId("h-result"), `Backtest ${id}${row ? `: ${row.strategy} on ${row.tape.join(", ")}` : ""}`);
    for (const panel of this.panels) panel.hidden = panel !== this.panels[0];
    byId("result-metrics").replaceChildren();
    this.progress(row ?? { state: "queued" });
    if (isNew) byId("h-result").focus({ preventScroll: true });
    if (row?.state !== "done") return;
    try {
      const { result } = await get(`/api/backtests/${id}`);
      const curve = await get(`/api/backtests/${id}/equity`, { points: POINTS });
      const fills = await this.#allFills(id);
      if (asked !== this.#asked) return;
      for (const panel of this.panels) panel.hidden = false;
      say(byId("result-note"), "");
      this.#metrics(result.summary);
      [this.#curve, this.#fills, this.#charts] = [curve, fills, result.charts];
      this.#made = result.trades.rows;
      this.equity.want(true);
      this.#trades = [];
      this.#next = 0;
      await this.#more();
      options(byId("result-symbol"), result.charts.map((chart) => [chart.symbol, chart.symbol]));
      byId("result-symbol").hidden = result.charts.length < 2;
      this.#choose();
    } catch (error) {
      say(byId("result-note"), error.message);
    }
  }

  /** Say how a backtest that is not done stands. */
  progress(row) {
    const share = row.bars_total ? `: ${count(row.bars_done)} of ${count(row.bars_total)} bars` : "";
    say(byId("result-note"), row.state === "done" ? "Reading what it came to…" : row.error ? `${row.state}: ${row.error}` : row.state + share);
  }

  async #allFills(id) {
    const rows = [];
    let cursor = 0;
    while (cursor !== null && rows.length < FILLS_MAX) {
      const page = await get(`/api/backtests/${id}/fills`, { cursor, limit: PAGE });
      rows.push(...page.rows);
      cursor = page.next;
    }
    return rows;
  }

  #metrics(summary) {
    const gained = summary.final_equity - summary.start_equity;
    const figures = [
      ["Equity at the end", money(summary.final_equity)],
      ["Profit", `${money(gained, true)} (${percent(gained / summary.start_equity, 2, true)})`, gained],
      ["Largest drawdown", percent(summary.max_drawdown, 2)],
      ["Sharpe ratio", ratio(summary.sharpe)],
      ["Trades", count(summary.trades)],
      ["Fills", count(summary.fills)],
      ["Fees", money(summary.fees)],
      ["Bars", count(summary.bars)],
    ];
    byId("result-metrics").replaceChildren(
      ...figures.map(([name, text, of = 0]) =>
        make("div", {}, make("dt", {}, name), make("dd", { class: of > 0 ? "up" : of < 0 ? "down" : undefined }, text)),
      ),
    );
  }

  #step(symbol) {
    return this.#charts.find((chart) => chart.symbol === symbol)?.price_step;
  }

  // --- the chart ------------------------------------------------------------------------------------

  get #chart() {
    return this.#charts.find((chart) => chart.symbol === byId("result-symbol").value) ?? this.#charts[0];
  }

  #choose() {
    const base = this.#chart?.timeframe;
    if (base === undefined) return;
    options(byId("result-timeframe"), [base, ...longer(base)].map((each) => [each, each]));
    this.#after = [];
    this.#read(0, true);
  }

  async #read(cursor, anew = false) {
    const [asked, reading] = [this.#asked, ++this.#reading];
    const timeframe = byId("result-timeframe").value;
    this.#isReading = true;
    try {
      const found = await get(`/api/backtests/${this.#id}/bars`, { symbol: this.#chart.symbol, timeframe, cursor, limit: BARS });
      if (asked !== this.#asked || reading !== this.#reading) return;
      this.#cursor = cursor;
      if (cursor === 0) this.#after = [];
      this.#bars = found.rows;
      byId("result-earlier").disabled = found.next === null;
      byId("result-later").disabled = cursor === 0;
      this.chips.offer(this.#bars, anew);
      this.price.want(true);
    } catch (error) {
      say(byId("result-note"), error.message);
    }
    if (reading === this.#reading) this.#isReading = false;
  }

  #later() {
    if (!this.#isReading) this.#read(this.#after.pop() ?? 0);
  }

  #earlier() {
    if (!this.#bars.length || this.#isReading) return;
    this.#after.push(this.#cursor);
    this.#read(this.#bars[0].open_ns);
  }

  #candles() {
    return candleFigure({
      symbol: this.#chart.symbol,
      bars: this.#bars,
      trades: this.#fills.filter((fill) => fill.symbol === this.#chart.symbol),
      features: this.chips.shown,
      step: this.#step(this.#chart.symbol),
      keep: `${this.#id} ${this.#cursor} ${byId("result-timeframe").value}`,
    });
  }

  #equity() {
    return equityFigure({
      times: this.#curve.points.map((point) => point.ts_ns / NS_PER_MS),
      values: this.#curve.points.map((point) => point.equity),
      start: this.#curve.start_equity,
      keep: this.#id,
    });
  }

  // --- the trades -----------------------------------------------------------------------------------

  async #more() {
    const page = await get(`/api/backtests/${this.#id}/trades`, { cursor: this.#next ?? 0, limit: TRADES_PAGE });
    this.#trades.push(...page.rows);
    this.#next = page.next;
    byId("result-more").hidden = page.next === null;
    this.table.show(this.#trades.map((row, index) => [`${this.#id} ${index}`, row]));
    if (this.#trades.length < this.#made) say(this.table.count, `${count(this.#trades.length)} of ${count(this.#made)}`);
  }

  #columns() {
    return [
      { name: "Opened", stacks: true, text: (row) => when(row.opened_ns) },
      { name: "Closed", rank: 3, stacks: true, text: (row) => when(row.closed_ns) },
      { name: "Symbol", rank: 3, text: (row) => row.symbol },
      { name: "Side", text: (row) => row.side, of: (row) => (row.side === "long" ? 1 : -1) },
      { name: "Quantity", right: true, rank: 2, text: (row) => quantity(row.quantity) },
      { name: "Entry", right: true, rank: 2, text: (row) => price(row.entry, this.#step(row.symbol)) },
      { name: "Exit", right: true, rank: 2, text: (row) => price(row.exit, this.#step(row.symbol)) },
      { name: "Fees", right: true, rank: 3, text: (row) => money(row.fees) },
      { name: "Profit", right: true, text: (row) => money(row.profit - row.fees, true), of: (row) => row.profit - row.fees },
      {
        name: "",
        right: true,
        cell: (row, current) => make("button", { class: "small", "aria-label": `Chart of the trade of ${when(row.opened_ns)}`, onclick: () => this.#jump(current()) }, "Chart"),
      },
    ];
  }

  #jump(row) {
    this.#after = [];
    this.#read(Math.round(row.closed_ns + AFTER * seconds(byId("result-timeframe").value) * NS_PER_S));
    byId("result-price").scrollIntoView({ block: "nearest" });
  }
}
