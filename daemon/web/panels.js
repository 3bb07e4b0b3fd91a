// The tables of the live tab, and what can be done in each row.

import { get, passes } from "./api.js";
import { confirm } from "./commands.js";
import { byId, make, say, Table } from "./dom.js";
import { amount, count, money, percent, price, quantity, span, when } from "./format.js";

const FILLS_KEPT = 200;
const RETRY_MS = 3_000;
const NEAR = 0.75; // of a limit
const SHARE_MAX = 99.99;

const side = { name: "Side", text: (row) => row.side, of: (row) => (row.side === "buy" ? 1 : -1) };
const symbolOf = (rank) => ({ name: "Symbol", text: (row) => row.symbol, under: { rank, text: (row) => row.strategy } });
const words = (text) => text.replaceAll("_", " ");

/** Build every table, and keep each true. */
export function buildPanels(store, commands, may) {
  const now = () => store.one("summary")?.clock.ts_ns;
  const step = (symbol) => store.sections.symbols?.[symbol]?.price_step;
  const action = (name, text, act, refresh = () => {}) => ({
    name: "",
    right: true,
    cell: (row, current) => {
      const button = make("button", { class: "small", onclick: () => act(current()) }, text);
      button.setAttribute("aria-label", name(row));
      button.disabled = !may;
      return button;
    },
    refresh,
  });
  const follow = (id, section, columns, empty, { key = (pairs) => pairs, hide = false } = {}) => {
    const table = new Table(byId(id), columns, empty);
    const panel = byId(id).closest("section");
    const show = () => {
      const pairs = key(store.pairs(section));
      if (hide) panel.hidden = pairs.length === 0;
      table.show(pairs);
    };
    store.on([section], show);
    show();
  };

  follow(
    "positions",
    "positions",
    [
      symbolOf(2),
      { name: "Strategy", named: true, text: (row) => row.strategy, rank: 2 },
      { name: "Quantity", right: true, text: (row) => quantity(row.quantity) },
      { name: "Entry", right: true, rank: 2, text: (row) => price(row.entry_price, step(row.symbol)) },
      { name: "Mark", right: true, rank: 3, text: (row) => price(row.mark_price, step(row.symbol)) },
      { name: "Open profit", right: true, text: (row) => money(row.unrealized_pnl, true), of: (row) => row.unrealized_pnl },
      action(
        (row) => `Close ${row.symbol} of ${row.strategy}`,
        "Close…",
        (row) => closePosition(commands, row),
      ),
    ],
    "Nothing is held.",
    { key: (pairs) => pairs.filter(([, row]) => row.quantity !== 0) },
  );
  follow(
    "orders",
    "orders",
    [
      symbolOf(3),
      side,
      { name: "Kind", rank: 2, stacks: true, text: (row) => (row.state === "working" ? words(row.kind) : `${words(row.kind)}, ${words(row.state)}`) },
      {
        name: "Quantity",
        right: true,
        text: (row) => (row.filled ? `${quantity(row.filled)} of ${quantity(row.quantity)}` : quantity(row.quantity)),
      },
      {
        name: "Price",
        right: true,
        text: (row) => {
          const at = [row.stop_price, row.limit_price].filter((each) => each !== null);
          return at.map((each) => price(each, step(row.symbol))).join(" → ") || "market";
        },
      },
      { name: "Strategy", rank: 3, wrap: true, text: (row) => row.strategy },
      { name: "Since", rank: 3, right: true, stacks: true, text: (row) => when(row.created_ns, now()) },
      action(
        (row) => `Cancel ${row.order_id}`,
        "Cancel…",
        (row) => cancelOrder(commands, row),
      ),
    ],
    "No order is open.",
  );
  follow("strategies", "strategies", strategyColumns(commands, may), "No strategy trades.");
  follow(
    "books",
    "books",
    [
      symbolOf(2),
      { name: "Strategy", named: true, text: (row) => row.strategy, rank: 2 },
      { name: "Trades", right: true, text: (row) => count(row.round_trips), title: (row) => `${count(row.fills)} fills` },
      { name: "Realised", right: true, rank: 3, text: (row) => money(row.realized_pnl, true) },
      { name: "Fees", right: true, rank: 2, text: (row) => money(row.fees) },
      { name: "Profit", right: true, text: (row) => money(row.profit, true), of: (row) => row.profit },
    ],
    "Nothing is traded.",
  );
  follow(
    "risk",
    "risk",
    [
      {
        name: "Limit",
        wrap: true,
        cell: () => make("span"),
        refresh: (cell, row) => {
          cell.replaceChildren(row.name, row.tightened ? make("span", { class: "tag warn" }, "tightened") : "");
          cell.title = row.last_reason || words(row.action);
        },
      },
      {
        name: "Used",
        cell: () => make("div", { class: "used" }, make("div", { class: "bar" }, make("i")), make("span")),
        refresh: (cell, row) => {
          const [bar, text] = cell.children;
          const known = row.share !== null;
          bar.hidden = !known;
          bar.firstElementChild.style.inlineSize = `${Math.min(100, Math.max(0, (row.share ?? 0) * 100))}%`;
          cell.dataset.level = row.share >= 1 ? "over" : row.share >= NEAR ? "near" : "";
          say(text, known ? (row.share < SHARE_MAX ? percent(row.share) : `> ${percent(SHARE_MAX)}`) : "");
        },
      },
      { name: "Now", right: true, rank: 2, text: (row) => (row.share === null ? "" : amount(row.used)) },
      { name: "Most", right: true, wrap: true, text: (row) => (row.share === null ? row.limit : amount(row.most)) },
      {
        name: "Refused / cut / acted",
        right: true,
        rank: 2,
        text: (row) => `${count(row.vetoed)} / ${count(row.clipped)} / ${count(row.acted)}`,
      },
    ],
    "No limit is set.",
    { key: (pairs) => pairs.flatMap(([, risk]) => limitsOf(risk)) },
  );
  follow(
    "commands",
    "commands",
    [
      { name: "Time", stacks: true, text: (row) => when(row.ts_ns, now()) },
      { name: "Command", wrap: true, text: (row) => row.action },
      {
        name: "Outcome",
        wrap: true,
        text: (row) => (row.note ? `${row.outcome}: ${row.note}` : row.outcome),
        tone: (row) => ({ done: "up", refused: "down", pending: "warn" })[row.outcome],
      },
      { name: "By", rank: 2, text: (row) => row.by?.name ?? "", title: (row) => row.by?.address ?? "" },
    ],
    "None yet.",
    { key: (pairs) => pairs.toReversed() },
  );
  follow(
    "actors",
    "actors",
    [
      { name: "Actor", named: true, text: (row) => row.name },
      {
        name: "State",
        cell: () => make("span", { class: "pill" }),
        refresh: (cell, row) => {
          cell.dataset.state = row.state;
          say(cell, words(row.state));
        },
      },
      { name: "Mailbox", right: true, rank: 2, text: (row) => count(row.mailbox) },
      { name: "Processed", right: true, rank: 3, text: (row) => count(row.processed) },
      { name: "Restarts", right: true, text: (row) => count(row.restarts) },
      { name: "Last error", rank: 2, wrap: true, text: (row) => row.last_error ?? "" },
      action(
        (row) => `Restart ${row.name}`,
        "Restart…",
        (row) => restartActor(commands, row),
        (button, row) => {
          button.hidden = row.state !== "failed";
        },
      ),
    ],
    "None.",
    { key: (pairs) => pairs.toSorted(([, one], [, other]) => (other.state === "failed") - (one.state === "failed")) },
  );
  follow(
    "streams",
    "streams",
    [
      { name: "Symbol", text: (row) => row.symbol },
      { name: "Stream", text: (row) => row.stream },
      { name: "Spoke", right: true, text: (row) => (row.age_s === null ? "never" : `${span(row.age_s * 1000)} ago`) },
      { name: "Times", right: true, rank: 2, text: (row) => count(row.delivered) },
      { name: "Reconnects", right: true, text: (row) => count(row.reconnects) },
      { name: "Backfilled", right: true, rank: 3, text: (row) => count(row.backfilled) },
      { name: "Missing", right: true, rank: 2, text: (row) => count(row.missing), of: (row) => -row.missing },
      { name: "Last error", rank: 3, wrap: true, text: (row) => row.last_error },
    ],
    "None.",
    { hide: true },
  );
  follow(
    "dead",
    "dead_letters",
    [
      { name: "Time", rank: 2, stacks: true, text: (row) => when(row.ts_ns, now()) },
      { name: "Actor", named: true, text: (row) => row.actor },
      { name: "Input", right: true, text: (row) => count(row.seq) },
      { name: "Error", wrap: true, text: (row) => row.error },
      { name: "Where", wrap: true, rank: 2, text: (row) => row.place },
      { name: "Message", wrap: true, rank: 2, text: (row) => row.message },
    ],
    "None.",
    { hide: true, key: (pairs) => pairs.toReversed() },
  );
  return buildFills(store, step, now);
}

