"""Requests that are refused: a 4xx, JSON, and a reason a person understands."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Answer, Daemon

pytestmark = pytest.mark.slow

CONTROL = "/api/live/control"
STATUS = "/api/live/status"
BODY_MAX = 65_536


def refused(answer: Answer, status: int) -> str:
    """Return the reason of a refusal, after checking its form."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.body) == ["error"]
    return str(answer.body["error"])


# --- who may come in --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("GET", STATUS), ("POST", CONTROL), ("GET", "/nowhere"), ("GET", "/")])
def test_everything_but_health_needs_the_token(live: Daemon, method: str, path: str) -> None:
    answer = live.ask(method, path, token=None)

    assert "token" in refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer x{token}",
        "Bearer {token} {token}",
        "Bearer\u00e9 {token}",
        "Bearer {token}\u00ff",
        "Bearer \u00ff\u00fe\u0080",
    ],
)
def test_any_other_token_is_refused(live: Daemon, authorization: str) -> None:
    given = authorization.format(token=live.token)

    assert "token" in refused(live.ask("GET", STATUS, headers={"Authorization": given}), 401)


def test_the_half_of_the_token_is_not_enough(live: Daemon) -> None:
    assert refused(live.get(STATUS, token=live.token[: len(live.token) // 2]), 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_no_case(live: Daemon, scheme: str) -> None:
    assert live.ask("GET", STATUS, headers={"Authorization": f"{scheme} {live.token}"}).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", STATUS])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.2", "[::2]", "[::1", "localhost.", "\u00e9"],
)
def test_a_foreign_host_is_refused_even_with_the_token(live: Daemon, path: str, host: str) -> None:
    assert "Host" in refused(live.ask("GET", path, headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1234", "[::1]", "[::1]:80"])
def test_our_own_names_are_let_in(live: Daemon, host: str) -> None:
    assert live.ask("GET", STATUS, headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "file://", "http://[::1", "garbage", ""]
)
@pytest.mark.parametrize("path", ["/healthz", STATUS])
def test_a_foreign_origin_is_refused_even_with_the_token(live: Daemon, path: str, origin: str) -> None:
    assert "Origin" in refused(live.ask("GET", path, headers={"Origin": origin}), 403)


def test_a_page_of_ours_is_let_in(live: Daemon) -> None:
    assert live.ask("GET", STATUS, headers={"Origin": f"http://localhost:{live.port}"}).status == 200


# --- what there is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/live/status/", "//api/live/status", "/api/live/%00", "/%ff", "/..%2f"]
)
def test_an_unknown_path_is_not_found(live: Daemon, path: str) -> None:
    assert path.split("%", maxsplit=1)[0] in refused(live.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", STATUS, {"GET", "HEAD"}),
        ("DELETE", STATUS, {"GET", "HEAD"}),
        ("GET", CONTROL, {"POST"}),
        ("PUT", CONTROL, {"POST"}),
        ("OPTIONS", CONTROL, {"POST"}),
        ("PATCH", "/healthz", {"GET", "HEAD"}),
        ("TRACE", "/readyz", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(live: Daemon, method: str, path: str, allowed: set[str]) -> None:
    answer = live.ask(method, path)

    assert method in refused(answer, 405)
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == allowed


def test_an_answer_is_neither_cached_nor_sniffed(live: Daemon) -> None:
    for answer in (live.get(STATUS), live.get("/nowhere"), live.get("/healthz", token=None)):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- bodies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"pause", "not JSON"),
        (b'{"action": "pause"', "not JSON"),
        (b'{"action": "pause"}}', "not JSON"),
        (b'{"action": "pause"} trailing', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"action": "\xff"}', "not JSON"),
        (b'\xef\xbb\xbf{"action": "pause"}', "not JSON"),
        ('{"action": "pause"}'.encode("utf-16"), "not JSON"),
        (b'{"action": "\\ud800"}', "not JSON"),
        (b'{"action": NaN}', "not JSON"),
        (b'{"action": 1e999}', "not JSON"),
        (b'{"action": ' + b"9" * 6_000 + b"}", "not JSON"),
        (b"\x00" * 10, "not JSON"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 12_000, "nested too deeply"),
        (b"[]", "must be an object"),
        (b'["pause"]', "must be an object"),
        (b'"pause"', "must be an object"),
        (b"null", "must be an object"),
        (b"7", "must be an object"),
        (b"{}", "it is missing"),
        (b'{"action": null}', "must be a string"),
        (b'{"action": 1}', "must be a string"),
        (b'{"action": true}', "must be a string"),
        (b'{"action": ["pause"]}', "must be a string"),
        (b'{"action": {"action": "pause"}}', "must be a string"),
        (b'{"Action": "pause"}', "unknown field 'Action'"),
        (b'{"action": "pause", "when": "now"}', "unknown field 'when'"),
        (b'{"action": "pause", "": 1}', "unknown field ''"),
        (b'{"action": "pause", "action": "pause"}', "more than once"),
        (b'{"action": "pause", "\\u0061ction": "resume"}', "more than once"),
        (b'{"action": "puase"}', "did you mean 'pause'?"),
        (b'{"action": "Flatten"}', "did you mean 'flatten'?"),
        (b'{"action": "kill"}', "one of pause, resume, flatten, stop"),
        (b'{"action": ""}', "one of pause, resume, flatten, stop"),
        (b'{"action": "pause "}', "did you mean 'pause'?"),
        (b'{"action": "\\u0000"}', "unknown action"),
        (b'{"action": "tighten"}', "'limit' must be a string, it is missing"),
        (b'{"action": "tighten", "limit": 5, "value": 5}', "'limit' must be a string, it is a int"),
        (b'{"action": "tighten", "limit": "max_net"}', "'value' must be a string or a number, it is missing"),
        (b'{"action": "tighten", "limit": "max_net", "value": true}', "'value' must be a string or a number"),
        (b'{"action": "tighten", "limit": "max_net", "value": null}', "it is a NoneType"),
        (b'{"action": "tighten", "limit": "max_net", "value": [5]}', "it is a list"),
        (b'{"action": "tighten", "limit": "max_net", "value": 5, "when": 1}', "the fields are action, limit, value"),
        (b'{"action": "stop", "limit": "max_net"}', "unknown field 'limit'; the only field is 'action'"),
        (b'{"action": "pause", "limit": "max_net"}', "unknown field 'limit'; the fields are action, strategy"),
        (b'{"action": "pause", "stratgey": "a"}', "unknown field 'stratgey' (did you mean 'strategy'?)"),
        (b'{"action": "pause", "strategy": null}', "'strategy' must be a string, it is a NoneType"),
        (b'{"action": "pause", "strategy": ""}', "at least one and at most 1000 printable characters"),
        (b'{"action": "pause", "strategy": "\\u0007"}', "at least one and at most 1000 printable characters"),
        (
            b'{"action": "flatten", "strategy": "Hodler"}',
            "no strategy 'Hodler' (did you mean 'Holder'?); one of Holder",
        ),
        (b'{"action": "close", "strategy": "Holder"}', "'symbol' must be a string, it is missing"),
        (b'{"action": "close", "strategy": "Holder", "symbol": 1}', "'symbol' must be a string, it is a int"),
        (b'{"action": "cancel"}', "'order_id' must be a string, it is missing"),
        (b'{"action": "restart", "actor": "risk"}', "no actor that can be restarted 'risk'"),
        (b'{"action": "restart", "actor": "strategy.Holder", "anew": 1}', "'anew' must be true or false, it is a int"),
        (b'{"action": "restart", "actor": "strategy.Holder", "anew": "yes"}', "'anew' must be true or false"),
        (b'{"action": "tighten", "limit": "max_net", "value": 5, "value": 4}', "'value' is given more than once"),
        (b'{"action": "tighten", "limit": "max_net", "value": "5\\n"}', "at most 1000 printable characters"),
        (b'{"action": "tighten", "limit": "max_net", "value": "' + b"5" * 1_001 + b'"}', "at most 1000 printable"),
        (b'{"action": "tighten", "limit": "max_nett", "value": 5}', "no limit max_nett (did you mean 'max_net'?)"),
        (b'{"action": "tighten", "limit": "max_net", "value": 0}', "max_net must be a number of at least 1E-12, not 0"),
        (b'{"action": "tighten", "limit": "max_net", "value": "NaN"}', "max_net must be a number"),
        (
            b'{"action": "tighten", "limit": "max_net", "value": "1e999999999"}',
            "and at most 1000000000000000000000000000000, not 1",
        ),
        (b'{"action": "tighten", "limit": "max_open_orders", "value": "' + b"9" * 900 + b'"}', "Expected `int` <= "),
        (b'{"action": "tighten", "limit": "symbols.SYN.max_position", "value": 5}', "did you mean 'SYN/USDT'?"),
    ],
)
def test_a_body_that_is_no_command_is_refused_with_the_reason(live: Daemon, body: bytes, reason: str) -> None:
    before = live.status()["commands"]

    assert reason in refused(live.ask("POST", CONTROL, body), 400)
    assert live.status()["commands"] == before


