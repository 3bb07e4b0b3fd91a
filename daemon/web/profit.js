// What was gained by day, week or month: read from the journal, and read again while somebody looks.

import { get, passes } from "./api.js";
import { byId, Table } from "./dom.js";
import { count, money, percent } from "./format.js";

const EVERY_MS = 10_000;
const RETRY_MS = 3_000;

export class Profit {
  #loading = false;
  #again = false;
  #read = 0;

  constructor(store) {
    const columns = [
      { name: "From", text: (row) => row.date },
      { name: "Equity", right: true, rank: 2, text: (row) => money(row.equity) },
      { name: "Profit", right: true, text: (row) => money(row.profit, true), of: (row) => row.profit },
      { name: "Share", right: true, text: (row) => percent(row.share, 2, true), of: (row) => row.share ?? 0 },
      { name: "Fills", right: true, rank: 3, text: (row) => count(row.fills) },
    ];
    this.table = new Table(byId("profit"), columns, "No bar has closed yet.");
    byId("period").addEventListener("change", () => this.load());
    store.on(["snapshot"], () => this.load());
    store.on(["summary"], () => performance.now() - this.#read > EVERY_MS && !document.hidden && this.load());
  }

  async load() {
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    this.#read = performance.now();
    const by = byId("period").value;
    try {
      const { rows } = await get("/api/live/profit", { by });
      this.table.show(rows.map((row) => [`${by} ${row.start_ns}`, row]));
    } catch (error) {
      console.warn("the profit cannot be read", error);
      if (passes(error)) setTimeout(() => this.load(), RETRY_MS);
    }
    this.#loading = false;
    if (this.#again) this.load();
  }
}
