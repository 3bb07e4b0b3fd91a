// Commands: asked for twice where they cost money, sent once, and followed until their outcome is known.

import { newKey, post, Refusal } from "./api.js";
import { byId, make, say } from "./dom.js";

const SHOWN_MS = 9_000;

/** Ask before something is done; return false, or {option} where a box could be ticked. */
export function confirm({ title, text, verb, word, option, danger = true }) {
  const dialog = byId("ask");
  const [input, yes, box] = [byId("ask-input"), byId("ask-yes"), byId("ask-option")];
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-word").textContent = word ?? "";
  byId("ask-word-label").hidden = !word;
  byId("ask-option-label").hidden = !option;
  byId("ask-option-label").querySelector("span").textContent = option ?? "";
  input.value = "";
  box.checked = false;
  yes.textContent = verb;
  yes.classList.toggle("danger", danger);
  const check = () => {
    yes.disabled = Boolean(word) && input.value.trim().toLowerCase() !== word.toLowerCase();
  };
  const enter = (event) => {
    if (event.key !== "Enter" || event.target !== input) return;
    event.preventDefault(); // the first button of the form is the one that goes back
    if (!yes.disabled) dialog.close("yes");
  };
  check();
  dialog.returnValue = "no";
  dialog.showModal();
  (word ? input : yes).focus();
  return new Promise((resolve) => {
    input.addEventListener("input", check);
    dialog.addEventListener("keydown", enter);
    dialog.addEventListener(
      "close",
      () => {
        input.removeEventListener("input", check);
        dialog.removeEventListener("keydown", enter);
        resolve(dialog.returnValue === "yes" && { option: box.checked });
      },
      { once: true },
    );
  });
}

/** Show a note that stays until it is dismissed; return it and where it says what became of it. */
export function note(words, text, kind = "down") {
  const state = make("span", { class: kind }, text);
  const shown = make("div", { class: "outcome card" }, make("b", {}, words), " ", state);
  shown.append(make("button", { class: "quiet close", "aria-label": "Dismiss", onclick: () => shown.remove() }, "×"));
  byId("outcomes").append(shown);
  return [shown, state];
}

/** Sends commands and shows what becomes of them. */
export class Commands {
  #open = new Map();

  constructor(store) {
    this.store = store;
    store.on(["commands"], () => this.#look());
  }

  /**
   * Send a command.
   *
   * @param words what it is, for a person.
   * @param body action and its terms.
   */
  async send(words, body) {
    const [shown, state] = note(words, "sent…", "dim");
    try {
      const taken = await post("/api/live/control", body, newKey());
      say(state, "taken…");
      this.#open.set(taken.command_id, { shown, state });
      this.#look();
    } catch (error) {
      if (error instanceof Refusal) this.#end(shown, state, "refused", error.message);
      else this.#end(shown, state, "no answer", "it may have been carried out; Commands will tell");
    }
  }

  #look() {
    for (const row of this.store.rows("commands")) {
      const open = this.#open.get(row.command_id);
      if (open === undefined || row.outcome === "pending") continue;
      this.#open.delete(row.command_id);
      this.#end(open.shown, open.state, row.outcome, row.note);
    }
  }

  #end(shown, state, outcome, why) {
    const good = outcome === "done";
    state.className = good ? "up" : "down";
    say(state, why ? `${outcome}: ${why}` : outcome);
    if (good) setTimeout(() => shown.remove(), SHOWN_MS);
  }
}
