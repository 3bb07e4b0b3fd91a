"""Whatever is sent to a live daemon, it answers in JSON, never with a 5xx, and goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon

pytestmark = pytest.mark.slow

fuzzed = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

ACTIONS = ("pause", "resume", "flatten", "stop")
PARTS = ("close", "cancel", "restart", "tighten")
"""Actions that whatever is drawn beside them cannot make a command of."""
FIELDS = ("action", "strategy", "symbol", "order_id", "actor", "anew", "limit", "value")
FRAMING = {b"content-length", b"transfer-encoding", b"connection", b"content-encoding"}
"""Headers that say where a request ends; `test_requests` has the cases of these."""
TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ACTIONS + PARTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
names = st.binary(min_size=1, max_size=12).map(
    lambda raw: bytes(TOKEN_CHARACTERS[b % len(TOKEN_CHARACTERS)] for b in raw)
)
KNOWN = (
    *(b"Authorization", b"Host", b"Origin", b"Idempotency-Key", b"Content-Type", b"Expect", b"Accept", b"Cookie"),
    *(b"X-Pitboss-Caller", b"X-Pitboss-CSRF", b"Sec-Fetch-Site"),
    *(b"Upgrade", b"Range", b"X-Forwarded-For", b"Forwarded", b"Accept-Encoding", b"If-None-Match", b"TE"),
)
header_names = st.sampled_from(KNOWN) | names.filter(lambda name: name.lower() not in FRAMING)
header_values = st.binary(max_size=40).filter(lambda raw: not set(raw) & set(b"\r\n"))


def is_command(body: bytes) -> bool:
    """Return whether the daemon would, rightly, do something."""
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("action") in ACTIONS


def check(live: Daemon, data: bytes) -> tuple[int, Any]:
    """Send a request that closes its connection; return the status and the JSON of the answer."""
    top, _, body = live.raw(data).partition(b"\r\n\r\n")
    status = int(top.split(b" ")[1])
    assert 200 <= status < 500, (top, body)
    assert b"content-type: application/json" in top.lower(), top
    return status, json.loads(body)


def request(
    live: Daemon, body: bytes, *headers: bytes, path: bytes = b"/api/live/control", method: bytes = b"POST"
) -> bytes:
    lines = [
        method + b" " + path + b" HTTP/1.1",
        *headers,
        b"Host: 127.0.0.1",
        b"Authorization: Bearer " + live.token.encode(),
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    return b"\r\n".join([*lines, b"", body])


@given(body=st.binary(max_size=400).filter(lambda body: not is_command(body)))
@example(body=b"[" * 65_536)
@example(body=b'{"action":"' + b"\\u0061" * 10_000 + b'"}')
@fuzzed
def test_any_bytes_as_a_body_are_a_400(live: Daemon, body: bytes) -> None:
    status, answer = check(live, request(live, body))

    assert (status, list(answer)) == (400, ["error"])


@given(value=values)
@fuzzed
def test_any_json_that_is_no_command_is_a_400(live: Daemon, value: Any) -> None:
    body = json.dumps(value).encode()
    if is_command(body):
        return

    status, answer = check(live, request(live, body))

    assert (status, list(answer)) == (400, ["error"])


@given(
    body=st.sampled_from(ACTIONS).flatmap(
        lambda action: st.tuples(
            st.just(json.dumps({"action": action}).encode()),
            st.integers(min_value=0, max_value=18),
            st.binary(max_size=3),
        )
    )
)
@fuzzed
def test_a_command_with_a_fault_in_it_is_a_400(live: Daemon, body: tuple[bytes, int, bytes]) -> None:
    whole, at, inserted = body
    spoilt = whole[:at] + inserted + whole[at + 1 :]
    if is_command(spoilt):
        return

    assert check(live, request(live, spoilt))[0] == 400


@given(headers=st.lists(st.tuples(header_names, header_values), max_size=6))
@example(headers=[(b"Expect", b"\x80")])
@fuzzed
def test_any_headers_get_an_answer(live: Daemon, headers: list[tuple[bytes, bytes]]) -> None:
    lines = [name + b": " + value for name, value in headers]

    status, _ = check(live, request(live, b'{"action": "?"}', *lines))

    assert status in {400, 401, 403, 417}


@given(path=st.binary(max_size=30), method=st.sampled_from([b"GET", b"POST", b"PUT", b"OPTIONS", b"DELETE"]) | names)
@fuzzed
def test_any_path_and_method_get_an_answer(live: Daemon, path: bytes, method: bytes) -> None:
    if method.upper() in {b"HEAD", b"CONNECT", b"PRI"}:
        return

    check(live, request(live, b"", path=b"/" + path, method=method))


@given(line=st.binary(min_size=1, max_size=60).filter(lambda raw: raw.strip()))
@fuzzed
def test_any_first_line_gets_an_answer_or_is_waited_for(live: Daemon, line: bytes) -> None:
    live.drop(line)

    status, _ = check(live, b"\x01" + line.replace(b"\n", b"") + b"\r\n\r\n")

    assert status == 400


def test_after_all_that_the_daemon_is_well(live: Daemon) -> None:
    status = live.status()

    assert status["state"] == "running"
    assert {actor["restarts"] for actor in status["actors"]} == {0}
    assert not [line for line in live.log() if line["level"] in {"error", "critical"}]