@pytest.mark.parametrize("body", [b" " * (BODY_MAX + 1), b'{"action": "pause"}' + b" " * BODY_MAX])
def test_a_body_over_64_kib_is_refused(live: Daemon, body: bytes) -> None:
    assert "65536" in refused(live.ask("POST", CONTROL, body), 413)


def test_a_body_of_64_kib_is_read(live: Daemon) -> None:
    command = json.dumps({"action": "rseume"}).encode()

    assert "resume" in refused(live.ask("POST", CONTROL, command.ljust(BODY_MAX)), 400)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "?"])
def test_a_body_that_is_packed_is_refused(live: Daemon, encoding: str) -> None:
    for body in (b'{"action": "pause"}', gzip.compress(b'{"action": "pause"}')):
        assert "as it is" in refused(live.ask("POST", CONTROL, body, {"Content-Encoding": encoding}), 400)


@pytest.mark.parametrize("key", ["x" * 201, "tab\there", "\u00a0", "\u00ff\u0080"])
def test_an_idempotency_key_is_short_and_printable(live: Daemon, key: str) -> None:
    answer = live.ask("POST", CONTROL, b'{"action": "resume"}', {"Idempotency-Key": key})

    assert "Idempotency-Key" in refused(answer, 400)


@pytest.mark.parametrize("expectation", ["the unexpected", "\u0080", ""])
def test_an_unknown_expectation_is_refused(live: Daemon, expectation: str) -> None:
    assert "Expect" in refused(live.ask("GET", STATUS, headers={"Expect": expectation}), 417)


