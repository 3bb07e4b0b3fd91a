"""`pitboss data download`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError, nearest
from config.timeframe import parse_timeframe
from daemon.commands.data import catalogue_in
from daemon.commands.inputs import settings_from, time_from
from daemon.commands.progress import is_watched, progress_bar
from replay.tape.catalogue import SeriesKey, parse_name
from replay.tape.columns import time_text
from replay.tape.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from config.schema import Settings
    from daemon.edges.download.series import DownloadReport
    from replay.tape.catalogue import Catalogue

_OFFERS = {
    "bars": "fetchOHLCV",
    "mark": "fetchMarkOHLCV",
    "index": "fetchIndexOHLCV",
    "premium": "fetchPremiumIndexOHLCV",
    "open_interest": "fetchOpenInterestHistory",
    "trades": "fetchTrades",
    "funding": "fetchFundingRateHistory",
    "liquidations": "fetchLiquidations",
}
"""What ccxt calls each kind, where a venue's past of it is public."""
_OF_CONTRACTS = ("mark", "index", "premium", "open_interest", "funding", "liquidations")


def download_command(
    name: str,
    since: str,
    until: str | None,
    kind: str | None,
    data_dir: Path | None,
    setting: Sequence[str] | None,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Download one series and print what it came to."""
    import anyio

    venue, symbol, timeframe_ns = parse_name(name)
    kind = kind or ("bars" if timeframe_ns else "")
    period_ns = timeframe_ns if kind == "open_interest" else None
    key = _key(kind, venue, symbol, None if period_ns else timeframe_ns, name)
    settings = settings_from(config, [*(setting or ()), f"exchange.id={venue}"], None, None)
    since_ns = time_from(since, "--since")
    until_ns = time.time_ns() if until is None else time_from(until, "--until")
    if since_ns >= until_ns:
        message = f"--since {since} lies behind --until {until or 'now'}: there is nothing between them"
        raise UserError(message)
    catalogue = catalogue_in(data_dir)
    is_shown = not as_json and is_watched()
    with progress_bar(f"download {_spoken(kind)}", until_ns - since_ns, is_shown=is_shown) as show:

        def upto(time_ns: int) -> None:
            show(time_ns - since_ns, time_text(time_ns // 10**9 * 10**9))

        report = anyio.run(_download, settings, catalogue, key, since_ns, until_ns, upto, period_ns)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, catalogue)


def _key(kind: str, venue: str, symbol: str, timeframe_ns: int | None, name: str) -> SeriesKey:
    """Return which series is meant.

    Raises:
        UserError: it cannot be downloaded, or the name says too little or too much.
    """
    from daemon.edges.download.series import KINDS

    if kind not in KINDS:
        what = f"{kind!r} cannot be downloaded{nearest(kind, KINDS)}" if kind else f"{name}: of what kind?"
        message = f"{what}; there are: {', '.join(KINDS)}; for bars, end the name with their timeframe, such as :1m"
        raise UserError(message)
    has_timeframe = kind_of(kind).has_timeframe
    if has_timeframe and timeframe_ns is None:
        message = f"{name}: how long is a bar? write {name}:1m"
        raise UserError(message)
    if not has_timeframe and timeframe_ns is not None:
        message = f"{name}: {kind} have no timeframe; leave it out of the name"
        raise UserError(message)
    return SeriesKey(kind, venue, symbol, timeframe_ns)


async def _download(
    settings: Settings,
    catalogue: Catalogue,
    key: SeriesKey,
    since_ns: int,
    until_ns: int,
    progress: Callable[[int], None],
    period_ns: int | None,
) -> DownloadReport:
    from daemon.edges.download.series import download
    from daemon.edges.download.work import Work
    from daemon.edges.venue.client import connect
    from daemon.edges.venue.limits import Limits

    exchange = msgspec.structs.replace(settings.exchange, symbols=(key.symbol,), direct=False)
    client = await connect(exchange, needs_keys=False, symbols=())
    try:
        _check_offered(client.exchange, key)
        limits = Limits(client.weight_per_minute)
        return await download(Work(client, limits, catalogue, key, since_ns, until_ns, progress), period_ns)
    finally:
        await client.close()


def _check_offered(exchange: Any, key: SeriesKey) -> None:  # noqa: ANN401 - ccxt is not typed
    """Refuse what the exchange does not list.

    Raises:
        UserError: it has no such symbol, timeframe or kind.
    """
    offered = [kind for kind, call in _OFFERS.items() if exchange.has.get(call)]
    if key.kind not in offered:
        message = f"{key.venue} lists no past {_spoken(key.kind)} through ccxt; it has: {', '.join(offered)}"
        raise UserError(message)
    markets: dict[str, Any] = exchange.markets
    if key.symbol not in markets:
        message = f"{key.venue} does not trade {key.symbol}{nearest(key.symbol, markets)}"
        raise UserError(message)
    timeframes: dict[str, str] = exchange.timeframes or {}
    if key.timeframe_ns is not None and all(_length_ns(name) != key.timeframe_ns for name in timeframes):
        message = f"{key.venue} has no bars of {key.timeframe}; it has: {', '.join(timeframes)}"
        raise UserError(message)
    if key.kind in _OF_CONTRACTS and not markets[key.symbol].get("contract"):
        message = f"{key.symbol} at {key.venue} is no contract: it has no {_spoken(key.kind)}"
        raise UserError(message)


def _spoken(kind: str) -> str:
    return {"bars": "bars", "mark": "mark bars", "index": "index bars", "premium": "premium bars"}.get(
        kind, kind.replace("_", " ")
    )


def _length_ns(timeframe: str) -> int:
    try:
        return parse_timeframe(timeframe)
    except UserError:
        return 0  # a month, whose length differs


def _print(report: DownloadReport, catalogue: Catalogue) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    table = Table(title=f"{report.kind} of {report.name}", title_justify="left", show_header=False, min_width=56)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("from", time_text(report.since_ns))
    table.add_row("to", time_text(report.until_ns))
    table.add_row("rows of this time", f"{report.rows:,}")
    table.add_row("of them new", f"{report.rows_new:,}")
    table.add_row("the exchange has not", f"{report.missing:,}")
    for from_ns, to_ns in report.unlisted:
        table.add_row("it does not list", f"{time_text(from_ns)} to {time_text(to_ns)}")
    table.add_row("verified", report.verified)
    table.add_row("requests / in vain", f"{report.requests:,} / {report.tries_again:,}")
    table.add_row("kept in", str(catalogue.root))
    console.print(table)
