// Keeps the stream open: goes on where it was, and knows since when nothing can have come.

const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 8_000;
const SILENT_MS = 15_000;
const PROBE_MS = 5_000;

export class Stream {
  #socket;
  #wait = WAIT_MIN_MS;
  #heard = Date.now();
  #timer;

  /**
   * @param store takes the messages.
   * @param onChange called when the connection comes and goes.
   */
  constructor(store, onChange) {
    this.store = store;
    this.onChange = onChange;
    this.since = Date.now(); // null while it is open
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
    setInterval(() => this.#probe(), PROBE_MS);
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { epoch, seq } = this.store;
    const where = new URL("/api/stream", location.href);
    where.protocol = location.protocol.replace("http", "ws");
    if (epoch) where.search = new URLSearchParams({ epoch, since: seq });
    const socket = new WebSocket(where);
    this.#socket = socket;
    // where nothing has changed nothing comes: what is shown is true as soon as the connection is
    socket.onopen = () => {
      this.#heard = Date.now();
      if (epoch && this.since !== null) this.#change(null);
    };
    socket.onmessage = (event) => {
      this.#heard = Date.now();
      this.#wait = WAIT_MIN_MS;
      this.store.take(JSON.parse(event.data));
      if (this.since !== null) this.#change(null);
    };
    socket.onclose = () => this.#lost(socket);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (this.since === null) this.#change(this.#heard);
    this.#timer = setTimeout(() => this.#again(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, WAIT_MAX_MS);
  }

  async #again() {
    try {
      const answer = await fetch("/api/session", { signal: AbortSignal.timeout(PROBE_MS) });
      if (answer.status === 401) location.reload(); // the same address asks for the token
    } catch {
      // nobody answers yet
    }
    if (this.#socket === undefined) this.#open();
  }

  #now() {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#again();
    }
  }

  /** A network that has vanished closes nothing: where it has long been silent, see whether anybody answers, and anew. */
  async #probe() {
    const socket = this.#socket;
    if (socket === undefined || Date.now() - this.#heard < SILENT_MS) return;
    try {
      await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) });
      if (socket !== this.#socket || Date.now() - this.#heard < SILENT_MS) return;
      this.#open(); // this one may be dead for all we can tell
    } catch {
      this.#lost(socket);
    }
    socket.close();
  }

  #change(since) {
    this.since = since;
    this.onChange();
  }
}
