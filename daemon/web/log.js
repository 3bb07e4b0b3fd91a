// The newest lines of the daemon's log, filtered there.

import { get } from "./api.js";
import { byId, make } from "./dom.js";

const EVERY_MS = 2_000;
const LINES_KEPT = 300;
const TYPING_MS = 250;

export class Log {
  #after = 0;
  #asking = 0;
  #timer;

  constructor() {
    this.list = byId("log");
    byId("level").addEventListener("change", () => this.#anew());
    byId("filter").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#anew(), TYPING_MS);
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.#read());
    this.#read();
  }

  #anew() {
    this.#after = 0;
    this.list.replaceChildren();
    this.#read();
  }

  async #read() {
    clearTimeout(this.#timer);
    const asking = ++this.#asking;
    try {
      const parameters = { after: this.#after, level: byId("level").value, text: byId("filter").value, limit: LINES_KEPT };
      const found = await get("/api/live/logs", parameters);
      if (asking !== this.#asking) return;
      if (found.next < this.#after) return this.#anew(); // another console counts from the beginning
      this.#after = found.next;
      this.#show(found.rows);
    } catch {
      // the stream says that nobody answers
    }
    if (asking === this.#asking && !document.hidden) this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  #show(rows) {
    if (!rows.length) return;
    const { list } = this;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
    list.append(...rows.map(line));
    while (list.childElementCount > LINES_KEPT) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}

function line(row) {
  const fields = Object.entries(row.fields)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  const time = new Date(row.wall_ns / 1e6).toISOString().slice(11, 19);
  return make("li", { "data-level": row.level }, make("time", {}, time), " ", make("b", {}, row.event), " ", make("span", {}, fields));
}
