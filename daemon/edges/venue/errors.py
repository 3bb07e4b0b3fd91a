"""What went wrong with a request to the venue, and what that means: one table for every error ccxt knows.

The same error means different things for different requests. An order that may have arrived is *in doubt* until
the venue itself says what became of it; only an answer that proves that nothing was done makes it *rejected*. A
withdrawal may be asked for again, since asking twice does no harm, and so may a question. What no repetition can
cure (a key that is refused, a venue that cannot do what we ask) *halts* trading, by name.

Errors are known by their class's name, and by words the venue uses where ccxt throws different things together.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from daemon.log import masked

Request = Literal["submit", "cancel", "question"]
Outcome = Literal["rejected", "doubt", "refused", "absent", "retry", "halt"]


class Meaning(msgspec.Struct, frozen=True):
    """What an error means, by what was asked."""

    submit: Literal["rejected", "doubt", "halt"]
    """A halt is a rejection, too: the order is proved not to be there."""
    cancel: Literal["refused", "doubt", "retry", "halt"]
    """A retry that is in vain leaves the order in doubt, too."""
    question: Literal["absent", "retry", "halt"]
    """Absent is what the venue says at this moment: a request may still be under way."""

    def of(self, request: Request) -> Outcome:
        """Return what it means for one kind of request."""
        outcome: Outcome = getattr(self, request)
        return outcome


_UNKNOWN = Meaning("doubt", "retry", "retry")
_REFUSED = Meaning("rejected", "refused", "retry")
_UNFIT = Meaning("rejected", "refused", "halt")
"""The request itself is wrong: asking again is of no use."""
_FORBIDDEN = Meaning("halt", "halt", "halt")
_NO_ORDER = Meaning("doubt", "doubt", "absent")
"""To a cancel: it is done, or has not arrived, or an earlier cancel (aiohttp sends a DELETE anew) took it away."""
_EXISTS = Meaning("doubt", "retry", "retry")
"""The venue has an order of this id: the proof that an earlier request arrived."""
_TOO_LATE = Meaning("rejected", "retry", "retry")
"""Refused for its time stamp, before anything was done."""

MEANINGS: dict[str, Meaning] = {
    "BaseError": _UNKNOWN,
    # a broken body reaches us as a bare ExchangeError, so that it proves nothing
    "ExchangeError": _UNKNOWN,
    "AuthenticationError": _FORBIDDEN,
    "PermissionDenied": _FORBIDDEN,
    "AccountNotEnabled": _FORBIDDEN,
    "AccountSuspended": _FORBIDDEN,
    "ArgumentsRequired": _UNFIT,
    "BadRequest": _UNFIT,
    "BadSymbol": _UNFIT,
    "OperationRejected": _REFUSED,
    "NoChange": _REFUSED,
    "MarginModeAlreadySet": _REFUSED,
    "MarketClosed": _REFUSED,
    "ManualInteractionNeeded": _FORBIDDEN,
    "RestrictedLocation": _FORBIDDEN,
    "InsufficientFunds": _REFUSED,
    "InvalidAddress": _REFUSED,
    "AddressPending": _REFUSED,
    "InvalidOrder": _REFUSED,
    "OrderNotFound": _NO_ORDER,
    "OrderNotCached": _NO_ORDER,
    "OrderImmediatelyFillable": _REFUSED,
    "OrderNotFillable": _REFUSED,
    "DuplicateOrderId": _EXISTS,
    "ContractUnavailable": _REFUSED,
    "NotSupported": _UNFIT,
    "InvalidProxySettings": _FORBIDDEN,
    "ExchangeClosedByUser": _UNKNOWN,
    "OperationFailed": _UNKNOWN,
    "NetworkError": _UNKNOWN,
    # also what a -2015 becomes once a key has worked; the words below tell the two apart
    "DDoSProtection": _UNKNOWN,
    "RateLimitExceeded": _UNKNOWN,
    "ExchangeNotAvailable": _UNKNOWN,
    "OnMaintenance": _UNKNOWN,
    "InvalidNonce": _TOO_LATE,
    "ChecksumError": _UNKNOWN,
    "RequestTimeout": _UNKNOWN,
    "BadResponse": _UNKNOWN,
    "NullResponse": _UNKNOWN,
    "CancelPending": _UNKNOWN,
    "UnsubscribeError": _UNKNOWN,
    # not ccxt's: our own deadline, and a reply that ccxt could not make sense of
    "TimeoutError": _UNKNOWN,
    "OSError": _UNKNOWN,
    "AttributeError": _UNKNOWN,
    "TypeError": _UNKNOWN,
    "LookupError": _UNKNOWN,
    "ValueError": _UNKNOWN,
    "ArithmeticError": _UNKNOWN,
}
"""Class name -> meaning; a class that is not here means what its nearest parent here means."""

WORDS: tuple[tuple[str, Meaning], ...] = (
    (r"received an empty listenKey", _UNKNOWN),  # what ccxt makes of a reply without content
    (r"Duplicate order sent|\"code\":\s*-4116\b|ClientOrderId is duplicated", _EXISTS),
    (r"\"code\":\s*-20(08|14|15|17)\b|\"code\":\s*-1022\b", _FORBIDDEN),
    (r"\"code\":\s*-1021\b", _TOO_LATE),
    (r"\"code\":\s*-100[01467]\b|\"code\":\s*-1008\b|\"code\":\s*-1010\b", _UNKNOWN),
    (r"\"code\":\s*-2026\b.*archived", _NO_ORDER),
)
"""Words in the error's text that say more than its class; the first that fits decides."""