function strategyColumns(commands, may) {
  const profit = (row) => row.realized_pnl + row.unrealized_pnl - row.fees;
  return [
    {
      name: "Strategy",
      named: true,
      cell: () => make("div", {}, make("span"), make("div", { class: "why" })),
      refresh: (cell, row) => {
        const [name, why] = cell.children;
        cell.title = `${row.use} ${JSON.stringify(row.params)}`;
        say(name, row.strategy);
        why.dataset.state = row.state;
        say(why, row.state === "running" ? "" : row.reason || row.last_error || "");
      },
    },
    {
      name: "State",
      cell: () => make("span", { class: "pill" }),
      refresh: (cell, row) => {
        cell.dataset.state = row.state;
        say(cell, row.state);
      },
    },
    { name: "Symbols", rank: 2, wrap: true, text: (row) => `${row.symbols.join(", ")} ${row.timeframe}` },
    { name: "Fees", right: true, rank: 3, text: (row) => money(row.fees) },
    { name: "Profit", right: true, text: (row) => money(profit(row), true), of: profit },
    {
      name: "",
      right: true,
      cell: (first, current) => {
        const name = first.strategy;
        const hold = make("button", { class: "small", "data-hold": "" }, "Pause");
        hold.addEventListener("click", () => {
          const { state, last_error } = current();
          const doing = state === "running" ? "pause" : "resume";
          if (state === "failed") restartActor(commands, { name: `strategy.${name}`, last_error });
          else commands.send(`${doing} ${name}`, { action: doing, strategy: name });
        });
        const flatten = make("button", { class: "small danger" }, "Flatten…");
        flatten.setAttribute("aria-label", `Flatten ${name}`);
        flatten.addEventListener("click", () => flattenStrategy(commands, name));
        for (const button of [hold, flatten]) button.disabled = !may;
        return make("div", { class: "actions" }, hold, flatten);
      },
      refresh: (cell, row) => {
        const [hold] = cell.children;
        const text = { running: "Pause", failed: "Restart…" }[row.state] ?? "Resume";
        say(hold, text);
        hold.setAttribute("aria-label", `${text} ${row.strategy}`);
      },
    },
  ];
}

