"""Routes to backtests: what they can be run on, asking for one, how it stands, and what it came to."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from config.errors import nearest
from config.timeframe import opening_ns, parse_timeframe
from daemon.console import backtest_types as t
from daemon.console.bars import timeframe_of
from daemon.console.jobs.asking import read_request, series_rows
from daemon.console.jobs.chart import candles
from daemon.console.jobs.points import thinned
from daemon.console.routes import Cursor, Handler, Limit, Route, Text, Timeframe
from daemon.console.types import BacktestBars, BacktestEquity, Page
from daemon.control.guard import caller_of
from daemon.control.protocol import body_of, idempotency_key
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from daemon.console.app import Console

_TIME_MAX = 2**63 - 1
_POINTS_MAX = 5_000

Number = Annotated[int, Meta(ge=1, le=2**53)]


class SeriesAsked(msgspec.Struct, frozen=True):
    """Which series."""

    kind: Annotated[str, Meta(max_length=40)] = ""
    """Only of this kind, such as `bars`."""
    text: Text = ""
    """Only those with this in their name, in whatever case."""
    cursor: Cursor = 0
    """`next` of the page before; 0 begins with the first."""
    limit: Limit = 200
    """Most rows of one page."""


class BacktestsAsked(msgspec.Struct, frozen=True):
    """Which backtests."""

    state: Literal["", "queued", "running", "done", "failed", "cancelled", "lost"] = ""
    """Only those that stand so."""
    strategy: Text = ""
    """Only of this strategy."""
    cursor: Cursor = 0
    """`next` of the page before; 0 begins at the newest."""
    limit: Limit = 50
    """Most rows of one page."""


class BacktestAsked(msgspec.Struct, frozen=True):
    """Which backtest."""

    id: Number
    """Its number."""


class RowsAsked(msgspec.Struct, frozen=True):
    """Which part of a list of results."""

    id: Number
    """The backtest's number."""
    cursor: Cursor = 0
    """`next` of the page before; 0 begins at the oldest."""
    limit: Limit = 200
    """Most rows of one page."""


class CurveAsked(msgspec.Struct, frozen=True):
    """How finely."""

    id: Number
    """The backtest's number."""
    points: Annotated[int, Meta(ge=2, le=_POINTS_MAX)] = 500
    """Most points: a longer curve is told in equal spans of time, each with its last, lowest and highest value."""


class ChartAsked(msgspec.Struct, frozen=True):
    """Which bars."""

    id: Number
    """The backtest's number."""
    symbol: Text = ""
    """Of what; the first of the tape unless given."""
    timeframe: Timeframe = ""
    """Such as `5m`: a multiple of the tape's own, which it is unless given."""
    cursor: Cursor = 0
    """`next` of the answer before, or a time: only bars before the one it falls into; 0 begins at the newest."""
    limit: Limit = 300
    """Most bars of one answer."""


async def _series(console: Console, _: web.Request, asked: SeriesAsked) -> Page[t.SeriesRow]:
    found = list(await asyncio.to_thread(series_rows, console.jobs.data_dir, asked.kind, asked.text))
    end = asked.cursor + asked.limit
    return Page(rows=tuple(found[asked.cursor : end]), next=end if end < len(found) else None)


async def _run(console: Console, request: web.Request, _: object) -> t.BacktestTaken:
    key = idempotency_key(request)
    return await console.jobs.ask(read_request(await body_of(request)), key, caller_of(request).name)


async def _backtests(console: Console, _: web.Request, asked: BacktestsAsked) -> Page[t.BacktestRow]:
    found = [
        row
        for row in console.jobs.rows()
        if asked.state in {"", row.state}
        and asked.strategy in {"", row.strategy}
        and (not asked.cursor or row.id < asked.cursor)
    ]
    rows = tuple(found[: asked.limit])
    return Page(rows=rows, next=rows[-1].id if len(found) > asked.limit else None)


async def _backtest(console: Console, _: web.Request, asked: BacktestAsked) -> t.Backtest:
    row = console.jobs.row(asked.id)
    found = await console.jobs.read(lambda: console.jobs.store.details(asked.id))
    if found is None:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"backtest {asked.id} was just removed")
    request, result = found
    return t.Backtest(row=row, request=request, result=result)


async def _cancel(console: Console, _: web.Request, asked: BacktestAsked) -> t.BacktestRow:
    return await console.jobs.cancel(asked.id)


async def _remove(console: Console, _: web.Request, asked: BacktestAsked) -> t.BacktestRow:
    return await console.jobs.remove(asked.id)


async def _result(console: Console, number: int) -> t.BacktestResult:
    """Return what a backtest came to.

    Raises:
        RefusedError: there is none of that number, or it came to nothing, or not yet.
    """
    row = console.jobs.row(number)
    found = await console.jobs.read(lambda: console.jobs.store.details(number))
    if found is None or found[1] is None:
        raise RefusedError(HTTPStatus.CONFLICT, f"backtest {number} has no results: it is {row.state}")
    return found[1]


def _list(name: str) -> Handler:
    async def page(console: Console, _: web.Request, asked: RowsAsked) -> dict[str, Any]:
        kept: t.Kept = getattr(await _result(console, asked.id), name)
        rows = await console.jobs.read(lambda: console.jobs.store.page(asked.id, name, asked.cursor, asked.limit))
        end = asked.cursor + asked.limit
        return {"rows": rows, "next": end if end < kept.kept else None}

    return page


async def _equity(console: Console, _: web.Request, asked: CurveAsked) -> BacktestEquity:
    result = await _result(console, asked.id)
    stored = await console.jobs.read(lambda: console.jobs.store.page(asked.id, "equity", 0, 2 * _POINTS_MAX))
    return BacktestEquity(
        start_equity=msgspec.convert(result.summary["start_equity"], Decimal),
        points=thinned(stored, asked.points),
    )


