"""The layouts that are known: names that columns go by, and files that name none.

Names are compared by their letters and digits alone, in lower case, so that ``Open Time``, ``open_time`` and
``openTime`` are one. A name of one letter keeps its case: an exchange's ``t`` and ``T`` are two things.
"""

from __future__ import annotations

import msgspec

TIME_NAMES = (
    "ts",
    "timestamp",
    "unix",
    "unixtimestamp",
    "opentime",
    "time",
    "datetime",
    "date",
    "fundingtime",
    "calctime",
    "createtime",
    "transacttime",
    "transactiontime",
    "tradetime",
    "eventtime",
    "localtimestamp",
    "recvns",
    "opentimestamp",
    "starttime",
    "startat",
    "start",
    "begin",
    "begintime",
    "candlebegintime",
    "timeperiodstart",
    "epoch",
    "unixtime",
    "timestampms",
    "timeutc",
    "gmttime",
    "createdtime",
    "createdat",
    "tsevent",
    "mts",
    "T",
    "index",
    "indexlevel0",
    "unnamed0",
)
"""What `ts` goes by, the best first; the last three are what a table's index becomes that had no name."""

SYMBOL_NAMES = ("symbol", "pair", "ticker", "instrument", "instid")

MONEY_NAMES = ("usd", "usdt", "usdc", "busd", "fdusd", "tusd", "dai", "eur", "gbp", "jpy", "krw", "try", "currency")
"""What a price is told in: a column such as ``Volume USDT`` is the volume in quote."""

_BARS = {
    "ts": (*TIME_NAMES, "t"),
    "open": ("open", "o", "O", "openprice", "priceopen"),
    "high": ("high", "h", "H", "highprice", "pricehigh", "max"),
    "low": ("low", "l", "L", "lowprice", "pricelow", "min"),
    "close": ("close", "c", "C", "closeprice", "priceclose", "last", "price"),
    "volume": ("volume", "v", "V", "vol", "basevolume", "volumebase", "volumefrom", "volumetraded", "amount"),
    "quote_volume": (
        "quotevolume",
        "quoteassetvolume",
        "turnover",
        "volumequote",
        "volumeto",
        *(f"volume{money}" for money in MONEY_NAMES),
    ),
    "trades": ("trades", "count", "numberoftrades", "tradecount", "tradescount", "numtrades", "n"),
    "taker_volume": ("takervolume", "takerbuyvolume", "takerbuybaseassetvolume", "takerbuybasevolume"),
    "synthetic": ("synthetic",),
}
_TRADES = {
    "price": ("price", "p"),
    "quantity": ("quantity", "qty", "q", "amount", "size", "volume", "vol"),
    "side": ("side", "takerside", "isbuyermaker", "m", "buyermaker"),
    "id": ("id", "tradeid", "aggtradeid", "tid", "t", "a"),
}

ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "bars": _BARS,
    "mark": _BARS,
    "index": _BARS,
    "premium": _BARS,
    "trades": _TRADES,
    "quotes": {
        "bid": ("bid", "bidprice", "bestbidprice", "bestbid", "bp", "bids0price"),
        "bid_quantity": ("bidquantity", "bidqty", "bestbidqty", "bidamount", "bidsize", "bidvolume", "bids0amount"),
        "ask": ("ask", "askprice", "bestaskprice", "bestask", "ap", "asks0price"),
        "ask_quantity": ("askquantity", "askqty", "bestaskqty", "askamount", "asksize", "askvolume", "asks0amount"),
    },
    "book": {
        "seq": ("seq", "updateid", "sequence", "u"),
        "snapshot": ("snapshot", "issnapshot"),
        "side": ("side",),
        "price": ("price",),
        "quantity": ("quantity", "amount", "qty", "size"),
    },
    "funding": {
        "rate": ("rate", "fundingrate", "lastfundingrate"),
        "mark": ("mark", "markprice"),
        "interval_h": ("intervalh", "fundingintervalhours", "intervalhours"),
    },
    "open_interest": {
        "open_interest": ("openinterest", "oi", "sumopeninterest"),
        "value": ("value", "oivalue", "openinterestvalue", "sumopeninterestvalue"),
    },
    "liquidations": {
        "side": ("side",),
        "price": ("averageprice", "price", "p"),
        "quantity": ("accumulatedfillquantity", "quantity", "qty", "amount", "originalquantity", "size"),
    },
    "values": {
        "ts": (*TIME_NAMES, "t"),
        "value": ("value", "score", "close", "rate"),
        "published": ("published", "publishedat", "released", "knownat"),
    },
}
"""What each column of a kind goes by, the best first; `ts` by `TIME_NAMES` where nothing else is said."""

SIDE_WORDS = {
    "buy": 1,
    "b": 1,
    "bid": 1,
    "bids": 1,
    "long": 1,
    "1": 1,
    "+1": 1,
    "1.0": 1,
    "sell": -1,
    "s": -1,
    "ask": -1,
    "asks": -1,
    "a": -1,
    "short": -1,
    "-1": -1,
    "-1.0": -1,
    "0": 0,
    "0.0": 0,
    "unknown": 0,
    "": 0,
}
"""What sides are called, in lower case."""

