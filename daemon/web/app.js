// The live tab: who looks, what the account is at, and everything in it kept true by the stream.

import { CSRF, get, logOut, passes, skewMs } from "./api.js";
import { CandleChart } from "./candles.js";
import { Commands, confirm, note } from "./commands.js";
import { byId, make, say, sign } from "./dom.js";
import { EquityChart } from "./equity.js";
import { clock, count, money, span, when } from "./format.js";
import { Log } from "./log.js";
import { Single } from "./single.js";
import { buildPanels } from "./panels.js";
import { Profit } from "./profit.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";

const NS_PER_MS = 1e6;
const TICK_MS = 500;
const RETRY_MS = 2_000;

const store = new Store();
let stream;

const WHOLE = {
  pause: null,
  resume: null,
  flatten: {
    title: "Flatten everything",
    text: "All orders of all strategies are withdrawn, all positions are closed at the market, and trading then stays paused.",
    verb: "Flatten everything",
    word: "flatten",
  },
  stop: {
    title: "Stop the daemon",
    text: "The session ends and is sealed, and the daemon with it. Positions stay open. Nothing here answers afterwards.",
    verb: "Stop the daemon",
    word: "stop",
  },
};

function showSummary() {
  const summary = store.one("summary");
  if (!summary) return;
  const state = byId("state");
  say(state, summary.state);
  state.dataset.state = summary.state;
  say(byId("mode"), summary.mode);
  byId("mode").dataset.mode = summary.mode;
  byId("tape-ended").hidden = !summary.tape_ended;
  say(byId("equity"), money(summary.equity));
  say(byId("day"), money(summary.day_profit, true));
  sign(byId("day"), summary.day_profit ?? 0);
  say(byId("clock-name"), summary.clock.kind === "wall" ? "Time, UTC" : `Time of the ${summary.clock.kind}, UTC`);
  say(byId("clock"), when(summary.clock.ts_ns));
  say(byId("session"), `Session ${summary.session}, run ${summary.run}, input ${count(summary.seq)}.`);
  showTitle();
  const reason = byId("reason");
  reason.hidden = !summary.reason || summary.state === "running";
  reason.classList.toggle("bad", summary.state === "halted");
  say(reason, `${summary.state[0].toUpperCase()}${summary.state.slice(1)}: ${summary.reason}`);
  showMoney(summary);
  for (const button of document.querySelectorAll("[data-do=pause],[data-do=resume]")) {
    button.classList.toggle("primary", button.dataset.do === "resume" && ["paused", "halted"].includes(summary.state));
  }
}

function showMoney(summary) {
  const open = store.rows("positions").reduce((sum, row) => sum + row.unrealized_pnl, 0);
  say(byId("open-profit"), money(open, true));
  sign(byId("open-profit"), open);
  const place = byId("money");
  if (!place.childElementCount) {
    for (const name of ["Cash", "Realised", "Fees", "Funding"]) {
      place.append(make("div", {}, make("dt", {}, name), make("dd")));
    }
  }
  const figures = [summary.cash, summary.realized_pnl, summary.fees, summary.funding];
  place.querySelectorAll("dd").forEach((cell, index) => say(cell, money(figures[index])));
}

/** Say the least in the tab's title, which is read while the page is not. */
function showTitle() {
  const summary = store.one("summary");
  const text = !summary || stream.since !== null ? "no connection" : `${money(summary.equity)} ${summary.state}`;
  document.title = `${text} · pitboss`;
}

/** Say how old everything is: twice a second, whether anything comes or not. */
function showAge() {
  const summary = store.one("summary");
  const age = summary ? Date.now() - skewMs - summary.heard_wall_ns / NS_PER_MS : null;
  say(byId("age"), age === null ? "–" : span(age));
  const stale = store.rows("symbols").filter((row) => row.stale).map((row) => row.symbol);
  byId("age").classList.toggle("warn", stale.length > 0);
  const old = byId("old");
  const lost = stream.since;
  document.body.classList.toggle("old", lost !== null);
  showTitle();
  old.hidden = lost === null && stale.length === 0;
  old.classList.toggle("bad", lost !== null);
  if (lost !== null) say(byId("old-text"), `No connection since ${clock(lost)}. Trying again… What you see is old by`);
  else if (stale.length) say(byId("old-text"), `Bars of ${stale.join(", ")} are overdue.`);
  say(byId("old-age"), lost === null ? "" : `${span(Date.now() - lost)}.`);
}

/** Show the tab that the address names; one that has no panels yet is not there for anybody. */
function showTab() {
  const links = [...document.querySelectorAll(".tabs a")];
  const tab = (link) => byId(link.hash.slice(1));
  const chosen = links.find((link) => link.hash === location.hash && tab(link).childElementCount) ?? links[0];
  const name = tab(chosen).id;
  for (const link of links) {
    link.hidden = tab(link).childElementCount === 0;
    tab(link).hidden = link !== chosen;
    if (link === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("skip").hash = name;
  document.dispatchEvent(new Event("tab"));
}

/** Return who looks; the console may just be started again. */
async function session() {
  for (;;) {
    try {
      return await get("/api/session");
    } catch (error) {
      if (!passes(error)) throw error;
      tellOld("No connection yet. Trying again…");
      await new Promise((next) => setTimeout(next, RETRY_MS));
    }
  }
}

function tellOld(text) {
  byId("old").hidden = false;
  say(byId("old-text"), text);
}

async function start() {
  byId("log-out").addEventListener("click", () => logOut().catch((error) => note("log out", error.message)));
  const who = await session();
  const may = who.role === "control";
  say(byId("who"), [may ? "" : "look only", who.name === "read" ? "" : who.name].filter(Boolean).join(": "));
  addEventListener("storage", (event) => event.key === CSRF && location.reload()); // another tab is somebody else now
  const commands = new Commands(store);
  for (const button of document.querySelectorAll("[data-do]")) {
    button.disabled = !may;
    if (!may) button.title = "this token may look only";
    button.addEventListener("click", async () => {
      const action = button.dataset.do;
      if (WHOLE[action] === null || (await confirm(WHOLE[action]))) commands.send(action, { action });
    });
  }
  store.on(["summary", "positions"], showSummary);
  buildPanels(store, commands, may);
  new EquityChart(store);
  new CandleChart(store);
  new Profit(store);
  stream = new Stream(store, showAge);
  setInterval(showAge, TICK_MS);
  new Log();
  new Single(store, may);
  addEventListener("hashchange", showTab);
  showTab();
}

start().catch((error) => tellOld(`The dashboard could not start: ${error.message}`));
