// What the daemon has told, section by section; whoever looks is called once a frame at most.

const EVENTS_KEPT = 500;
const HIDDEN_MS = 1_000; // a page that nobody sees has no frames, but its title is read

export class Store {
  #listeners = [];
  #dirty = new Set();
  #events = [];
  #asked = false;

  constructor() {
    this.sections = {};
    this.epoch = "";
    this.seq = 0;
    this.missed = 0;
    document.addEventListener("visibilitychange", () => this.#asked && this.#ask());
  }

  /** Take a message of the stream over. */
  take(message) {
    if (message.type === "snapshot") {
      for (const name of Object.keys(this.sections)) this.#dirty.add(name);
      this.sections = message.data;
      this.#note(Object.keys(message.data), []);
      this.#dirty.add("snapshot");
    } else {
      for (const [name, rows] of Object.entries(message.set)) {
        this.sections[name] = { ...this.sections[name], ...rows };
      }
      for (const [name, keys] of Object.entries(message.gone)) {
        const left = { ...this.sections[name] };
        for (const key of keys) delete left[key];
        this.sections[name] = left;
      }
      if (message.missed) this.#dirty.add("missed");
      this.#note([...Object.keys(message.set), ...Object.keys(message.gone)], message.events);
    }
    this.epoch = message.epoch;
    this.seq = message.seq;
  }

  #note(names, events) {
    for (const name of names) this.#dirty.add(name);
    this.#events.push(...events);
    if (this.#events.length > EVENTS_KEPT) {
      this.#events.splice(0, this.#events.length - EVENTS_KEPT);
      this.#dirty.add("missed");
    }
    if (!this.#asked) this.#ask();
  }

  #ask() {
    this.#asked = true;
    if (document.hidden) setTimeout(() => this.#flush(), HIDDEN_MS);
    else requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    if (!this.#asked) return;
    this.#asked = false;
    const [dirty, events] = [this.#dirty, this.#events];
    this.#dirty = new Set();
    this.#events = [];
    for (const { names, call } of this.#listeners) {
      if (names.some((name) => dirty.has(name) || (name === "events" && events.length))) call(events);
    }
  }

  /** Have `call(events)` called when one of these has changed: sections, `events`, `missed` or `snapshot`. */
  on(names, call) {
    this.#listeners.push({ names, call });
  }

  /** Return [key, row] pairs of a section. */
  pairs(name) {
    return Object.entries(this.sections[name] ?? {});
  }

  /** Return the rows of a section. */
  rows(name) {
    return Object.values(this.sections[name] ?? {});
  }

  /** Return the row of a section that is one row. */
  one(name) {
    return this.sections[name]?.[""];
  }
}
