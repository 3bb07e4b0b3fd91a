"""What a new session takes over from the one before, when that one was real: owed fees, and other lots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
import pytest

from actors import messages as m
from actors.execution.remote import RemoteVenue
from actors.instrument import InstrumentSpec
from actors.ledger import Holding, OtherAsset
from actors.runtime.journal import FILE_NAME, encode_input, link
from config.errors import UserError
from config.load import load_settings, override_settings
from config.schema import Settings
from daemon.edges.journal import open_journal
from daemon.recovery import Opened, close_run, open_session
from daemon.venue import venue_markets

SETTINGS = load_settings(None, ["feed.source=exchange", "exchange.symbols=['BTC/USDT:USDT']"], {})
SPEC = InstrumentSpec(
    symbol="BTC/USDT:USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    base="BTC",
    quote="USDT",
    contract=True,
)
BOOK = ("ema_cross", SPEC.symbol)
MINUTE = 60 * 10**9
UNIT = 10**8


class Journal:
    """A journal in which sessions are begun and left."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self.db = db
        self.path = path

    async def open(self, spec: InstrumentSpec = SPEC, settings: Settings = SETTINGS, **terms: Any) -> Opened:
        markets = venue_markets(settings, {spec.symbol: spec}, 0)
        values = {"new_session": False, "real": True} | terms
        return await open_session(self.db, self.path, settings, markets, "feed", **values)

    async def post(self, opened: Opened, *inputs: m.Message) -> None:
        """Run inputs and write them down, as the daemon does."""
        chain, core = opened.chain, opened.core
        for message in inputs:
            effects = core.scheduler.post(core.context.now_ns, message)
            seq, payload = core.scheduler.seq, encode_input(message)
            chain = link(chain, seq, core.context.now_ns, payload, effects, core.digest.value)
            row = (opened.number, seq, 1, core.context.now_ns, payload, effects, core.digest.value, chain)
            await self.db.execute("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        await self.db.commit()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    path = tmp_path / FILE_NAME
    db = await open_journal(path, SETTINGS.journal)
    yield Journal(db, path)
    await db.close()


async def test_what_is_owed_of_another_asset_is_taken_over_from_a_session_that_was_left(journal: Journal) -> None:
    """Nothing was sealed: only the recorded decisions say it."""
    before = await journal.open()
    before.core.ledger.holdings[BOOK] = Holding(*BOOK, 5, 250 * 10**8)
    before.core.ledger.others["BNB"] = OtherAsset("BNB", -1, -60)
    await close_run(journal.db, before, outcome="ended", seal=True)
    opened = await journal.open()
    balances, positions = (m.BalanceReported("USDT", 10**13),), (m.PositionReported(SPEC.symbol, 5),)
    sold = (f"pb{opened.plan.nonce}1", SPEC.symbol, 7, m.SELL, 500_000, 2)
    await journal.post(
        opened,
        m.VenueLink(up=True),
        m.AccountReported("start", (), (), (), balances, (), 1, positions),
        m.Flatten("c1"),
        m.TradeReported(*sold, "BNB", 40, "taker", 5, fee_value_atoms=2_400),
    )
    assert opened.core.control.trading == "flattening"

    heir = (await journal.open(new_session=True)).core.ledger.account()

    assert [held.quantity_lots for held in heir.holdings] == [3]
    assert heir.others == [OtherAsset("BNB", -41, -2_460)]


async def test_funding_that_was_paid_between_two_sessions_is_the_next_ones(journal: Journal) -> None:
    """The position was ours all the while."""
    before = await journal.open()
    await journal.post(
        before,
        m.VenueLink(up=True),
        m.AccountReported("start", (), (), (), (m.BalanceReported("USDT", 10**13),), (), 1),
    )
    venue = before.core.venue
    assert isinstance(venue, RemoteVenue)
    venue.contracts.take_over({SPEC.symbol: 7_000})
    before.core.ledger.holdings[BOOK] = Holding(*BOOK, 5, 250 * 10**8)
    await close_run(journal.db, before, outcome="ended", seal=True)

    heir = await journal.open()
    asked: list[m.Message] = []
    heir.core.context.emit = asked.append
    next_venue = heir.core.venue
    assert isinstance(next_venue, RemoteVenue)
    next_venue._emit = asked.append
    next_venue.on_link(m.VenueLink(up=True))

    (ask,) = [each for each in asked if isinstance(each, m.AskAccount)]
    assert ask.funding_after == ((SPEC.symbol, 7_001),)


async def test_a_position_is_counted_in_the_lots_of_now(journal: Journal) -> None:
    opened = await journal.open()
    ledger = opened.core.ledger
    ledger.holdings[BOOK] = Holding(*BOOK, -5, -250 * 10**8)
    ledger.others["BNB"] = OtherAsset("BNB", -40, -2_400)
    await close_run(journal.db, opened, outcome="ended", seal=True)

    finer = await journal.open(msgspec.structs.replace(SPEC, lot=Decimal("0.0001")))

    [held] = finer.core.ledger.account().holdings
    assert (held.quantity_lots, held.cost_atoms) == (-50, -250 * 10**8)
    assert finer.core.ledger.account().others == [OtherAsset("BNB", -40, -2_400)]


async def test_a_position_that_is_no_whole_number_of_lots_any_more_is_refused_by_name(journal: Journal) -> None:
    opened = await journal.open()
    opened.core.ledger.holdings[BOOK] = Holding(*BOOK, -5, -250 * 10**8)
    await close_run(journal.db, opened, outcome="ended", seal=True)

    with pytest.raises(UserError, match=r"holds -0\.005 BTC/USDT:USDT, which is no whole number of 0\.01; flatten"):
        await journal.open(msgspec.structs.replace(SPEC, lot=Decimal("0.01")))


async def test_what_was_lost_today_still_counts_in_the_session_that_follows(journal: Journal) -> None:
    """A limit of 100: 60 are lost, the session is sealed, and with 40 more the next one halts."""
    settings = override_settings(SETTINGS, ["risk.max_daily_loss=100"])
    before = await journal.open(settings=settings)
    bars = [m.Bar(SPEC.symbol, MINUTE, at * MINUTE, (at + 1) * MINUTE, 50.0, 50.0, 50.0, 50.0, 1.0) for at in range(3)]
    await journal.post(before, bars[0])
    before.core.ledger.cash_atoms -= 60 * UNIT
    await journal.post(before, bars[1])
    await close_run(journal.db, before, outcome="ended", seal=True)
    after = await journal.open(settings=settings)
    assert after.id != before.id
    assert after.plan.account.begun == before.core.risk.begun()
    after.core.ledger.cash_atoms -= 40 * UNIT
    await journal.post(after, bars[2])
    assert (after.core.control.trading, after.core.control.reason) == ("halted", "daily loss limit 100 reached")
