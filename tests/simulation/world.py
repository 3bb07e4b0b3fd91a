"""A whole world on one seed: the real core, the exchange's real engine, and everything between them simulated.

Between them are a journal that is durable only after a while, a process that dies at any moment and takes with
it what was not durable, requests that get lost on the way out or on the way back, pushes that come twice, in the
wrong order or not at all, and links that break. Nothing here knows the wall clock: hours pass in seconds, and a
seed always tells the same story.
"""

from __future__ import annotations

import contextlib
import heapq
import random
from collections.abc import Callable
from functools import partial
from itertools import count

import msgspec

from actors import messages as m
from actors.execution.adoption import PANIC_MARK
from actors.execution.remote import RemoteVenue
from actors.features import NoFeatures
from actors.instrument import Instrument
from actors.ledger import Account
from actors.runtime.journal import decode_input, encode_input
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from replay.exchange.model import NewOrder, OrderView, VenueError
from tests.simulation.limits import Watch, drawn_limits
from tests.simulation.managed import QUIET_NS, Guard, Managed, are_managed
from tests.simulation.parts import MINUTE, MS, SECOND, UNIT, BothWays, Restless, Totals
from tests.simulation.venues import LEAST, QUOTE, Venue, draw_venue

OWN = "pbsim0"
"""What the ids of our orders begin with."""
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
    clock_differs: float = 0.0
    """It refuses one for its time stamp."""
    rules_change: float = 0.0
    """Per minute: the venue changes a step or its minimum, or trades a symbol no more, for a while."""
    panics: float = 0.0
    """Per minute: the daemon is killed, and its account made flat from outside."""


