"""Two venues that are not Binance, as far as a download asks them: what ccxt's own classes call, answered on loopback.

Kraken lists trades forward from a second; Gate the last ones before a second, its liquidations of an hour at most, its
open interest a hundred rows at once.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, Self

from aiohttp import web

WITHIN_S = 30.0
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
END_MS = START_MS + 12 * HOUR_MS
NOW_MS = END_MS + HOUR_MS
PAGE = 60
"""Rows a venue gives at most, whatever is asked for."""


class Trade(NamedTuple):
    """What was traded."""

    time_ms: int
    price: float
    quantity: float
    side: str
    id: int


def history(seed: int = 7) -> list[Trade]:
    """Return twelve hours: bursts, an hour without trades, several trades of one millisecond, numbers with holes."""
    chance = random.Random(seed)
    trades: list[Trade] = []
    time_ms, number = START_MS, 1_000
    while True:
        time_ms += chance.choice((0, 0, 7, 900, 20_000, 45_000))
        if START_MS + 5 * HOUR_MS <= time_ms < START_MS + 6 * HOUR_MS + 60_000:
            time_ms = START_MS + 6 * HOUR_MS + 60_000
        if time_ms >= END_MS:
            return trades
        number += chance.choice((1, 1, 3))
        trades.append(
            Trade(
                time_ms,
                100 + chance.randrange(500) / 100,
                chance.randrange(1, 50) / 10,
                chance.choice(("buy", "sell")),
                number,
            )
        )


class OtherVenues:
    """Both venues in a thread of their own.

    Attributes:
        trades: all there were.
        keeps: how many of the newest trades Gate still has, all unless said.
        hears_until: whether Gate hears until when it is asked.
        numbered: whether Gate's trades have numbers.
        answers_left: how many times it lists trades until it is down, for ever unless said.
        requests: paths that were asked for, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "others.json"
        self.trades = history()
        self.liquidations = self.trades[::9]
        self.keeps: int | None = None
        self.hears_until = True
        self.numbered = True
        self.answers_left: int | None = None
        self.requests: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(WITHIN_S)
        self._loop.close()

    async def _serve(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert site._server is not None
            url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
            gate = dict.fromkeys(("wallet", "futures", "margin", "delivery", "spot", "options"), f"{url}/gate")
            types = {"types": ["spot", "swap"]}
            settled = {"fetchMarkets": {"settlementCurrencies": ["usdt"]}}
            arguments = {
                "kraken": {"urls": {"api": {"public": f"{url}/kraken"}}},
                "gate": {"urls": {"api": {"public": gate}}, "options": {"fetchMarkets": types, "swap": settled}},
            }
            self.file.write_text(json.dumps(arguments))
            self.file.chmod(0o600)
            self._ready.set_result(None)
            await self._ending.wait()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        query = request.query
        answers = {
            "/kraken/0/public/Time": lambda: _kraken({"unixtime": NOW_MS // 1_000}),
            "/kraken/0/public/Assets": lambda: _kraken({}),
            "/kraken/0/public/AssetPairs": lambda: _kraken({"XBTUSDT": _PAIR}),
            "/kraken/0/public/Trades": lambda: self._kraken_trades(query.get("since")),
            "/gate/spot/time": lambda: {"server_time": NOW_MS},
            "/gate/spot/currencies": list,
            "/gate/margin/currency_pairs": list,
            "/gate/spot/currency_pairs": lambda: [_GATE_PAIR],
            "/gate/futures/usdt/contracts": lambda: [_GATE_CONTRACT],
            "/gate/spot/trades": lambda: self._gate_trades(query),
            "/gate/futures/usdt/liq_orders": lambda: self._gate_liquidations(int(query["from"]), int(query["to"])),
            "/gate/futures/usdt/contract_stats": lambda: self._gate_interest(int(query.get("from", 0))),
        }
        if request.path.endswith("rades") and self.answers_left is not None:
            self.answers_left -= 1
            if self.answers_left < 0:
                return web.json_response({"label": "SERVER_ERROR", "message": "down"}, status=503)
        if request.path not in answers:
            return web.json_response({"label": "NOT_FOUND", "message": request.path}, status=404)
        return web.json_response(answers[request.path]())

    def _kraken_trades(self, since_s: str | None) -> Any:
        first = self.trades[-PAGE:]
        if since_s is not None:
            first = [each for each in self.trades if each.time_ms >= int(since_s) * 1_000][:PAGE]
        rows = [
            [str(each.price), str(each.quantity), each.time_ms / 1_000, each.side[0], "m", "", each.id]
            for each in first
        ]
        return _kraken({"XBTUSDT": rows, "last": "0"})

    def _gate_trades(self, query: Any) -> Any:
        there = self.trades if self.keeps is None else self.trades[-self.keeps :]
        if "to" in query and self.hears_until:
            there = [each for each in there if each.time_ms // 1_000 <= int(query["to"])]
        return [
            {
                "id": str(each.id) if self.numbered else f"t-{each.id}",
                "create_time": str(each.time_ms // 1_000),
                "create_time_ms": f"{each.time_ms}.000000",
                "currency_pair": "BTC_USDT",
                "side": each.side,
                "amount": str(each.quantity),
                "price": str(each.price),
            }
            for each in reversed(there[-PAGE:])
        ]

    def _gate_liquidations(self, from_s: int, to_s: int) -> Any:
        if to_s - from_s > HOUR_MS // 1_000:
            return []
        inside = [each for each in self.liquidations if from_s <= each.time_ms // 1_000 <= to_s]
        return [
            {
                "contract": "BTC_USDT",
                "left": 0,
                "size": round(each.quantity * 10) * (1 if each.side == "sell" else -1),
                "fill_price": str(each.price),
                "order_price": str(each.price),
                "time": each.time_ms // 1_000,
            }
            for each in reversed(inside[-12:])
        ]

    def _gate_interest(self, from_s: int) -> Any:
        times = range(START_MS // 1_000, END_MS // 1_000, 300)
        rows = [
            {"time": time_s, "open_interest": str(time_s % 7_919), "open_interest_usd": str(time_s % 104_729)}
            for time_s in times
            if time_s >= from_s and time_s % 2_100
        ]
        return rows[:100]


def _kraken(result: Any) -> Any:
    return {"error": [], "result": result}


_PAIR = {
    "altname": "XBTUSDT", "wsname": "XBT/USDT", "base": "XXBT", "quote": "USDT", "pair_decimals": 2, "lot_decimals": 8,
    "status": "online", "ordermin": "0.0001", "costmin": "1", "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
    "leverage_buy": [],
}  # fmt: skip
_GATE_PAIR = {
    "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "amount_precision": 4, "precision": 2,
    "trade_status": "tradable", "min_quote_amount": "1",
}  # fmt: skip
_GATE_CONTRACT = {
    "name": "BTC_USDT", "quanto_multiplier": "0.1", "order_price_round": "0.01", "order_price_deviate": "0.5",
    "mark_price": "100", "order_size_min": 1, "order_size_max": 1000, "leverage_min": "1", "leverage_max": "100",
    "status": "trading",
}  # fmt: skip
