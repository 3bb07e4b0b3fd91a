// The single tab: one strategy over one series of bars, run by the daemon's side and looked at here.

import { get, newKey, post } from "./api.js";
import { byId, make, options, say, Table } from "./dom.js";
import { count, money, NONE, percent, ratio, when } from "./format.js";
import { Result } from "./result.js";

const SERIES_PAGE = 1_000;
const NS_PER_MS = 1e6;
const ROWS_SHOWN = 100;
const OPEN = ["queued", "running"];

export class Single {
  #strategies = new Map();
  #shown = 0; // number of the backtest that is looked at
  #state = "";

  constructor(store, may) {
    this.store = store;
    this.may = may;
    this.result = new Result();
    this.table = new Table(byId("backtests"), this.#columns(), "None yet.");
    byId("run").addEventListener("submit", (event) => this.#run(event));
    byId("run-strategy").addEventListener("change", () => this.#describe());
    byId("run").querySelector("button.primary").disabled = !may;
    store.on(["backtests"], () => this.#look());
    addEventListener("hashchange", () => this.#begin());
    this.#begin();
  }

  /** Read what can be run, once somebody looks at the tab. */
  async #begin() {
    if (location.hash !== "#single" || this.#strategies.size) return;
    try {
      const [strategies, series] = await Promise.all([
        get("/api/strategies"),
        get("/api/series", { kind: "bars", limit: SERIES_PAGE }),
      ]);
      this.#strategies = new Map(strategies.rows.map((row) => [row.name, row]));
      options(byId("run-strategy"), strategies.rows.map((row) => [row.name, row.name]));
      byId("run-none").hidden = series.rows.length > 0;
      if (series.rows.length) options(byId("run-tape"), series.rows.map((row) => [row.name, describeSeries(row)]));
      this.#describe();
    } catch (error) {
      say(byId("run-error"), error.message);
    }
  }

  #describe() {
    const found = this.#strategies.get(byId("run-strategy").value);
    if (!found) return;
    const parts = found.doc.split("\n\n")[0].split("`");
    byId("run-doc").replaceChildren(...parts.map((part, index) => (index % 2 ? make("code", {}, part) : part)));
    const fields = Object.entries(found.params.properties).map(([name, schema]) => field(name, schema));
    byId("run-params").replaceChildren(...fields);
  }

  async #run(event) {
    event.preventDefault();
    const button = byId("run").querySelector("button.primary");
    button.disabled = true;
    say(byId("run-error"), "");
    try {
      const { id } = await post("/api/backtests/run", this.#request(), newKey());
      this.#show(id);
    } catch (error) {
      say(byId("run-error"), error.message);
    }
    button.disabled = !this.may;
  }

  #request() {
    const params = {};
    for (const input of byId("run-params").querySelectorAll("[name]")) {
      const value = input.type === "checkbox" ? input.checked : input.value;
      if (value === "" || String(value) === input.dataset.usual) continue;
      params[input.name] = input.type === "number" ? Number(value) : value;
    }
    const settings = {};
    if (byId("run-cash").value) settings.account = { cash: Number(byId("run-cash").value) };
    const fee = byId("run-fee").value;
    if (fee) settings.venue = { taker_fee: Number(fee), maker_fee: Number(fee) };
    return {
      strategy: byId("run-strategy").value,
      params,
      tape: [byId("run-tape").value],
      settings,
      ...moment("from_ns", byId("run-from").value),
      ...moment("to_ns", byId("run-to").value),
    };
  }

  #look() {
    const rows = this.store.rows("backtests").toSorted((one, other) => other.id - one.id);
    this.table.show(rows.slice(0, ROWS_SHOWN).map((row) => [String(row.id), row]));
    const row = this.store.sections.backtests?.[String(this.#shown)];
    if (row && row.state !== this.#state) this.#show(row.id);
    else if (row && row.state === "running") this.result.progress(row);
  }

  #show(id) {
    const row = this.store.sections.backtests?.[String(id)];
    this.#state = row?.state ?? "";
    const isNew = id !== this.#shown;
    this.#shown = id;
    this.result.show(id, row, isNew);
  }

  #columns() {
    return [
      { name: "#", right: true, rank: 2, text: (row) => String(row.id) },
      { name: "Strategy", named: true, text: (row) => row.strategy, title: (row) => JSON.stringify(row.params) },
      { name: "Bars", rank: 2, wrap: true, text: (row) => row.tape.join(", ") },
      { name: "Asked for", rank: 3, text: (row) => when(row.created_ns, Date.now() * NS_PER_MS) },
      {
        name: "State",
        cell: () => make("span", { class: "pill" }),
        refresh: (cell, row) => {
          cell.dataset.state = row.state;
          const share = row.state === "running" && row.bars_total ? ` ${percent(row.bars_done / row.bars_total)}` : "";
          say(cell, row.state + share);
          cell.title = row.error;
        },
      },
      { name: "Equity", right: true, text: (row) => money(row.final_equity) },
      { name: "Trades", right: true, rank: 3, text: (row) => (row.trades === null ? NONE : count(row.trades)) },
      { name: "Sharpe", right: true, rank: 2, text: (row) => ratio(row.sharpe) },
      { name: "Drawdown", right: true, rank: 2, text: (row) => percent(row.max_drawdown, 2) },
      {
        name: "",
        right: true,
        cell: (row, current) => {
          const show = make("button", { class: "small", "aria-label": `Show backtest ${row.id}`, onclick: () => this.#show(row.id) }, "Show");
          const cancel = make("button", { class: "small", "aria-label": `Cancel backtest ${row.id}`, onclick: () => this.#cancel(current()) }, "Cancel");
          cancel.disabled = !this.may;
          return make("div", { class: "actions" }, show, cancel);
        },
        refresh: (cell, row) => {
          cell.lastElementChild.hidden = !OPEN.includes(row.state);
        },
      },
    ];
  }

  async #cancel(row) {
    try {
      await post(`/api/backtests/${row.id}/cancel`);
    } catch (error) {
      say(byId("run-error"), error.message);
    }
  }
}

function describeSeries(row) {
  const day = (ns) => when(ns).slice(0, 10);
  return `${row.name}, ${day(row.first_ns)} to ${day(row.last_ns)}`;
}

/** Return a day's beginning in UTC as a term of a request, or nothing. */
function moment(name, day) {
  return day ? { [name]: Date.parse(`${day}T00:00:00Z`) * NS_PER_MS } : {};
}

/** Return the input of one parameter, made of its schema. */
function field(name, schema) {
  const usual = schema.default === undefined ? "" : String(schema.default);
  const about = { name, title: schema.description ?? "", "data-usual": usual };
  if (schema.type === "boolean") {
    const box = make("input", { ...about, type: "checkbox", checked: schema.default === true });
    return make("label", { class: "option", title: about.title }, box, make("span", {}, name.replaceAll("_", " ")));
  }
  let input;
  if (schema.type === "string") {
    input = make("textarea", { ...about, rows: "2", maxlength: schema.maxLength });
    input.value = usual;
  } else {
    const [low, high] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
    const step = schema.type === "integer" ? "1" : "any";
    input = make("input", { ...about, type: "number", step, min: low, max: high, value: usual, required: true });
  }
  return make("label", { title: about.title }, name.replaceAll("_", " "), input);
}
