"""The table of errors: complete, and read as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest
from ccxt.base.errors import error_hierarchy

from daemon.edges.venue.errors import MEANINGS, Meaning, broken, explain, meaning_of
from daemon.log import hide


def classes(tree: dict[str, Any]) -> Iterator[str]:
    for name, below in tree.items():
        yield name
        yield from classes(below)


def test_every_error_of_ccxt_has_a_row() -> None:
    known = set(classes(error_hierarchy))

    assert known <= set(MEANINGS), known - set(MEANINGS)


def test_only_a_proof_rejects() -> None:
    """What may come from the network, or from a broken reply, never proves that an order was not taken."""
    network = set(classes({"OperationFailed": error_hierarchy["BaseError"]["OperationFailed"]}))
    proving = {name for name in network if MEANINGS[name].submit != "doubt"}

    assert proving == {"InvalidNonce"}, "refused for its time stamp, before anything was done"
    assert MEANINGS["ExchangeError"].submit == "doubt"
    assert MEANINGS["OrderNotFound"].submit == "doubt"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ccxt.InsufficientFunds("binance Account has insufficient balance"), ("rejected", "refused", "retry")),
        (ccxt.InvalidOrder("binance Duplicate order sent."), ("doubt", "retry", "retry")),
        (ccxt.InvalidOrder('binance {"code":-4116,"msg":"ClientOrderId is duplicated."}'), ("doubt", "retry", "retry")),
        (ccxt.OrderNotFound('binance {"code":-2011,"msg":"Unknown order sent."}'), ("doubt", "doubt", "absent")),
        (ccxt.DDoSProtection('binance 429 Too Many Requests {"code":-1003}'), ("doubt", "retry", "retry")),
        (ccxt.DDoSProtection('binance {"code":-2015,"msg":"Invalid API-key"}'), ("halt", "halt", "halt")),
        (ccxt.OperationRejected('binance {"code":-1004,"msg":"Server is busy"}'), ("doubt", "retry", "retry")),
        (ccxt.ExchangeError('binance {"code":-1021,"msg":"Timestamp"}'), ("rejected", "retry", "retry")),
        (ccxt.InvalidNonce('binance {"code":-1021,"msg":"Timestamp"}'), ("rejected", "retry", "retry")),
        (ccxt.AuthenticationError("binance"), ("halt", "halt", "halt")),
        (ccxt.BadRequest('binance {"code":-1013,"msg":"NOTIONAL"}'), ("rejected", "refused", "halt")),
        (ccxt.InvalidOrder('binance {"code":-2026,"msg":"has been archived."}'), ("doubt", "doubt", "absent")),
        (ccxt.OnMaintenance("binance"), ("doubt", "retry", "retry")),
        (TimeoutError(), ("doubt", "retry", "retry")),
        (ConnectionResetError(), ("doubt", "retry", "retry")),
        (KeyError("spot"), ("doubt", "retry", "retry")),
        (RuntimeError("what nobody expects"), ("doubt", "retry", "retry")),
    ],
    ids=lambda case: f"{type(case).__name__} {case}"[:40] if isinstance(case, Exception) else "",
)
def test_what_errors_mean(error: Exception, expected: tuple[str, str, str]) -> None:
    assert meaning_of(error) == Meaning(*expected)  # type: ignore[arg-type]


def test_a_class_that_is_not_in_the_table_means_what_its_parent_means() -> None:
    class TooSmallError(ccxt.InvalidOrder):
        pass

    assert meaning_of(TooSmallError("x")) == MEANINGS["InvalidOrder"]


def test_a_reason_shows_no_signature_and_nothing_else_that_is_secret() -> None:
    hide("planted-in-a-path")
    url = "https://trader:word@127.0.0.1/api/planted-in-a-path/order?symbol=BTCUSDT&signature=abc123"
    error = ccxt.RequestTimeout(f"binance GET {url}")

    failure = explain("question", error)

    assert failure.reason == "RequestTimeout: binance GET https://[redacted]@127.0.0.1/api/[redacted]/order"


def test_a_key_that_is_refused_is_no_reason_to_slow_down() -> None:
    assert explain("submit", ccxt.DDoSProtection("binance 418")).slow_down
    assert not explain("submit", ccxt.DDoSProtection('binance {"code":-2015}')).slow_down


@pytest.mark.parametrize(("request_", "outcome"), [("submit", "doubt"), ("cancel", "retry"), ("question", "retry")])
def test_a_broken_reply_proves_nothing(request_: Any, outcome: str) -> None:
    assert broken(request_, "half a reply").outcome == outcome