DETECTED = ("bars", "book", "quotes", "funding", "open_interest", "trades", "values")
"""Kinds in the order they are looked for; the others look like one of these and have to be named."""

HEADERS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("binance-klines", "bars", frozenset({"opentime", "closetime", "open", "close"})),
    ("binance-aggtrades", "trades", frozenset({"aggtradeid", "isbuyermaker"})),
    ("binance-trades", "trades", frozenset({"id", "price", "time", "isbuyermaker"})),
    ("binance-funding", "funding", frozenset({"calctime", "lastfundingrate"})),
    ("binance-metrics", "open_interest", frozenset({"createtime", "sumopeninterest"})),
    ("binance-bookticker", "quotes", frozenset({"bestbidprice", "bestaskprice"})),
    ("binance-liquidations", "liquidations", frozenset({"averageprice", "lastfillquantity"})),
    ("tardis-book", "book", frozenset({"localtimestamp", "issnapshot", "side", "price", "amount"})),
    ("tardis-snapshots", "quotes", frozenset({"localtimestamp", "asks0price", "bids0price"})),
    ("tardis-trades", "trades", frozenset({"localtimestamp", "side", "price", "amount"})),
    ("cryptodatadownload", "bars", frozenset({"unix", "date", "symbol", "open", "close"})),
    ("freqtrade-trades", "trades", frozenset({"timestamp", "type", "side", "price", "amount", "cost"})),
    ("freqtrade", "bars", frozenset({"date", "open", "high", "low", "close", "volume"})),
)
"""Layouts told by names they have; the first that fits."""


class Positional(msgspec.Struct, frozen=True):
    """A layout whose columns have places, not names."""

    name: str
    kind: str
    width: int
    places: dict[str, int]
    times: tuple[int, ...] = ()
    """Other columns that hold times."""
    flags: tuple[int, ...] = ()
    """Columns that hold true or false."""
    hours: tuple[int, ...] = ()
    """Columns that hold hours between two payments."""


_OHLCV = {"ts": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
_KLINES = _OHLCV | {"quote_volume": 7, "trades": 8, "taker_volume": 9}
_BINANCE_TRADES = {"id": 0, "price": 1, "quantity": 2, "ts": 4, "side": 5}
_BINANCE_AGGTRADES = {"id": 0, "price": 1, "quantity": 2, "ts": 5, "side": 6}

POSITIONAL = (
    Positional("binance-klines", "bars", 12, _KLINES, times=(6,)),
    Positional("binance-aggtrades", "trades", 8, _BINANCE_AGGTRADES, flags=(6, 7)),
    Positional("binance-aggtrades", "trades", 7, _BINANCE_AGGTRADES, flags=(6,)),
    Positional("binance-trades", "trades", 7, _BINANCE_TRADES, flags=(5, 6)),
    Positional("binance-trades", "trades", 6, _BINANCE_TRADES, flags=(5,)),
    Positional("binance-metrics", "open_interest", 8, {"ts": 0, "symbol": 1, "open_interest": 2, "value": 3}),
    Positional("binance-liquidations", "liquidations", 10, {"ts": 0, "side": 1, "price": 6, "quantity": 9}),
    Positional("freqtrade-trades", "trades", 7, {"ts": 0, "id": 1, "side": 3, "price": 4, "quantity": 5}),
    Positional("kraken-bars", "bars", 7, _OHLCV | {"trades": 6}),
    Positional("ohlcv", "bars", 6, _OHLCV),
    Positional("jesse", "bars", 6, {"ts": 0, "open": 1, "close": 2, "high": 3, "low": 4, "volume": 5}),
    Positional("binance-funding", "funding", 3, {"ts": 0, "interval_h": 1, "rate": 2}, hours=(1,)),
    Positional("kraken-trades", "trades", 3, {"ts": 0, "price": 1, "quantity": 2}),
    Positional("time-value", "values", 2, {"ts": 0, "value": 1}),
)
"""The first that fits best; ``jesse`` is also how Bitfinex orders its candles."""

DOUBLED = frozenset({"binance-liquidations"})
"""Layouts whose files have every row twice, one below the other."""

LAYOUT_NAMES = tuple(
    dict.fromkeys(
        [name for name, _, _ in HEADERS] + [layout.name for layout in POSITIONAL] + ["freqtrade-funding", "generic"]
    )
)

FOLDER_KINDS = {"markpriceklines": "mark", "indexpriceklines": "index", "premiumindexklines": "premium"}
"""Folders of Binance's public dumps whose files look like bars of trades."""

WORD_KINDS = {
    "mark": "mark",
    "markprice": "mark",
    "index": "index",
    "premium": "premium",
    "funding": "funding",
    "liquidation": "liquidations",
    "liquidations": "liquidations",
    "liquidationsnapshot": "liquidations",
}
"""Words in the name of a file that tell kinds apart whose rows look alike."""


def folded(name: str) -> str:
    """Return the letters and digits of a name, in lower case unless there is one only."""
    letters = "".join(letter for letter in name if letter.isalnum())
    return letters if len(letters) == 1 else letters.casefold()
