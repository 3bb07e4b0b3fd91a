"""The gate: who may speak, decided from headers alone."""

from __future__ import annotations

import hmac

import pytest

from daemon.control.security import Gate

TOKEN = "a-token-of-some-length"


@pytest.fixture
def gate() -> Gate:
    """Return a gate that listens on an address of its own behind a proxy."""
    return Gate(TOKEN, "192.0.2.7", ("Desk.example",))


def test_tokens_are_compared_in_constant_time(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def record(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", record)

    answers = [gate.token_valid(header) for header in (f"Bearer {TOKEN}", "Bearer x", "Basic x", "", None)]

    assert answers == [True, False, False, False, False]
    assert [sent for sent, _ in compared] == [TOKEN.encode(), b"x", b"x", b"", b""]
    assert {kept for _, kept in compared} == {TOKEN.encode()}


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearerx", ""])
def test_the_right_token_under_another_scheme_is_refused(gate: Gate, scheme: str) -> None:
    assert not gate.token_valid(f"{scheme} {TOKEN}")


@pytest.mark.parametrize("given", ["\udcff", "\udce9t\udce9", "é", "\U0001f511"])
def test_a_token_of_any_bytes_is_compared_not_raised_over(gate: Gate, given: str) -> None:
    assert not gate.token_valid(f"Bearer {given}")


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "192.0.2.7:80", "desk.example", "DESK.example:443", "127.0.0.1", "[::1]:1"]
)
def test_our_names_are_the_address_loopback_and_those_allowed(gate: Gate, host: str) -> None:
    assert gate.host_allowed(host)
    assert gate.origin_allowed(f"https://{host}")


@pytest.mark.parametrize(
    "host", ["192.0.2.8", "example", "desk.example.evil", "", "[::1", "192.0.2.7.evil", "a@b", None]
)
def test_all_other_names_are_foreign(gate: Gate, host: str | None) -> None:
    assert not gate.host_allowed(host)


def test_no_origin_is_no_page(gate: Gate) -> None:
    assert gate.origin_allowed(None)
    assert not gate.origin_allowed("null")
