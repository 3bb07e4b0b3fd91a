"""A whole world on one seed: the real core, the exchange's real engine, and everything between them simulated.

Between them are a journal that is durable only after a while, a process that dies at any moment and takes with
it what was not durable, requests that get lost on the way out or on the way back, pushes that come twice, in the
wrong order or not at all, and links that break. Nothing here knows the wall clock: hours pass in seconds, and a
seed always tells the same story.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import count

import msgspec

from actors import messages as m
from actors.instrument import Instrument
from actors.ledger import Account
from actors.runtime.journal import decode_input, encode_input
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from replay.exchange.engine import Engine
from replay.exchange.model import Executed, NewOrder, OrderView, TradeView, VenueError
from strategies.rows import FeatureRows
from tests.simulation.parts import (
    LOTS_PER_STEP,
    MINUTE,
    MS,
    SECOND,
    SPEC,
    SYMBOL,
    TYPES,
    UNIT,
    VENUE_MARKET,
    Restless,
    Totals,
    reported,
    traded,
)

RECV_WINDOW = 5 * SECOND
TIMEOUT = 2 * SECOND


class Faults(msgspec.Struct):
    """How often what goes wrong, each a probability."""

    request_lost: float = 0.0
    """A request never reaches the venue."""
    request_late: float = 0.0
    """It reaches the venue after its sender gave up waiting, within or beyond its window."""
    reply_lost: float = 0.0
    push_lost: float = 0.0
    push_twice: float = 0.0
    push_late: float = 0.0
    link_breaks: float = 0.0
    """Per minute."""
    dies: float = 0.0
    """Per minute: `kill -9` of the daemon."""
    busy: float = 0.0
    """The venue refuses to take a request just now, and says so."""


class World:
    """One run.

    Args:
        seed: of everything.
        faults: how often what goes wrong; drawn from the seed unless given.
    """

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.now = 1_700_000_000 * SECOND
        self.faults = faults or self._drawn_faults()
        self.counts: dict[str, int] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._seed = seed
        self.engine = Engine(
            (VENUE_MARKET,),
            {"BTC": Decimal(2), "USDT": Decimal(50_000)},
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
            spread_ticks=2,
            fee_asset="auto",
            bounded=seed % 2 == 1,
        )
        self.price_ticks = 3_000_000
        self.placed: dict[str, list[m.OrderRequest]] = {}
        """What was sent under each client order id, each time it was sent."""
        self.taken: dict[str, int] = {}
        """How often the venue took an order of that id."""
        self.entries_while_paused: list[str] = []
        self.totals = Totals()
        self.excesses: list[str] = []
        """Wishes of which more could have been executed than was asked for, and books that sold what they had not."""
        self.amended = 0
        self.one_step = seed % 4 != 3
        """Whether the venue can replace an order in one step."""
        self.fills: list[tuple[int, m.Fill]] = []
        """Booked executions with the number of their input."""
        self.journal: list[tuple[int, bytes, bytes]] = []
        """Every input with its time and the digest after it."""
        self.durable = 0
        self.snapshot: tuple[int, bytes] | None = None
        self.alive = False
        self.linked = False
        self.life = 0
        """Number of the process: what an earlier one was waiting for reaches nobody."""
        self._effects: list[tuple[int, m.Message]] = []
        self._hearing = False
        self._bar: list[int] = []
        self.start()

    # --- the clockwork ------------------------------------------------------------------------------

    def at(self, delay: int, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + max(0, delay), next(self._order), call))

    def for_this_life(self, delay: int, call: Callable[[], None]) -> None:
        life = self.life
        self.at(delay, lambda: call() if self.alive and self.life == life else None)

    def run(self, duration: int) -> None:
        until = self.now + duration
        while self._queue and self._queue[0][0] <= until:
            self.now, _, call = heapq.heappop(self._queue)
            call()
        self.now = until

    def happens(self, fault: str) -> bool:
        if self.random.random() >= getattr(self.faults, fault):
            return False
        self.counts[fault] = self.counts.get(fault, 0) + 1
        return True

    def trip(self) -> int:
        """Return how long something is under way."""
        return int(self.random.expovariate(1 / (30 * MS))) + 5 * MS

    def _drawn_faults(self) -> Faults:
        draw = self.random.choice
        return Faults(
            *(draw((0.0, 0.05, 0.2)) for _ in range(6)),
            link_breaks=draw((0.0, 0.05, 0.3)),
            dies=draw((0.0, 0.05, 0.2)),
            busy=draw((0.0, 0.1)),
        )

    # --- the market ---------------------------------------------------------------------------------

    def play(self, minutes: int) -> None:
        """Let the market live for some minutes, a print every five seconds on average."""
        end = self.now + minutes * MINUTE
        while self.now < end:
            minute_end = self.now - self.now % MINUTE + MINUTE
            for _ in range(self.random.randrange(6, 18)):
                self.at(self.random.randrange(minute_end - self.now), self._print)
            self.at(minute_end - self.now, self._close_bar)
            if self.happens("dies"):
                self.at(self.random.randrange(MINUTE), self.die)
            if self.happens("link_breaks"):
                self.at(self.random.randrange(MINUTE), self.break_link)
            self.run(minute_end - self.now)

    def _print(self) -> None:
        self.price_ticks = max(100_000, self.price_ticks + round(self.random.gauss(0, 1_500)))
        self.engine.print_trade("BTCUSDT", self.price_ticks, self.random.randrange(1, 1_000), self.now // MS)
        self._bar.append(self.price_ticks)
        self._push_events()

    def _close_bar(self) -> None:
        ticks = self._bar or [self.price_ticks]
        self._bar = []
        opened, high, low, closed = (value / 100 for value in (ticks[0], max(ticks), min(ticks), ticks[-1]))
        self.post(m.Bar(SYMBOL, MINUTE, self.now - MINUTE, self.now, opened, high, low, closed, float(len(ticks))))

    # --- the daemon ---------------------------------------------------------------------------------

    def make_core(self) -> Core:
        settings = check_settings({"exchange": {"reconcile_s": 120}}, "simulation")
        strategies = [
            StrategyPlan(name, SYMBOL, MINUTE, Restless(seed=self._seed + number), FeatureRows({}))
            for number, name in enumerate("ab"[: 1 + self._seed % 3 % 2], start=1)
        ]
        noted = (m.Fill, m.PositionChanged, m.OrderRequest, m.AmendRequest, m.Amended)
        heard = (m.SendOrder, m.SendCancel, m.SendAmend, m.AskOrder, m.AskAccount, *noted)
        core = Core(
            settings,
            {SYMBOL: Instrument(SPEC)},
            [SeriesPlan(SYMBOL, MINUTE)],
            strategies,
            Account(50_000 * UNIT),
            nonce="sim0",
            start_ns=0,
            real=True,
            observers={kind: [Ear(self).on_message] for kind in heard},
        )
        for actor in core.strategies:
            actor.start()
        return core

    def start(self) -> None:
        """Begin, or go on from what is durable."""
        self.life += 1
        self._hearing = False
        self.core = self.make_core()
        done = 0
        if self.snapshot is not None and self.snapshot[0] <= self.durable:
            done = self.snapshot[0]
            self.core.restore(msgspec.msgpack.decode(self.snapshot[1], type=CoreSnapshot))
        del self.journal[self.durable :]
        for ts_ns, payload, digest in self.journal[done:]:
            apply(self.core, ts_ns, payload)
            assert self.core.digest.value == digest, "a recovered core decided otherwise"
        self._effects.clear()
        self._hearing = True
        self.alive = True
        self.linked = False
        self.post(m.VenueLink(up=False, reason="started"))
        self.for_this_life(self.trip(), self.connect)

    def die(self) -> None:
        """`kill -9`: what was not durable never happened."""
        if self.alive:
            self.alive = False
            self.fills = [(seq, fill) for seq, fill in self.fills if seq <= self.durable]
            self.at(self.random.randrange(SECOND, 3 * MINUTE), self.start)

    def hear(self, message: m.Message) -> None:
        if not self._hearing:
            return
        seq = self.core.scheduler.seq
        if isinstance(message, m.Fill):
            self.fills.append((seq, message))
            return
        if isinstance(message, m.PositionChanged):
            if (
                message.quantity_lots <= -LOTS_PER_STEP
            ):  # less is a fee that was taken from it after it was ordered away
                self.excesses.append(f"{message.strategy} sold {-message.quantity_lots} lots it did not have")
            return
        if isinstance(message, m.OrderRequest | m.AmendRequest | m.Amended):
            self.totals.hear(message)
            self.amended += isinstance(message, m.Amended)
            return
        paused = self.core.control.trading == "paused"
        if paused and isinstance(message, m.SendOrder | m.SendAmend) and message.request.side == m.BUY:
            self.entries_while_paused.append(message.order_id)
        self._effects.append((seq, message))

    def post(self, message: m.Message) -> None:
        """Have the daemon take an input; what follows from it leaves once it is durable."""
        if not self.alive:
            return
        scheduler = self.core.scheduler
        scheduler.fire_before(self.now, lambda ts_ns, fired, _: self._keep(ts_ns, fired))
        now_ns = max(self.now, self.core.context.now_ns)
        scheduler.post(now_ns, message)
        self._keep(now_ns, message)
        self.core.ledger.take_marks()
        seq = scheduler.seq
        if seq % 40 == 0:
            kept = (seq, msgspec.msgpack.encode(self.core.snapshot()))
            self.for_this_life(self.random.randrange(20 * MS), lambda: self._keep_snapshot(kept))
        self.for_this_life(self.random.randrange(5 * MS), lambda: self._commit(seq))

    def post_all(self, messages: list[m.Message]) -> None:
        """Post several inputs, one after the other."""
        for message in messages:
            self.post(message)

    def _keep_snapshot(self, kept: tuple[int, bytes]) -> None:
        self.snapshot = kept

    def _keep(self, ts_ns: int, message: m.Message) -> None:
        self.journal.append((ts_ns, encode_input(message), self.core.digest.value))

    def _commit(self, seq: int) -> None:
        self.durable = max(self.durable, seq)
        while self._effects and self._effects[0][0] <= self.durable:
            self._leave(self._effects.pop(0)[1])

    # --- the gateway, simulated ---------------------------------------------------------------------

    def connect(self) -> None:
        self.linked = True
        self.post(m.VenueLink(up=True))

    def break_link(self) -> None:
        if self.alive and self.linked:
            self.linked = False
            self.post(m.VenueLink(up=False, reason="broken"))
            self.for_this_life(self.random.randrange(SECOND, MINUTE), self.connect)

    def _leave(self, message: m.Message) -> None:
        asked_at = self.now
        match message:
            case m.SendOrder():
                self._note_sent(message.order_id, message.request)
                self._request(message.order_id, lambda: self._place(message.order_id, message.request))
            case m.SendAmend() if not self.one_step or message.booked_lots:
                names = (message.order_id, message.new_order_id)
                refused = m.AmendRefused(*names, "it cannot be changed in one step", withdraw_first=True)
                self.for_this_life(self.trip(), lambda: self.post(refused))
            case m.SendAmend():
                self._note_sent(message.new_order_id, message.request)
                self._request(message.new_order_id, lambda: self._replace(message))
            case m.SendCancel():
                self._request(message.order_id, lambda: self._cancel(message))
            case m.AskOrder():
                self._ask(lambda: self._answer_order(message, asked_at))
            case m.AskAccount():
                self._ask(lambda: self._answer_account(message, asked_at))

    def _request(self, order_id: str, work: Callable[[], m.Message | list[m.Message]]) -> None:
        """Send something that changes the venue: once, whatever becomes of it."""
        sent_at, life = self.now, self.life
        if self.happens("request_lost"):
            self.for_this_life(TIMEOUT, lambda: self.post(m.OrderInDoubt(order_id, "timed out")))
            return
        late = self.happens("request_late")
        delay = self.random.randrange(TIMEOUT, 2 * RECV_WINDOW) if late else self.trip()

        def arrive() -> None:
            if self.now > sent_at + RECV_WINDOW:
                return  # too old: refused, and nobody waits for the refusal any more
            answer = work()
            messages = answer if isinstance(answer, list) else [answer]
            self._push_events()
            if not late and not self.happens("reply_lost") and self.life == life:
                self.for_this_life(self.trip(), lambda: self.post_all(messages))
            elif not late:
                self.for_this_life(TIMEOUT, lambda: self.post(m.OrderInDoubt(order_id, "timed out")))

        if late:
            self.for_this_life(TIMEOUT, lambda: self.post(m.OrderInDoubt(order_id, "timed out")))
        self.at(delay, arrive)

    def _note_sent(self, order_id: str, request: m.OrderRequest) -> None:
        self.placed.setdefault(order_id, []).append(request)
        self.totals.sent(order_id, request)

    def _replace(self, message: m.SendAmend) -> list[m.Message]:
        """Cancel and replace, unless anything was executed; a new order that is refused leaves the old one gone."""
        names = (message.order_id, message.new_order_id)
        old = self._find(message.order_id)
        if self.happens("busy"):
            return [m.AmendRefused(*names, "too many requests")]
        if old is None or old.status not in ("NEW", "PARTIALLY_FILLED"):
            return [m.AmendRefused(*names, "unknown order")]
        if old.filled_lots:
            return [m.AmendRefused(*names, "restricted", withdraw_first=True)]
        self.engine.cancel("BTCUSDT", self.now // MS, client_order_id=message.order_id)
        placed = self._place(message.new_order_id, message.request)
        if isinstance(placed[-1], m.OrderReported) and placed[-1].state == "rejected":
            return [m.AmendRefused(*names, placed[-1].reason)]
        return placed

    def _place(self, order_id: str, request: m.OrderRequest) -> list[m.Message]:
        if self.happens("busy"):
            return [m.OrderReported(order_id, "", "rejected", 0, "too many requests")]
        kind = "LIMIT_MAKER" if request.post_only else TYPES[request.kind]
        try:
            order = self.engine.place(
                NewOrder(
                    id="BTCUSDT",
                    side="BUY" if request.side > 0 else "SELL",
                    type=kind,  # type: ignore[arg-type]
                    quantity=request.quantity_lots * SPEC.lot,
                    price=request.limit_ticks * SPEC.tick if request.limit_ticks else None,
                    stop_price=request.stop_ticks * SPEC.tick if request.stop_ticks else None,
                    time_in_force=request.time_in_force.upper(),  # type: ignore[arg-type]
                    client_order_id=order_id,
                ),
                self.now // MS,
            )
        except VenueError as error:
            return [m.OrderReported(order_id, "", "rejected", 0, str(error))]
        self.taken[order_id] = self.taken.get(order_id, 0) + 1
        excess = self.totals.excess(request, self._find)
        if excess:
            self.excesses.append(excess)
        return [*(traded(order_id, trade) for trade in order.trades), reported(order)]

    def _cancel(self, message: m.SendCancel) -> m.Message:
        try:
            return reported(self.engine.cancel("BTCUSDT", self.now // MS, client_order_id=message.order_id))
        except VenueError as error:
            return m.CancelRefused(message.order_id, str(error))

    def _ask(self, work: Callable[[], list[m.Message] | None]) -> None:
        """Ask the venue; asked again until there is an answer."""

        def again() -> None:
            self.for_this_life(self.random.randrange(500 * MS, SECOND), lambda: self._ask(work))

        if self.happens("request_lost") or self.happens("reply_lost"):
            self.for_this_life(TIMEOUT, again)
            return

        def arrive() -> None:
            answer = work()
            if answer is None:
                again()
            else:
                self.for_this_life(self.trip(), lambda: self.post_all(answer))

        self.for_this_life(self.trip(), arrive)

    def _find(self, order_id: str) -> OrderView | None:
        try:
            return self.engine.order("BTCUSDT", client_order_id=order_id)
        except VenueError:
            return None

    def _answer_order(self, message: m.AskOrder, asked_at: int) -> list[m.Message] | None:
        order = self._find(message.order_id)
        if order is not None:
            answer = msgspec.structs.replace(reported(order), asked=True)
            return [*(traded(message.order_id, trade) for trade in self._trades_of(order)), answer]
        if self.now <= asked_at + RECV_WINDOW:
            return None  # a request of ours may still be under way
        return [m.OrderAbsent(message.order_id)]

    def _answer_account(self, message: m.AskAccount, asked_at: int) -> list[m.Message] | None:
        reports: list[m.OrderReported] = []
        trades: dict[int, m.TradeReported] = {}
        absent: list[str] = []
        for order_id, _ in message.orders:
            order = self._find(order_id)
            if order is not None:
                reports.append(reported(order))
                trades |= {trade.trade_id: traded(order_id, trade) for trade in self._trades_of(order)}
            elif self.now <= asked_at + RECV_WINDOW:
                return None
            else:
                absent.append(order_id)
        for _, trade_id in message.trades_after:
            for trade in self.engine.my_trades("BTCUSDT", from_id=trade_id + 1, limit=1_000):
                order = self.engine.order("BTCUSDT", order_id=trade.order_id)
                trades[trade.trade_id] = traded(order.client_order_id, trade)
        balances = tuple(
            m.BalanceReported(each.asset, each.free_atoms + each.locked_atoms) for each in self.engine.balances()
        )
        ordered = tuple(trades[number] for number in sorted(trades))
        return [m.AccountReported(message.reason, tuple(reports), tuple(absent), ordered, balances, (), message.ask)]

    def _trades_of(self, order: OrderView) -> list[TradeView]:
        return list(self.engine.my_trades("BTCUSDT", order_id=order.order_id, limit=1_000))

    def _push_events(self) -> None:
        """Tell the daemon's user stream what happened, if it is connected and nothing goes wrong."""
        for event in self.engine.drain():
            if not isinstance(event, Executed) or not self.linked or self.happens("push_lost"):
                continue
            messages: list[m.Message] = [reported(event.order)]
            if event.trade is not None:
                messages.insert(0, traded(event.order.client_order_id, event.trade))
            for _ in range(2 if self.happens("push_twice") else 1):
                delay = self.random.randrange(20 * SECOND) if self.happens("push_late") else self.trip()
                self.for_this_life(delay, partial(self.post_all, messages))

    # --- the end ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Heal everything, flatten, and let the dust settle."""
        self.faults = Faults()
        self.run(5 * MINUTE)
        if not self.linked:
            self.connect()
        for _ in range(20):
            self.post(m.Flatten(f"flatten{self.now}"))
            self.play(3)
            if not self.core.execution.orders and self.core.control.trading != "flattening":
                break
        self.play(5)

    def problems(self) -> list[str]:
        """Return in words every promise that was not kept."""
        found: list[str] = []
        core, venue = self.core, self.core.venue
        if core.control.trading not in ("paused", "running"):
            found.append(f"trading ended {core.control.trading}: {core.control.reason}")
        ours = {order.client_order_id for order in self.engine.open_orders("BTCUSDT")}
        if ours != set(core.execution.orders):
            found.append(f"open at the venue {sorted(ours)}, in the core {sorted(core.execution.orders)}")
        if core.execution.orders:
            found.append(f"orders without an end: {sorted(core.execution.orders)}")
        held = sum(holding.quantity_lots for holding in core.ledger.holdings.values())
        if abs(held) >= LOTS_PER_STEP and abs(held) * self.price_ticks > 4 * UNIT * 100:
            found.append(f"not flat: {held} lots")
        for order_id, requests in self.placed.items():
            if len(requests) > 1:
                found.append(f"{order_id} was sent {len(requests)} times")
        found.extend(f"{order_id} was taken {times} times" for order_id, times in self.taken.items() if times > 1)
        found.extend(f"too much: {excess}" for excess in self.excesses)
        found.extend(f"{order_id}: an entry while paused" for order_id in self.entries_while_paused)
        trades = {trade.trade_id: trade for trade in self.engine.my_trades("BTCUSDT", limit=2**31)}
        booked = [fill.trade_id for _, fill in self.fills]
        if sorted(trades) != sorted(booked):
            odd = sorted(number for number in booked if booked.count(number) > 1 or number not in trades)
            found.append(f"trades not booked: {sorted(set(trades) - set(booked))}; booked twice or made up: {odd}")
        balances = {each.asset: each.free_atoms + each.locked_atoms for each in self.engine.balances()}
        cash_change = core.ledger.cash_atoms - 50_000 * UNIT
        if balances["USDT"] - 50_000 * UNIT != cash_change:
            found.append(f"USDT: the venue changed by {balances['USDT'] - 50_000 * UNIT}, the ledger by {cash_change}")
        if balances["BTC"] - 2 * UNIT != held:
            found.append(f"BTC: the venue changed by {balances['BTC'] - 2 * UNIT}, the ledger holds {held}")
        if venue.last is None or venue.last.differences:  # type: ignore[union-attr]
            found.append(f"reconciled: {venue.last}")  # type: ignore[union-attr]
        again = self.make_core()
        self._hearing = False
        for ts_ns, payload, digest in self.journal:
            apply(again, ts_ns, payload)
            if again.digest.value != digest:
                found.append("the journal does not replay to its own digest")
                break
        return found


class Ear:
    """Hears a core for its world."""

    isolated = False
    name = "world"

    def __init__(self, world: World) -> None:
        self._world = world

    def on_message(self, message: m.Message) -> None:
        self._world.hear(message)


def apply(core: Core, ts_ns: int, payload: bytes) -> None:
    """Run a recorded input."""
    message = decode_input(payload)
    if isinstance(message, m.TimerFired):
        core.context.timers.fired(message)
    core.scheduler.post(ts_ns, message)
    core.ledger.take_marks()


def simulate(seed: int, minutes: int = 240) -> tuple[World, list[str]]:
    """Live through some hours with faults, commands and restarts; return the world and what went wrong."""
    world = World(seed)
    for _ in range(minutes // 20):
        world.play(20)
        command = world.random.randrange(10)
        if command == 0:
            world.post(m.Pause(f"pause{world.now}"))
        elif command == 1:
            world.post(m.Flatten(f"flatten{world.now}"))
        elif command < 6:
            world.post(m.Resume(f"resume{world.now}"))
    world.settle()
    return world, world.problems()