class World:
    """One run.

    Args:
        seed: of everything.
        faults: how often what goes wrong; drawn from the seed unless given.
    """

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.tightens = random.Random(f"tightens {seed}")
        self.by_hand = random.Random(f"by hand {seed}")
        self.now = 1_700_000_000 * SECOND
        self.faults = faults or self._drawn_faults()
        self.counts: dict[str, int] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._seed = seed
        self.venue: Venue = draw_venue(seed)
        self.placed: dict[str, list[m.OrderRequest]] = {}
        """What was sent under each client order id, each time it was sent."""
        self.taken: dict[str, int] = {}
        """How often the venue took an order of that id."""
        self.entries_while_paused: list[str] = []
        self.steered: dict[str, str] = {}
        """What was asked of a part of the account, by command id, and what became of it as far as is known."""
        self.totals = Totals()
        self.excesses: list[str] = []
        """Wishes of which more could have been executed than was asked for, and books that sold what they had not."""
        self.watch = Watch()
        """The limits' own judge."""
        self._books = [
            (f"{name}{index}", symbol)
            for index, symbol in enumerate(self.venue.markets)
            for name in "ab"[: 1 + seed % 3 % 2]
        ]
        self.guard = Guard(self.venue, are_managed(seed, self._books))
        """The managed exits' own judge."""
        self.amended = 0
        self.fills: list[tuple[int, m.Fill]] = []
        """Booked executions with the number of their input."""
        self.adopted: list[tuple[int, m.Adopted]] = []
        """Shares of what panic executed, likewise."""
        self.panicked = 0
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
        self._bars: dict[str, list[int]] = {name: [] for name in self.venue.prices}
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
            clock_differs=draw((0.0, 0.05)),
            rules_change=draw((0.0, 0.0, 0.02)),
            panics=draw((0.0, 0.0, 0.01)),
        )

    # --- the market ---------------------------------------------------------------------------------

    def play(self, minutes: int) -> None:
        """Let the market live for some minutes, a print every five seconds on average."""
        end = self.now + minutes * MINUTE
        while self.now < end:
            minute_end = self.now - self.now % MINUTE + MINUTE
            for name in self.venue.prices:
                for _ in range(self.random.randrange(6, 18)):
                    self.at(self.random.randrange(minute_end - self.now), partial(self._print, name))
            self.at(minute_end - self.now, self._close_bar)
            if self.happens("dies"):
                self.at(self.random.randrange(MINUTE), self.die)
            if self.happens("link_breaks"):
                self.at(self.random.randrange(MINUTE), self.break_link)
            if self.happens("rules_change"):
                self.at(self.random.randrange(MINUTE), self.change_rules)
            if self.happens("panics"):
                self.at(self.random.randrange(MINUTE), self.panic)
            self.run(minute_end - self.now)

    def _print(self, name: str) -> None:
        swing = self.venue.prices[name] / 2_000
        ticks = max(10_000, self.venue.prices[name] + round(self.random.gauss(0, swing)))
        self.venue.prices[name] = ticks
        (market,) = [each for each in self.venue.printed() if each.symbol.partition(":")[0] == name]
        self.venue.engine.print_trade(market.id, ticks, self.random.randrange(1, 1_000), self.now // MS)
        self._bars[name].append(ticks)
        self._push_events()

    def _close_bar(self) -> None:
        for symbol in self.venue.markets:
            name = symbol.partition(":")[0]
            ticks = self._bars[name] or [self.venue.prices[name]]
            self._bars[name] = []
            opened, high, low, closed = (value / 100 for value in (ticks[0], max(ticks), min(ticks), ticks[-1]))
            self.post(m.Bar(symbol, MINUTE, self.now - MINUTE, self.now, opened, high, low, closed, float(len(ticks))))

    # --- the venue's rules --------------------------------------------------------------------------

    def change_rules(self) -> None:
        """Change something for a while; a perpetual is not closed, for that would settle it and end its trading."""
        symbol = self.random.choice(list(self.venue.markets))
        market = self.venue.markets[symbol]
        what = self.random.randrange(4)
        if what == 0 and not market.settle:
            self.venue.set_trading(symbol, self.now, trading=False)
        elif what == 1:
            self.venue.change_rules(symbol, self.now, lot=market.lot * 10)
        elif what == 2:
            self.venue.change_rules(symbol, self.now, tick=market.tick * 10)
        else:
            self.venue.change_rules(symbol, self.now, min_notional=LEAST * 3)
        self._push_events()
        self.for_this_life(self.random.randrange(MINUTE), self.look_at_rules)
        self.at(self.random.randrange(MINUTE, 30 * MINUTE), self.restore_rules)

    def restore_rules(self) -> None:
        for symbol, market in self.venue.markets.items():
            self.venue.set_trading(symbol, self.now, trading=True)
            self.venue.change_rules(symbol, self.now, tick=market.tick, lot=market.lot, min_notional=LEAST)
        self._push_events()
        self.for_this_life(self.random.randrange(MINUTE), self.look_at_rules)

    def look_at_rules(self) -> None:
        """Tell the core what it does not know, as the gateway does on its period and at its start."""
        venue = self.core.venue
        assert isinstance(venue, RemoteVenue)
        for symbol in self.venue.markets:
            now, known = self.venue.rules(symbol), venue.rules.told.get(symbol)
            spec = self.venue.specs[symbol]
            began = m.InstrumentChanged(symbol, "", True, spec.tick, spec.step or spec.lot, LEAST)
            if _terms(now) != _terms(known or began):
                self.post(now)

    # --- the daemon ---------------------------------------------------------------------------------

    def make_core(self) -> Core:
        strategies = [
            StrategyPlan(name, symbol, MINUTE, self._strategy(name, symbol), NoFeatures())
            for name, symbol in self._books
        ]
        on_margin = any(spec.contract for spec in self.venue.specs.values())
        names = [plan.id for plan in strategies]
        limits = drawn_limits(self._seed, list(self.venue.markets), names, on_margin=on_margin)
        exchange = {"reconcile_s": 120, "leverage": 20 if on_margin else None}
        settings = check_settings({"exchange": exchange, "risk": limits}, "simulation")
        noted: tuple[type[m.Message], ...] = (m.Fill, m.Adopted, m.PositionChanged, m.OrderRequest, m.AmendRequest)
        noted += (m.Amended, m.Intent, m.ProtectedIntent, m.RiskVeto, m.FeeInBase)
        heard = (m.SendOrder, m.SendCancel, m.SendAmend, m.AskOrder, m.AskAccount, *noted)
        core = Core(
            settings,
            {symbol: Instrument(spec) for symbol, spec in self.venue.specs.items()},
            [SeriesPlan(symbol, MINUTE) for symbol in self.venue.markets],
            strategies,
            Account(QUOTE * UNIT),
            nonce="sim0",
            start_ns=0,
            real=True,
            observers={kind: [Ear(self).on_message] for kind in heard},
        )
        for actor in core.strategies:
            actor.start()
        return core

    def _strategy(self, name: str, symbol: str) -> Restless:
        number = "ab".index(name[0]) + 1 + int(name[1:])
        unit = 0.03 if symbol.startswith("ETH") else 0.002
        contract = self.venue.specs[symbol].contract
        if (name, symbol) in self.guard.books:
            return Managed(seed=self._seed + number, unit=unit, both_ways=contract)
        kind = BothWays if contract else Restless
        until_ns = QUIET_NS if self.guard.books else 0
        return kind(seed=self._seed + number, unit=unit, until_ns=until_ns, fails_every=7 if self._seed % 5 == 3 else 0)

    def start(self) -> None:
        """Begin, or go on from what is durable."""
        self.life += 1
        self._hearing = False
        self.watch.restart()
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

    def die(self, away: int = SECOND) -> None:
        """`kill -9`: what was not durable never happened, and nobody starts it again for `away`."""
        if self.alive:
            self.alive = False
            self.fills = [(seq, fill) for seq, fill in self.fills if seq <= self.durable]
            self.adopted = [(seq, share) for seq, share in self.adopted if seq <= self.durable]
            self.at(self.random.randrange(away, 3 * MINUTE), self.start)

    def panic(self) -> None:
        """Kill the daemon, withdraw what it has open and, once nothing of it can arrive any more, close what it holds.

        The orders are of another make; until they are given nobody can start the daemon.
        """
        if self.alive:
            self.die(RECV_WINDOW + SECOND)
            self._withdraw_all()
            self.at(RECV_WINDOW + 1, self._close_all)

    def _withdraw_all(self) -> None:
        for symbol in self.venue.markets:
            for order_id in self.venue.open_ids(symbol):
                if order_id.startswith(OWN):
                    self.venue.cancel(symbol, order_id, self.now)
        self.venue.engine.drain()

    def _close_all(self) -> None:
        self._withdraw_all()
        for symbol, market in self.venue.markets.items():
            lots = 0
            for trade in self.venue.trades_after(symbol, 0):
                if trade.order_id.startswith(OWN):
                    lots += trade.side * trade.quantity_lots
                    lots -= trade.fee_atoms if trade.fee_asset == market.base and not market.settle else 0
            steps = abs(lots) // self.venue.per_step[symbol]
            if not steps:
                continue
            self.panicked += 1
            new = NewOrder(
                id=market.id,
                side="SELL" if lots > 0 else "BUY",
                type="MARKET",
                quantity=steps * market.lot,
                client_order_id=f"{OWN}{PANIC_MARK}{self.panicked}",
            )
            with contextlib.suppress(VenueError):  # too little, or not traded just now
                self.venue.engine.place(new, self.now // MS)
        self.venue.engine.drain()

    def hear(self, message: m.Message) -> None:
        if not self._hearing:
            return
        self.watch.hear(self.core, message)
        if isinstance(message, m.Intent | m.RiskVeto):
            return
        if isinstance(message, m.FeeInBase):
            self.guard.hear(message)
            return
        seq = self.core.scheduler.seq
        if isinstance(message, m.Fill):
            self.fills.append((seq, message))
            return
        if isinstance(message, m.Adopted):
            self.adopted.append((seq, message))
            return
        if isinstance(message, m.PositionChanged):
            spec, per_step = self.venue.specs[message.symbol], self.venue.per_step[message.symbol]
            # less is a fee that was taken from it after it was ordered away
            if spec.long_only and message.quantity_lots <= -per_step:
                self.excesses.append(f"{message.strategy} sold {-message.quantity_lots} lots it did not have")
            return
        if isinstance(message, m.OrderRequest | m.AmendRequest | m.Amended):
            self.totals.hear(message)
            self.amended += isinstance(message, m.Amended)
            return
        if isinstance(message, m.SendOrder | m.SendAmend):
            request = message.request
            own = self.core.control.state_of(request.strategy)
            held_up = self.core.control.trading == "paused" or own == "paused"
            if held_up and self.venue.specs[request.symbol].long_only and request.side == m.BUY:
                self.entries_while_paused.append(message.order_id)
        self._effects.append((seq, message))

    def post(self, message: m.Message) -> None:
        """Have the daemon take an input; what follows from it leaves once it is durable."""
        if not self.alive:
            return
        scheduler = self.core.scheduler
        if not isinstance(message, m.VenueLink):  # timers that came due meanwhile come behind it
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

    def steer(self) -> None:
        """Ask something of a part of the account, as an operator might at any moment."""
        if not self.alive:
            return
        draw, core = self.by_hand, self.core
        plan = draw.choice(core.strategies)
        command_id = f"steer{len(self.steered)}"
        orders = [f"{OWN}none", *core.execution.orders]
        message: m.Message = draw.choice(
            [
                m.PauseStrategy(command_id, plan.id),
                m.ResumeStrategy(command_id, plan.id),
                m.ResumeStrategy(command_id, plan.id),
                m.FlattenStrategy(command_id, plan.id),
                m.ClosePosition(command_id, plan.id, plan.symbol),
                m.WithdrawOrder(command_id, draw.choice(orders)),
                m.WithdrawOrder(command_id, orders[-1]),
                m.RestartActor(command_id, plan.name, anew=draw.random() < 0.5),
            ]
        )
        given_up = [actor.name for actor in core.strategies if actor.abandoned]
        if given_up and draw.random() < 0.5:
            message = m.RestartActor(command_id, draw.choice(given_up), anew=draw.random() < 0.5)
        self.post(message)
        self.steered[command_id] = type(message).__name__
        if given_up:
            self.post(m.Resume(f"again{command_id}"))

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
        self.look_at_rules()

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
                self._request(
                    message.order_id,
                    lambda: self._place(message.order_id, message.request, reduce_only=message.reduce_only),
                    is_new=True,
                )
            case m.SendAmend() if not self.venue.one_step or message.booked_lots:
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

    def _request(self, order_id: str, work: Callable[[], m.Message | list[m.Message]], *, is_new: bool = False) -> None:
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
            if not late and self.happens("clock_differs"):
                refused = m.OrderReported(order_id, "", "rejected", 0, "timestamp outside of the recvWindow")
                told = refused if is_new else m.OrderInDoubt(order_id, "refused for its time stamp")
                self.for_this_life(self.trip(), lambda: self.post(told))
                return
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
        symbol = message.request.symbol
        old = self._find(symbol, message.order_id)
        if self.happens("busy"):
            return [m.AmendRefused(*names, "too many requests")]
        if old is None or old.status not in ("NEW", "PARTIALLY_FILLED"):
            return [m.AmendRefused(*names, "unknown order")]
        if old.filled_lots:
            return [m.AmendRefused(*names, "restricted", withdraw_first=True)]
        self.venue.cancel(symbol, message.order_id, self.now)
        placed = self._place(message.new_order_id, message.request)
        if isinstance(placed[-1], m.OrderReported) and placed[-1].state == "rejected":
            return [m.AmendRefused(*names, placed[-1].reason)]
        return placed

    def _place(self, order_id: str, request: m.OrderRequest, *, reduce_only: bool = False) -> list[m.Message]:
        if self.happens("busy"):
            return [m.OrderReported(order_id, "", "rejected", 0, "too many requests")]
        try:
            order = self.venue.place(order_id, request, self.now, reduce_only=reduce_only)
        except VenueError as error:
            return [m.OrderReported(order_id, "", "rejected", 0, str(error))]
        self.taken[order_id] = self.taken.get(order_id, 0) + 1
        per_step = self.venue.per_step[request.symbol]
        excess = self.totals.excess(request, partial(self._find, request.symbol), per_step)
        if excess:
            self.excesses.append(excess)
        return [*(self.venue.traded(order_id, trade) for trade in order.trades), self.venue.reported(order)]

    def _cancel(self, message: m.SendCancel) -> m.Message:
        try:
            return self.venue.reported(self.venue.cancel(message.symbol, message.order_id, self.now))
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

    def _find(self, symbol: str, order_id: str) -> OrderView | None:
        try:
            return self.venue.find(symbol, order_id)
        except VenueError:
            return None

    def _answer_order(self, message: m.AskOrder, asked_at: int) -> list[m.Message] | None:
        order = self._find(message.symbol, message.order_id)
        if order is not None:
            answer = msgspec.structs.replace(self.venue.reported(order), asked=True)
            return [*self.venue.trades_of(order), answer]
        if self.now <= asked_at + RECV_WINDOW:
            return None  # a request of ours may still be under way
        return [m.OrderAbsent(message.order_id)]

    def _answer_account(self, message: m.AskAccount, asked_at: int) -> list[m.Message] | None:
        reports: list[m.OrderReported] = []
        trades: dict[tuple[str, int], m.TradeReported] = {}
        absent: list[str] = []
        for order_id, symbol in message.orders:
            order = self._find(symbol, order_id)
            if order is not None:
                reports.append(self.venue.reported(order))
                trades |= {(symbol, trade.trade_id): trade for trade in self.venue.trades_of(order)}
            elif self.now <= asked_at + RECV_WINDOW:
                return None
            else:
                absent.append(order_id)
        newest: list[tuple[str, int]] = []
        for symbol, trade_id in message.trades_after:
            listed = self.venue.trades_after(symbol, max(0, trade_id))
            if trade_id < 0:
                newest.append((symbol, max((trade.trade_id for trade in listed), default=0)))
                continue
            for trade in listed:
                trades[symbol, trade.trade_id] = trade
        balances, positions = self.venue.holdings()
        ordered = tuple(trades[key] for key in sorted(trades))
        funding = tuple(self.venue.funding(dict(message.funding_after)))
        told = (message.reason, tuple(reports), tuple(absent), ordered, balances, ())
        return [m.AccountReported(*told, message.ask, positions, funding, newest=tuple(newest))]

    def _push_events(self) -> None:
        """Tell the daemon's user stream what happened, if it is connected and nothing goes wrong."""
        for messages in self.venue.told():
            if not self.linked or self.happens("push_lost"):
                continue
            for _ in range(2 if self.happens("push_twice") else 1):
                delay = self.random.randrange(20 * SECOND) if self.happens("push_late") else self.trip()
                self.for_this_life(delay, partial(self.post_all, messages))

    # --- the end ------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.faults = Faults()
        self.run(5 * MINUTE)
        self.restore_rules()
        self.run(2 * MINUTE)
        if not self.linked:
            self.connect()
        self.look_at_rules()

    def look_at_exits(self) -> None:
        """Have positions opened, heal everything, and let the guard look once nothing moves any more."""
        for _ in range(6):
            self.resume_all()
            self.play(5)
        self.heal()
        for _ in range(5):
            self.resume_all()
            self.run(MINUTE)
            self._close_bar()
            self.run(3 * MINUTE)
        if self.core.control.trading == "running":
            self.guard.found += self.guard.look(self.core, self.placed, self._find)

    def resume_all(self) -> None:
        self.post(m.Resume(f"resume{self.now}"))
        for plan in self.core.strategies:
            self.post(m.ResumeStrategy(f"resume{self.now}{plan.id}", plan.id))

    def settle(self) -> None:
        """Heal everything, flatten, and let the dust settle."""
        self.heal()
        for _ in range(20):
            if self.core.control.trading == "halted":
                self.post(m.Resume(f"resume{self.now}"))
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
        ours = {order_id for symbol in self.venue.markets for order_id in self.venue.open_ids(symbol)}
        if ours != set(core.execution.orders):
            found.append(f"open at the venue {sorted(ours)}, in the core {sorted(core.execution.orders)}")
        open_commands = [each.action for each in core.control.commands if each.outcome == "pending"]
        if open_commands or core.risk._clearing.scopes:
            found.append(f"commands without an end: {open_commands}, {core.risk._clearing.scopes}")
        if core.execution.orders:
            found.append(f"orders without an end: {sorted(core.execution.orders)}")
        for (strategy, symbol), book in core.ledger.holdings.items():
            if self.venue.is_left(symbol, book.quantity_lots):
                found.append(f"not flat: {book.quantity_lots} lots of {symbol} ({strategy})")
        for order_id, requests in self.placed.items():
            if len(requests) > 1:
                found.append(f"{order_id} was sent {len(requests)} times")
        found.extend(f"{order_id} was taken {times} times" for order_id, times in self.taken.items() if times > 1)
        found.extend(f"too much: {excess}" for excess in self.excesses)
        found.extend(f"{order_id}: an entry while paused" for order_id in self.entries_while_paused)
        found.extend(f"limits: {breach}" for breach in self.watch.found)
        trades: list[m.Fill | m.Adopted] = [*(fill for _, fill in self.fills), *(share for _, share in self.adopted)]
        found.extend(f"exits: {words}" for words in [*self.guard.found, *self.guard.count(trades, self.placed)])
        there = {
            (symbol, trade.trade_id) for symbol in self.venue.markets for trade in self.venue.trades_after(symbol, 0)
        }
        booked = [(fill.symbol, fill.trade_id) for _, fill in self.fills]
        here = [*booked, *{(share.symbol, share.trade_id) for _, share in self.adopted}]
        if sorted(there) != sorted(here):
            odd = sorted(key for key in here if here.count(key) > 1 or key not in there)
            found.append(f"trades not booked: {sorted(there - set(here))}; booked twice or made up: {odd}")
        found += self.venue.money_differs(core)
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


def _terms(rules: m.InstrumentChanged) -> tuple[object, ...]:
    return rules.trading, rules.tick, rules.step, rules.min_notional


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
        for _ in range(world.by_hand.randrange(3)):
            world.at(world.by_hand.randrange(20 * MINUTE), world.steer)
        world.play(20)
        command = world.random.randrange(10)
        if command == 0:
            world.post(m.Pause(f"pause{world.now}"))
        elif command == 1:
            world.post(m.Flatten(f"flatten{world.now}"))
        elif command < 6:
            world.post(m.Resume(f"resume{world.now}"))
        if world.tightens.random() < 0.3 and not world.guard.books:  # who may not enter has nothing to protect
            limit = world.tightens.choice(["max_open_orders", "max_orders_per_minute", "loss_cooldown_s", "max_gap"])
            value = "700" if limit == "loss_cooldown_s" else "0.0004" if limit == "max_gap" else "3"
            world.post(m.Tighten(f"tighten{world.now}", limit, value))
    if world.guard.books:
        world.look_at_exits()
    world.settle()
    return world, world.problems()
