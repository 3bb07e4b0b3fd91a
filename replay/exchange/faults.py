"""Every way in which the exchange can fail a client, as switches with a rate.

A fault is drawn each time it could strike, from a generator of its own that starts at the exchange's seed: the
same seed and the same sequence of occasions give the same faults. A setting may narrow where it strikes (`on`, a part
of the occasion's name), how often at most (`times`) and how long it lasts (`seconds`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


class FaultError(ValueError):
    """A fault that does not exist, or a setting that makes no sense."""


class Kind(msgspec.Struct, frozen=True):
    """What a fault does, and how long it lasts unless told otherwise."""

    meaning: str
    seconds: float = 0.0


KINDS: dict[str, Kind] = {
    # --- requests; an occasion is "POST /api/v3/order" or "ws order.place", of perpetuals "POST /fapi/v1/order" or
    #     "ws-fapi order.place"
    "latency": Kind("The request waits before it is looked at, up to the given seconds.", 0.5),
    "request_lost": Kind("The connection is cut before the request is carried out."),
    "reply_lost": Kind("The request is carried out, then the connection is cut instead of a reply."),
    "reply_delayed": Kind("The request is carried out; its reply leaves only after the given seconds.", 30.0),
    "reply_empty": Kind("The request is carried out; the reply is a 200 with an empty body."),
    "reply_broken": Kind("The request is carried out; the reply is a 200 with the first half of its JSON."),
    "status_unknown": Kind("The request is carried out; the reply is -1007, execution status unknown."),
    "maintenance": Kind("Answered 503, 'System is under maintenance.', and not carried out."),
    "bad_gateway": Kind("Answered 502 with a page of HTML, and not carried out."),
    "rate_limit_storm": Kind("Answered 429 with Retry-After of the given seconds, and not carried out.", 1.0),
    "banned": Kind("Answered 418 with Retry-After of the given seconds, and not carried out.", 2.0),
    "order_rejected": Kind("A new order is refused with -2010, insufficient balance; of a perpetual with -2019."),
    "partial_fill": Kind("An order fills in parts: a half now, the rest by later trades."),
    "slow_snapshot": Kind("A depth snapshot is taken, then leaves only after the given seconds.", 2.0),
    "clock_skew": Kind("Server time and the judging of timestamps are off by the given seconds.", 60.0),
    "withdrawals_allowed": Kind("The key's permissions say that it may withdraw."),
    # --- the order of replies and events
    "event_before_reply": Kind("A request's events are sent; its reply leaves after the given seconds.", 0.2),
    "reply_before_event": Kind("A request's reply is sent; its events leave after the given seconds.", 0.2),
    # --- sockets; an occasion is the path of a handshake, "market SUBSCRIBE btcusdt@trade" for a request, and
    #     "market btcusdt@trade" or "user executionReport TRADE" for each message pushed; of perpetuals
    #     "futures SUBSCRIBE ...", "futures btcusdt@trade" and "futures user ORDER_TRADE_UPDATE TRADE"
    "handshake_refused": Kind("A WebSocket handshake is answered 429 with Retry-After of the given seconds.", 1.0),
    "server_disconnect": Kind(
        "The socket is closed with code 1001 after the given seconds, a day at Binance.", 86_400.0
    ),
    "close": Kind("The socket is closed with code 1001 before the message."),
    "abort": Kind("The connection ends without a close frame before the message (FIN)."),
    "reset": Kind("The connection is reset before the message (RST)."),
    "truncated_frame": Kind("Half of the message's frame is sent, then the connection ends."),
    "stall": Kind("The socket stays open and answers pings, but sends nothing for the given seconds.", 60.0),
    "pings_unanswered": Kind("A ping of the client gets no pong."),
    "message_lost": Kind("The message is not sent."),
    "message_late": Kind("The message, and all behind it on the socket, waits for the given seconds.", 1.0),
    "duplicate": Kind("The message is sent twice."),
    "out_of_order": Kind("The message is sent after the one that follows it on the socket."),
    "book_gap": Kind("A difference of the book is left out, so that its update ids have a gap."),
    "subscribe_rejected": Kind("A SUBSCRIBE is answered with an error and not carried out."),
    "subscribe_ignored": Kind("A SUBSCRIBE is neither answered nor carried out."),
    "ack_lost": Kind("A SUBSCRIBE is carried out but not answered."),
    "user_stream_terminated": Kind("The user stream says eventStreamTerminated instead of the message and ends."),
    "listen_key_expired": Kind("The user stream of perpetuals says listenKeyExpired instead of the message and ends."),
    "ws_unanswered": Kind("A WebSocket API request is carried out and never answered."),
}
"""Every fault there is: occasions of each are drawn where the protocol asks for it by name."""


class Setting(msgspec.Struct, forbid_unknown_fields=True):
    """How often a fault strikes."""

    rate: float
    """Chance on each occasion, 0 to 1."""
    seconds: float | None = None
    """How long it lasts; the kind's own unless given."""
    on: str = ""
    """Only on occasions whose name contains this."""
    times: int | None = None
    """At most so often; without limit unless given."""