async def _bars(console: Console, _: web.Request, asked: ChartAsked) -> BacktestBars:
    result = await _result(console, asked.id)
    by_symbol = {chart.symbol: chart for chart in result.charts}
    chart = by_symbol.get(asked.symbol) if asked.symbol else result.charts[0]
    if chart is None:
        what = f"symbol: the backtest has no {asked.symbol!r}{nearest(asked.symbol, by_symbol)}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, what)
    base_ns = parse_timeframe(chart.timeframe)
    timeframe_ns = timeframe_of(asked.timeframe, base_ns)
    has_features = bool(result.features) and parse_timeframe(result.features_timeframe) == timeframe_ns
    before_ns = opening_ns(asked.cursor, timeframe_ns) if asked.cursor else _TIME_MAX
    rows, following = await console.jobs.read(
        lambda: candles(
            console.jobs.store,
            asked.id,
            chart.symbol,
            timeframe_ns,
            base_ns,
            result.features if has_features else (),
            before_ns,
            asked.limit,
        )
    )
    return BacktestBars(
        symbol=chart.symbol, timeframe=asked.timeframe or chart.timeframe, rows=tuple(rows), next=following
    )


_UNREADABLE = {HTTPStatus.SERVICE_UNAVAILABLE: "what is kept of backtests cannot be read"}
_NOBODY = {HTTPStatus.NOT_FOUND: "there is no such backtest", **_UNREADABLE}
_NO_RESULT = {HTTPStatus.CONFLICT: "it is not done, and has no results", **_NOBODY}
_RESULTS: tuple[tuple[str, str, Any, Handler, Any], ...] = (
    ("equity", "The equity curve of a backtest", CurveAsked, _equity, BacktestEquity),
    ("bars", "Bars of a backtest with the features its strategy was told", ChartAsked, _bars, BacktestBars),
    ("fills", "Executions of a backtest, oldest first", RowsAsked, _list("fills"), Page[t.BacktestFill]),
    ("orders", "Orders of a backtest, oldest first", RowsAsked, _list("orders"), Page[t.BacktestOrder]),
    (
        "trades",
        "Round trips of a backtest, in the order they ended",
        RowsAsked,
        _list("trades"),
        Page[t.BacktestTrade],
    ),
)

_CHANGES: tuple[tuple[str, Literal["POST", "DELETE"], str, str, Handler, str], ...] = (
    ("cancel", "POST", "/api/backtests/{id}/cancel", "End a backtest that waits or runs", _cancel, "it has ended"),
    (
        "remove",
        "DELETE",
        "/api/backtests/{id}",
        "Remove a backtest that has ended, with its results",
        _remove,
        "it has not ended",
    ),
)

ROUTES = (
    Route(
        name="series",
        method="GET",
        path="/api/series",
        role="read",
        tag="backtests",
        summary="What is in the catalogue",
        asked=SeriesAsked,
        handler=_series,
        answer=Page[t.SeriesRow],
        refusals={HTTPStatus.SERVICE_UNAVAILABLE: "the catalogue cannot be read"},
    ),
    Route(
        name="run_backtest",
        method="POST",
        path="/api/backtests/run",
        role="control",
        tag="backtests",
        summary="Ask for a backtest",
        doc=(
            "Of a registered strategy over series of the catalogue: a job, computed by a process of its own when it is"
            " its turn. Its numbers are those of `pitboss replay --json`. How it stands is told by the stream's section"
            " `backtests`, and under its id."
        ),
        headers={"Idempotency-Key": "The same key again is the same backtest; at most 200 printable characters."},
        handler=_run,
        body=t.BacktestRequest,
        answer=t.BacktestTaken,
        status=HTTPStatus.ACCEPTED,
        refusals={
            HTTPStatus.BAD_REQUEST: "a strategy, parameter, series or setting that does not exist or is out of bounds",
            HTTPStatus.CONFLICT: "the key was used for another backtest",
            HTTPStatus.TOO_MANY_REQUESTS: "too many backtests wait",
            HTTPStatus.SERVICE_UNAVAILABLE: "no backtests are run here, or nothing can be kept of them",
        },
    ),
    Route(
        name="backtests",
        method="GET",
        path="/api/backtests",
        role="read",
        tag="backtests",
        summary="Backtests, the newest first",
        asked=BacktestsAsked,
        handler=_backtests,
        answer=Page[t.BacktestRow],
        refusals=_UNREADABLE,
    ),
    Route(
        name="backtest",
        method="GET",
        path="/api/backtests/{id}",
        role="read",
        tag="backtests",
        summary="A backtest: what was asked, how it stands, what it came to",
        asked=BacktestAsked,
        handler=_backtest,
        answer=t.Backtest,
        refusals=_NOBODY,
    ),
    *(
        Route(
            name=f"{name}_backtest",
            method=method,
            path=path,
            role="control",
            tag="backtests",
            summary=summary,
            asked=BacktestAsked,
            handler=handler,
            answer=t.BacktestRow,
            refusals={HTTPStatus.CONFLICT: conflict, **_NOBODY},
        )
        for name, method, path, summary, handler, conflict in _CHANGES
    ),
    *(
        Route(
            name=f"backtest_{name}",
            method="GET",
            path=f"/api/backtests/{{id}}/{name}",
            role="read",
            tag="backtests",
            summary=summary,
            asked=asked,
            handler=handler,
            answer=answer,
            refusals=_NO_RESULT,
            has_etag=True,
        )
        for name, summary, asked, handler, answer in _RESULTS
    ),
)