function buildFills(store, step, now) {
  const columns = [
    { name: "Time", stacks: true, text: (row) => when(row.executed_ns, now()) },
    symbolOf(3),
    side,
    { name: "Quantity", right: true, text: (row) => quantity(row.quantity) },
    { name: "Price", right: true, text: (row) => price(row.price, step(row.symbol)) },
    { name: "Fee", right: true, rank: 2, text: (row) => money(row.fee) },
    { name: "Strategy", rank: 3, named: true, text: (row) => row.strategy },
  ];
  const table = new Table(byId("fills"), columns, "None yet.");
  let rows = [];
  const show = () => table.show(rows.map((row) => [`${row.order_id} ${row.trade_id} ${row.seq}`, row]));
  const load = async () => {
    try {
      rows = (await get("/api/live/fills", { limit: FILLS_KEPT })).rows;
      show();
    } catch (error) {
      console.warn("the fills cannot be read", error);
      if (passes(error)) setTimeout(load, RETRY_MS);
    }
  };
  store.on(["snapshot", "missed"], load);
  store.on(["events"], (events) => {
    const newest = events.filter((event) => event.kind === "fill").toReversed();
    if (!newest.length) return;
    const known = new Set(rows.map((row) => `${row.order_id} ${row.trade_id}`));
    rows = [...newest.filter((row) => !known.has(`${row.order_id} ${row.trade_id}`)), ...rows].slice(0, FILLS_KEPT);
    show();
  });
}

/** Return every limit that is an amount, with the share of it that is used, then the rules that are not. */
function limitsOf({ rules, tightened, uses = [] }) {
  const none = { vetoed: 0, clipped: 0, acted: 0 };
  const leaf = ({ limit }) => limit.slice(limit.lastIndexOf(".") + 1);
  const amounts = new Set(uses.map(leaf));
  const named = (name, row) => [name, { ...row, name, tightened: tightened.includes(name) }];
  return [
    ...uses.map((use) => {
      const share = use.most > 0 ? use.used / use.most : Number(use.used > 0);
      return named(use.limit, { ...(rules.find(({ rule }) => rule === leaf(use)) ?? none), used: use.used, most: use.most, share });
    }),
    ...rules.filter(({ rule }) => !amounts.has(rule)).map((rule) => named(rule.rule, { ...rule, share: null })),
  ];
}

async function closePosition(commands, row) {
  const sure = await confirm({
    title: `Close ${row.symbol}`,
    text: `${row.strategy} holds ${quantity(row.quantity)}. Its orders in ${row.symbol} are withdrawn and the position is closed at the market; the strategy goes on and may open another.`,
    verb: "Close the position",
  });
  if (sure) commands.send(`close ${row.symbol} of ${row.strategy}`, { action: "close", strategy: row.strategy, symbol: row.symbol });
}

async function cancelOrder(commands, row) {
  const sure = await confirm({
    title: "Cancel an order",
    text: `${row.side} ${quantity(row.quantity)} ${row.symbol}, ${words(row.kind)}, of ${row.strategy} (${row.order_id}).`,
    verb: "Cancel the order",
  });
  if (sure) commands.send(`cancel ${row.order_id}`, { action: "cancel", order_id: row.order_id });
}

async function flattenStrategy(commands, name) {
  const sure = await confirm({
    title: `Flatten ${name}`,
    text: "All its orders are withdrawn, all its positions are closed at the market, and it then stays paused.",
    verb: "Flatten",
    word: "flatten",
  });
  if (sure) commands.send(`flatten ${name}`, { action: "flatten", strategy: name });
}

async function restartActor(commands, row) {
  const sure = await confirm({
    title: `Restart ${row.name}`,
    text: row.last_error ? `It was given up: ${row.last_error}` : "It was given up.",
    verb: "Restart",
    option: "let it forget its state",
    danger: false,
  });
  if (sure) commands.send(`restart ${row.name}`, { action: "restart", actor: row.name, ...(sure.option ? { anew: true } : {}) });
}