class Faults:
    """The switches of one exchange.

    Args:
        seed: of the generators.
        rates: faults set from the start.
    """

    def __init__(self, seed: int, rates: Mapping[str, Any] | None = None) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self._settings: dict[str, Setting] = {}
        self._seed = seed
        self._draws: dict[str, random.Random] = {}
        self.update(rates or {})

    def set(
        self, name: str, rate: float, *, seconds: float | None = None, on: str = "", times: int | None = None
    ) -> None:
        """Set one fault; rate 0 ends it.

        Raises:
            FaultError: there is no such fault, or the setting makes no sense.
        """
        self.update({name: {"rate": rate, "seconds": seconds, "on": on, "times": times}})

    def update(self, rates: Mapping[str, Any]) -> None:
        """Set faults: by rate, or by an object with rate, seconds, on and times; all of them or none.

        Raises:
            FaultError: there is no such fault, or a setting makes no sense.
        """
        checked = {name: _checked(name, value) for name, value in rates.items()}
        for name, setting in checked.items():
            if setting.rate:
                self._settings[name] = setting
            else:
                self._settings.pop(name, None)

    def clear(self) -> None:
        """End every fault; the counts stay."""
        self._settings.clear()

    def strikes(self, name: str, occasion: str = "") -> bool:
        """Draw whether a fault strikes now, and count it if so."""
        setting = self._settings.get(name)
        if setting is None or setting.on not in occasion or setting.times == 0:
            return False
        if setting.rate < 1:
            draw = self._draws.get(name)
            if draw is None:
                draw = self._draws[name] = random.Random(f"{self._seed}:{name}")  # noqa: S311 - faults, not secrets
            if draw.random() >= setting.rate:
                return False
        if setting.times is not None:
            setting.times -= 1
        self.counts[name] += 1
        return True

    def seconds(self, name: str) -> float:
        """Return how long a fault lasts as it is set."""
        setting = self._settings.get(name)
        given = None if setting is None else setting.seconds
        return KINDS[name].seconds if given is None else given

    def fraction(self, name: str) -> float:
        """Draw how much of its seconds a fault that has struck takes, 0 to 1."""
        draw = self._draws.setdefault(f"{name}+", random.Random(f"{self._seed}:{name}+"))  # noqa: S311 - likewise
        return draw.random()

    def report(self) -> list[dict[str, Any]]:
        """Return every fault with its meaning, setting and count."""
        off = Setting(rate=0.0)
        rows = []
        for name, kind in KINDS.items():
            setting = self._settings.get(name, off)
            row: dict[str, Any] = {"name": name, "meaning": kind.meaning, "rate": setting.rate}
            if kind.seconds:
                row["seconds"] = kind.seconds if setting.seconds is None else setting.seconds
            rows.append(row | {"on": setting.on, "times": setting.times, "count": self.counts[name]})
        return rows


def parse_fault(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``NAME=RATE`` or ``NAME=RATE:SECONDS``.

    Raises:
        FaultError: it is written in another way, or there is no such fault.
    """
    name, equals, value = text.partition("=")
    rate, colon, seconds = value.partition(":")
    try:
        setting = {"rate": float(rate)} | ({"seconds": float(seconds)} if colon else {})
    except ValueError:
        equals = ""
    if not equals:
        message = f"{text}: write it as NAME=RATE or NAME=RATE:SECONDS, for example latency=0.1:0.5"
        raise FaultError(message)
    _checked(name, setting)
    return name, setting


def _checked(name: str, value: object) -> Setting:
    if name not in KINDS:
        message = f"{name}: there is no such fault{nearest(name, KINDS)}; there are {', '.join(KINDS)}"
        raise FaultError(message)
    if isinstance(value, bool):
        value = float(value)
    try:
        setting = msgspec.convert({"rate": value} if isinstance(value, (int, float)) else value, Setting)
    except msgspec.ValidationError as error:
        message = f"{name}: {error}"
        raise FaultError(message) from error
    if not 0 <= setting.rate <= 1:
        message = f"{name}: a rate is from 0 to 1, not {setting.rate:g}"
        raise FaultError(message)
    if setting.times is not None and setting.times < 0:
        message = f"{name}: times is a count, not {setting.times}"
        raise FaultError(message)
    return setting
