"""Ticks of the catalogue: what the journal commands make of a session on them, and what the exchange plays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from replay.tape import open_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from replay.tape.synthetic_market import MarketSpec, SyntheticMarket
from replay.tape.synthetic_series import synthetic_series
from tests.daemon.commands.conftest import WITHIN_S, Loopback

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
KINDS = ("trades", "quotes", "book")
STRATEGY = '''
from pitboss import Bar, BookSnapshot, Strategy, Trade


class Maker(Strategy):
    """Rests at the best bid that the book shows, and leaves with the bars."""

    def on_start(self):
        self.bid, self.heard = 0.0, 0

    def on_book(self, book: BookSnapshot):
        self.bid = book.bids[0][0] if book.bids else 0.0

    def on_trade(self, trade: Trade):
        self.heard += 1
        if self.bid and self.heard % 7 == 0:
            self.buy(0.01, limit=self.bid)

    def on_bar(self, bar: Bar, f):
        self.target(0.0)
'''


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """Return a catalogue with an hour of ticks."""
    catalogue = Catalogue(tmp_path / "data")
    market = SyntheticMarket(MarketSpec(seed=7, rows=60, symbols=(SYMBOL,)))
    for kind in KINDS:
        catalogue.write(SeriesKey(kind, "venue", SYMBOL), [synthetic_series(market, kind, SYMBOL)], Provenance("made"))
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(catalogue.root))
    return catalogue


def test_a_session_on_ticks_replays_and_has_no_drift_over_its_own_tape(
    tmp_path: Path, start: Any, invoke: Callable[..., Run], catalogue: Catalogue
) -> None:
    path = tmp_path / "maker.py"
    path.write_text(STRATEGY)
    tape = [word for kind in KINDS for word in ("--tape", f"{kind}:venue:{SYMBOL}")]
    use = f"{path}:Maker"
    daemon = start(
        "--exit-at-end", tape=tape, strategy=use, speed=0, ready=False,
        env={"PITBOSS_DATA_DIR": str(catalogue.root)},
    )  # fmt: skip
    assert daemon.wait() == 0, daemon.log_text()
    state = ("--state-dir", str(daemon.state_dir))
    journal = invoke("journal", "replay", *state, "--json").json
    assert journal["equal"]
    assert journal["fills"] > 20
    assert invoke("replay", *tape, "--strategy", use, "--json").json["digest"] == journal["digest_live"]
    for more in ((), tape):
        diff = invoke("journal", "diff", *state, *more, "--json")
        assert diff.code == 0, diff
        total = diff.json["drift"]["total"]
        assert (total["fills_live"], total["fills_replay"]) == (journal["fills"], journal["fills"]), more
        assert (total["missed"], total["extra"], total["pending"], total["cost"]) == (0, 0, 0, 0), more
    without = invoke("journal", "diff", *state, *tape[:2], "--json").json["drift"]["total"]
    assert without["fills_replay"] < journal["fills"], "a tape without a book tells no bid to rest at"


def test_the_exchange_plays_ticks_of_the_catalogue_trade_by_trade(tmp_path: Path, catalogue: Catalogue) -> None:
    tape = open_tape([f"trades:venue:{SYMBOL}"], data_dir=catalogue.root)
    wanted = catalogue.scan(SeriesKey("trades", "venue", SYMBOL)).collect()
    with Loopback(tmp_path, 600_000.0, tape=tape) as exchange:

        async def printed() -> list[Any]:
            venue: Any = exchange.exchange.venue
            return list(venue.engine.public_trades(venue.markets[0].id, 1, limit=1_000_000))

        deadline_s = time.monotonic() + WITHIN_S
        while len(found := exchange.do(printed())) < wanted.height:
            assert time.monotonic() < deadline_s, (len(found), wanted.height)
        market = exchange.exchange.venue.markets[0]
    first_ms = found[0].time_ms - wanted.item(0, "ts") // 1_000_000
    assert [
        (each.time_ms - first_ms, float(each.price_ticks * market.tick), -1 if each.buyer_is_maker else 1)
        for each in found
    ] == wanted.select(pl.col("ts") // 1_000_000, "price", "side").rows()