_WORDS = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), meaning) for pattern, meaning in WORDS)
_RULE_KINDS = ("BadSymbol", "MarketClosed", "ContractUnavailable")
_RULE_WORDS = re.compile(
    r"\"code\":\s*-(1013|1111|1121|1122|4003|4004|4005|4013|4014|4023|4024|4108|4109|4140|4141|4164)\b|Market is closed"
)
"""Binance's: a filter, a precision, a symbol that is not traded."""
_SLOW_DOWN = ("DDoSProtection", "RateLimitExceeded")
_TEXT_CHARS_MAX = 300
_QUERY = re.compile(r"\?\S*")


class RequestError(Exception):
    """A request that did not come to a good answer.

    Args:
        outcome: what that means for the request.
        reason: the error, in words that hold no signature, key or password.
        kind: the name of the error's class.
    """

    def __init__(self, outcome: Outcome, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.kind = kind

    @property
    def slow_down(self) -> bool:
        """Whether the venue had enough of us for now."""
        return self.kind in _SLOW_DOWN and self.outcome != "halt"

    @property
    def rules(self) -> bool:
        """Whether the venue names a rule of its own: it may be another than we know."""
        return self.kind in _RULE_KINDS or _RULE_WORDS.search(self.reason) is not None

    @property
    def clock(self) -> bool:
        """Whether the venue's clock and ours differ by too much."""
        return self.kind == "InvalidNonce"


def meaning_of(error: BaseException) -> Meaning:
    """Return what an error means: by its words, or else by its class."""
    text = str(error)
    for pattern, meaning in _WORDS:
        if pattern.search(text):
            return meaning
    for parent in type(error).__mro__:
        if parent.__name__ in MEANINGS:
            return MEANINGS[parent.__name__]
    return _UNKNOWN


def explain(request: Request, error: BaseException) -> RequestError:
    """Return an error as what it means for a request."""
    kind = type(error).__name__
    text = str(masked(_QUERY.sub("", " ".join(str(error).split()))))[:_TEXT_CHARS_MAX]
    return RequestError(meaning_of(error).of(request), f"{kind}: {text}" if text else kind, kind)


def broken(request: Request, what: str) -> RequestError:
    """Return a reply that came but makes no sense: it proves nothing, whatever its status was."""
    return RequestError(MEANINGS["BadResponse"].of(request), f"the venue's reply makes no sense: {what}", "BadResponse")


def is_cut_off(exchange: Any, *, empty_is: bool) -> bool:  # noqa: ANN401 - ccxt is not typed
    """Return whether the last reply was half a JSON text: ccxt makes an empty list of some.

    Args:
        exchange: ccxt's, which keeps what it made of its last reply.
        empty_is: whether no text at all is half of one, too.
    """
    text = exchange.last_http_response
    if not isinstance(text, str) or exchange.last_json_response is not None:
        return False
    return text.lstrip()[:1] in ("{", "[") or (empty_is and not text.strip())