# --- what is no request at all ----------------------------------------------------------------------


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        bytes(range(256)) * 4,
        head(b"GET /healthz HTTP/1.1"),
        head(b"GET /healthz HTTP/9.9", b"Host: 127.0.0.1"),
        head(b"GET /\xff HTTP/1.1", b"Host: 127.0.0.1"),
        head(b"FETCH /healthz HTTP/1.1", b"Host: 127.0.0.1"),
        head(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"Host: evil.example"),
        head(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"No colon"),
        head(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"X: " + b"x" * 20_000),
        head(b"GET /" + b"x" * 20_000 + b" HTTP/1.1", b"Host: 127.0.0.1"),
        head(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", *[b"X: x"] * 5_000),
        head(b"POST /api/live/control HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: -1"),
        head(b"POST /api/live/control HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 1e3"),
        head(b"POST /api/live/control HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 1", b"Content-Length: 2"),
        head(
            b"POST /api/live/control HTTP/1.1",
            b"Host: 127.0.0.1",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
        )
        + b"0\r\n\r\n",
        head(b"POST /api/live/control HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked") + b"ZZ\r\nx\r\n",
    ],
)
def test_bytes_that_are_no_request_get_a_400_in_json(live: Daemon, data: bytes) -> None:
    top, _, body = live.raw(data).partition(b"\r\n\r\n")

    assert top.split(b" ")[1] == b"400", top
    assert b"content-type: application/json" in top.lower()
    assert "no HTTP request" in json.loads(body)["error"]
    assert live.get("/healthz", token=None).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"GET /healthz HT",
        head(b"POST /api/live/control HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 9"),
    ],
)
def test_a_connection_that_breaks_off_disturbs_nobody(live: Daemon, data: bytes) -> None:
    live.drop(data)

    assert live.get("/healthz", token=None).status == 200


def test_http_1_0_without_a_host_is_refused(live: Daemon) -> None:
    top, _, body = live.raw(head(b"GET /healthz HTTP/1.0")).partition(b"\r\n\r\n")

    assert top.split(b" ")[1] == b"403"
    assert "Host" in json.loads(body)["error"]


def test_a_head_request_gets_the_head_alone(live: Daemon) -> None:
    answer = live.ask("HEAD", STATUS)

    assert (answer.status, answer.raw) == (200, b"")


def test_refusals_leave_neither_tracebacks_nor_the_token_in_the_log(live: Daemon) -> None:
    secret = live.token.encode()
    live.raw(head(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"Authorization: Bearer " + secret + b"\x01"))
    live.raw(head(b"GET /?" + secret + b"\xff HTTP/1.1", b"Host: 127.0.0.1"))
    live.ask("POST", CONTROL, secret, {"Content-Encoding": "gzip"})
    live.ask("POST", CONTROL, json.dumps({"action": live.token}).encode())
    live.get(f"/{live.token}")

    lines = live.log()

    assert live.token not in live.log_text()
    assert {line["level"] for line in lines} <= {"info", "warning"}
