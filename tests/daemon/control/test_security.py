"""The gate: who may speak, decided from headers alone."""

from __future__ import annotations

import hmac
import os
import stat
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.errors import UserError
from daemon.control.keys import Key, Keyring, revoke, rotate
from daemon.control.refusal import RefusedError
from daemon.control.security import CALLER_HEADER, CSRF_HEADER, Caller, Gate, cookie, cookies, same_origin, told
from daemon.control.sessions import network
from daemon.state_dir import load_token

CONTROL = "a-token-that-may-command"
READ = "a-token-that-may-read"
INTERNAL = "a-token-of-the-process-itself"
HERE = "127.0.0.1:8788"
COOKIE = "pitboss_session_8788"


class Clock:
    """A clock that is set by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    (tmp_path / "control.token").write_text(CONTROL + "\n")
    (tmp_path / "read.token").write_text(READ)
    (tmp_path / "control.desk.token").write_text("a-token-of-the-desk")
    return Keyring(tmp_path, "")


@pytest.fixture
def gate(keyring: Keyring, clock: Clock) -> Gate:
    """Return a gate that listens on an address of its own behind a proxy."""
    terms: Any = {"internal": INTERNAL, "failures_max": 3, "session_s": 60.0, "now_s": clock, "wall_s": clock}
    return Gate(keyring, "192.0.2.7", ("Desk.example",), **terms)


def ask(
    gate: Gate, needed: Any = "read", method: str = "GET", address: str = "203.0.113.5", **headers: str
) -> Caller | RefusedError | None:
    """Return who was let in, or the refusal; header names are written with underscores."""
    sent = {"Host": HERE} | {name.replace("_", "-"): value for name, value in headers.items()}
    upgrade = sent.pop("Upgrade", "") == "websocket"
    try:
        return gate.admit(method, sent, address, needed, upgrade=upgrade)
    except RefusedError as error:
        return error


def status(answer: Caller | RefusedError | None) -> int:
    return int(answer.status) if isinstance(answer, RefusedError) else 200


def bearer(token: str) -> str:
    return f"Bearer {token}"


# --- tokens -----------------------------------------------------------------------------------------


def test_tokens_are_compared_in_constant_time_and_all_of_them(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def record(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", record)

    answers = [status(ask(gate, Authorization=given)) for given in (bearer(CONTROL), bearer("x"), "Basic x", "")]

    assert answers == [200, 401, 401, 401]
    everything = {INTERNAL.encode(), CONTROL.encode(), READ.encode(), b"a-token-of-the-desk"}
    for sent in (CONTROL.encode(), b"x", b""):
        assert {kept for given, kept in compared if given == sent} == everything


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearerx", ""])
def test_the_right_token_under_another_scheme_is_refused(gate: Gate, scheme: str) -> None:
    assert status(ask(gate, Authorization=f"{scheme} {CONTROL}")) == 401


@pytest.mark.parametrize("given", ["\udcff", "\udce9t\udce9", "é", "\U0001f511", "\x00", CONTROL + "\udc80"])
def test_a_token_of_any_bytes_is_compared_not_raised_over(gate: Gate, given: str) -> None:
    assert status(ask(gate, Authorization=bearer(given))) == 401
    assert status(ask(gate, Cookie=f"{COOKIE}={given}")) == 401


def test_each_token_has_a_role_and_a_name(gate: Gate) -> None:
    desk = ask(gate, "control", "POST", Authorization=bearer("a-token-of-the-desk"))
    assert desk == Caller("control", "desk", "203.0.113.5")
    assert ask(gate, "control", "POST", Authorization=bearer(CONTROL)) == Caller("control", "control", "203.0.113.5")
    assert ask(gate, Authorization=bearer(READ)) == Caller("read", "read", "203.0.113.5")
    refused = ask(gate, "control", "POST", Authorization=bearer(READ))
    assert isinstance(refused, RefusedError)
    assert (refused.status, refused.reason) == (403, "the token read may read, and this changes something")
    assert ask(gate, "open") is None


def test_a_token_that_was_replaced_is_refused_from_then_on(gate: Gate, tmp_path: Path) -> None:
    assert status(ask(gate, Authorization=bearer(CONTROL))) == 200
    path = rotate(tmp_path, "control")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert status(ask(gate, Authorization=bearer(CONTROL))) == 401
    assert status(ask(gate, Authorization=bearer(path.read_text().strip()))) == 200
    assert status(ask(gate, Authorization=bearer(READ))) == 200, "the others stay"


def test_a_named_token_comes_and_goes_while_it_runs(gate: Gate, tmp_path: Path) -> None:
    token = rotate(tmp_path, "read", "phone").read_text().strip()
    assert ask(gate, Authorization=bearer(token)) == Caller("read", "phone", "203.0.113.5")
    revoke(tmp_path, "read", "phone")
    assert status(ask(gate, Authorization=bearer(token))) == 401
    with pytest.raises(UserError, match="No such file"):
        revoke(tmp_path, "read", "phone")
    with pytest.raises(UserError, match="replaced, not taken away"):
        revoke(tmp_path, "read", "read")


@pytest.mark.parametrize("name", ["", "../x", "a b", "é", "a.b", "x" * 41])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="token name"):
        rotate(tmp_path, "read", name)
    with pytest.raises(UserError, match="did you mean 'control'"):
        rotate(tmp_path, "contrl", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"short", b"a token with spaces in it", "tökens-of-some-length".encode(), b"\x00" * 32]
)
def test_a_file_that_holds_no_token_lets_nobody_in(gate: Gate, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.token").write_bytes(content)
    assert status(ask(gate, Authorization=bearer(content.decode("utf-8").strip()))) == 401
    assert status(ask(gate, Authorization=bearer(""))) == 401
    assert status(ask(gate, Authorization=bearer(READ))) == 200


def test_a_pipe_in_a_files_place_is_waited_for_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "read.token").write_text(READ)
    logins = tmp_path / "logins.json"
    for pipe in (tmp_path / "control.token", logins):
        os.mkfifo(pipe)
    found: list[Key] = []

    def show() -> None:
        gate = Gate(Keyring(tmp_path, ""), "127.0.0.1", (), sessions_kept=logins)
        found.extend(gate._keyring.believed())
        gate.sessions.begin(found[0])

    asking = Thread(target=show, daemon=True)
    asking.start()
    asking.join(10)

    assert [(key.role, key.token) for key in found] == [("read", READ)]
    assert logins.is_file()


def test_a_credential_of_the_service_manager_takes_the_files_place(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "pitboss-token").write_text("from-the-service-manager")
    (tmp_path / "control.token").write_text(CONTROL)
    (tmp_path / "control.desk.token").write_text("a-token-of-the-desk")
    keyring = Keyring(tmp_path, str(credentials))
    assert [(key.role, key.name) for key in keyring.believed()] == [("control", "control"), ("control", "desk")]
    assert keyring.find(CONTROL) is None
    assert keyring.find("from-the-service-manager") is not None


def test_a_short_token_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "control.token").write_text("guess-me")
    with pytest.raises(UserError, match="at least 16 printable characters"):
        load_token(tmp_path)


# --- wrong tokens -----------------------------------------------------------------------------------


def test_too_many_wrong_tokens_have_to_wait_and_the_right_one_has_not(gate: Gate, clock: Clock) -> None:
    answers = [ask(gate, Authorization=bearer("wrong")) for _ in range(5)]
    assert [status(answer) for answer in answers] == [401, 401, 401, 429, 429]
    assert isinstance(answers[-1], RefusedError)
    assert answers[-1].headers == {"Retry-After": "60"}
    assert status(ask(gate, Authorization=bearer(CONTROL))) == 200, "nobody is locked out by what others send"
    assert status(ask(gate, address="203.0.113.6", Authorization=bearer("wrong"))) == 401
    clock.now_s += 59
    assert status(ask(gate, Authorization=bearer("wrong"))) == 429
    clock.now_s += 1
    assert status(ask(gate, Authorization=bearer("wrong"))) == 401


def test_who_shows_nothing_or_an_old_cookie_is_no_guesser(gate: Gate) -> None:
    for _ in range(10):
        assert status(ask(gate)) == 401
        assert status(ask(gate, Cookie=f"{COOKIE}=old")) == 401
    assert status(ask(gate, Authorization=bearer("wrong"))) == 401


def test_many_addresses_are_remembered_within_a_bound(gate: Gate) -> None:
    for number in range(3_000):
        ask(gate, address=f"198.51.{number // 250}.{number % 250}", Authorization=bearer("wrong"))
    assert len(gate._failures._windows) == 1_024


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_a_host_with_many_addresses_is_one(address: str, stands_for: str) -> None:
    assert network(address) == stands_for


def test_who_was_not_let_in_to_change_something_is_written_down_so_many_times_a_minute(
    gate: Gate, clock: Clock
) -> None:
    read, wrong = {"Authorization": bearer(READ)}, {"Authorization": bearer("wrong")}
    with capture_logs() as lines:
        for shown in (read, wrong, {}, {"Cookie": f"{COOKIE}=old"}, wrong | {"Host": "evil.example"}):
            assert status(ask(gate, "control", "POST", **shown)) in (401, 403)
        assert status(ask(gate, **wrong)) == status(ask(gate, "read")) == 401, "who only looks"
    lines = [line for line in lines if line["event"] == "not_allowed"]
    assert [(line["role"], line["name"]) for line in lines] == [("read", "read"), *[("", "")] * 4]
    assert {(line["address"], line["needed"]) for line in lines} == {("203.0.113.5", "control")}
    assert [line["reason"].partition(" ")[0] for line in lines] == ["the", "this", "send", "send", "the"]
    assert "wrong" not in str(lines)

    with capture_logs() as lines:
        for number in range(200):
            ask(gate, "control", "POST", address=f"198.51.100.{number}")
        clock.now_s += 60
        ask(gate, "control", "POST", **read)
    events = [line["event"] for line in lines]
    assert (events.count("not_allowed"), events.count("more_not_allowed")) == (100 - 5 + 1, 1)


# --- the console ------------------------------------------------------------------------------------


def test_whom_the_console_asks_for_is_believed_with_the_internal_token_alone(gate: Gate) -> None:
    caller = Caller("read", "phone", "2001:db8::1")
    header = {CALLER_HEADER.replace("-", "_"): told(caller)}
    assert ask(gate, Authorization=bearer(INTERNAL), **header) == caller
    assert status(ask(gate, "control", "POST", Authorization=bearer(INTERNAL), **header)) == 403
    assert ask(gate, Authorization=bearer(READ), **{**header, "X_Pitboss_Caller": "control;root;::1"}) == Caller(
        "read", "read", "203.0.113.5"
    )


@pytest.mark.parametrize(
    "told_as", ["", "control", "control;a", "root;a;b", "control;a b;c", "control;a;b;c", "control;a;b\n"]
)
def test_a_caller_in_another_form_is_refused(gate: Gate, told_as: str) -> None:
    assert status(ask(gate, Authorization=bearer(INTERNAL), X_Pitboss_Caller=told_as)) == 400


def test_without_an_internal_token_nobody_speaks_for_others(keyring: Keyring) -> None:
    gate = Gate(keyring, "127.0.0.1", ())
    assert status(ask(gate, Authorization="Bearer ", X_Pitboss_Caller="control;root;::1")) == 401


# --- cookies ----------------------------------------------------------------------------------------


@pytest.fixture
def session(gate: Gate) -> dict[str, str]:
    """Return the headers our own page sends once it has logged in."""
    name, began = gate.sessions.begin(gate.key_of(CONTROL, "203.0.113.5"))
    return {"Cookie": f"{COOKIE}={name}", CSRF_HEADER.replace("-", "_"): began.csrf, "Origin": f"http://{HERE}"}


def test_a_cookie_stands_for_the_token_it_was_given_for(gate: Gate, session: dict[str, str]) -> None:
    caller = Caller("control", "control", "203.0.113.5")
    assert ask(gate, Cookie=session["Cookie"]) == caller
    assert ask(gate, "control", "POST", **session) == caller
    several = f"a=b; pitboss_session_1=of-another-port; {COOKIE}=of-none; {session['Cookie']}; c"
    assert ask(gate, Cookie=several) == caller


def test_a_cookie_ends_with_its_time_its_token_and_its_logout(gate: Gate, clock: Clock, tmp_path: Path) -> None:
    def begin(token: str) -> str:
        return gate.sessions.begin(gate.key_of(token, "x"))[0]

    reading, commanding, leaving = begin(READ), begin(CONTROL), begin(READ)
    gate.sessions.end(leaving)
    assert status(ask(gate, Cookie=f"{COOKIE}={leaving}")) == 401
    rotate(tmp_path, "control")
    assert status(ask(gate, Cookie=f"{COOKIE}={commanding}")) == 401
    (tmp_path / "control.token").write_text(CONTROL)
    assert status(ask(gate, Cookie=f"{COOKIE}={commanding}")) == 401, "what is over does not come back"
    assert status(ask(gate, Cookie=f"{COOKIE}={reading}")) == 200
    clock.now_s += 60
    assert status(ask(gate, Cookie=f"{COOKIE}={reading}")) == 401
    assert gate.sessions._kept == {}


def test_sessions_outlast_the_process_but_neither_logout_nor_their_token(
    keyring: Keyring, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "logins.json"

    def started() -> Gate:
        return Gate(keyring, "127.0.0.1", (), session_s=60.0, sessions_kept=path, wall_s=clock)

    def good(gate: Gate) -> list[str]:
        return [name for name, cookie_ in held.items() if gate.sessions.find(cookie_) is not None]

    first = started()
    held, words = {}, {}
    for name, token in [("left", READ), ("read", READ), ("command", CONTROL)]:
        held[name], began = first.sessions.begin(first.key_of(token, "x"))
        words[name] = began.csrf
    first.sessions.end(held["left"])
    clock.now_s += 20

    second = started()
    assert good(second) == ["read", "command"]
    found = second.sessions.find(held["command"])
    assert found is not None
    assert (found.key.role, found.csrf, second.sessions.left_s(found)) == ("control", words["command"], 40)
    assert len({*words.values(), *held.values()}) == 6, "no word is another's, or a cookie"
    kept = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(secret in kept for secret in (*words.values(), *held.values(), READ, CONTROL))

    rotate(tmp_path, "control")
    assert good(started()) == ["read"]
    (tmp_path / "control.token").write_text(CONTROL)
    assert good(started()) == ["read"], "what is over does not come back"
    clock.now_s -= 120
    assert good(started()) == [], "begun in the future"
    for damaged in (b"", b"[]", b'{"a": [1]}', b"\xff"):
        path.write_bytes(damaged)
        name, _ = started().sessions.begin(keyring.believed()[0])
        assert started().sessions.find(name) is not None
    path.unlink()
    path.mkdir()
    name, _ = (last := started()).sessions.begin(keyring.believed()[0])
    assert last.sessions.find(name) is not None, "a disk that refuses locks nobody out"


def test_sessions_are_bounded(gate: Gate) -> None:
    key = gate.key_of(READ, "x")
    names = [gate.sessions.begin(key)[0] for _ in range(70)]
    assert [gate.sessions.find(name) is not None for name in names] == [False] * 6 + [True] * 64
    assert len(set(names)) == 70


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Sec_Fetch_Site": "same-site"}, False),  # a page on another port of this machine
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "http://localhost:8788"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": None}, False),
        ({"X_Pitboss_CSRF": None}, False),
        ({"X_Pitboss_CSRF": "1"}, False),
        ({"X_Pitboss_CSRF": "\udcff"}, False),
    ],
    ids=str,
)
def test_what_changes_something_comes_from_our_own_page(
    gate: Gate, session: dict[str, str], changes: dict[str, Any], allowed: bool
) -> None:
    headers = {name: value for name, value in (session | changes).items() if value is not None}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (status(ask(gate, "control", method, **headers)) == HTTPStatus.OK) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (f"http://{HERE}", True),
        ("http://127.0.0.1:3000", False),
        ("http://evil.example", False),
        ("null", False),
        (None, False),
    ],
)
def test_a_websocket_by_cookie_comes_from_our_own_page(
    gate: Gate, session: dict[str, str], origin: str | None, allowed: bool
) -> None:
    headers = {"Cookie": session["Cookie"], "Upgrade": "websocket"} | ({} if origin is None else {"Origin": origin})
    assert (status(ask(gate, **headers)) == HTTPStatus.OK) is allowed
    token = {"Authorization": bearer(READ), "Upgrade": "websocket"}
    assert status(ask(gate, **token)) == 200, "with a token there is no browser in between"


def test_the_session_of_one_does_not_vouch_for_the_csrf_of_another(gate: Gate, session: dict[str, str]) -> None:
    _, other = gate.sessions.begin(gate.key_of(CONTROL, "x"))
    assert status(ask(gate, "control", "POST", **session | {"X_Pitboss_CSRF": other.csrf})) == 403


def test_a_cookie_is_for_this_address_and_no_script() -> None:
    assert cookie(HERE, "x", 60, secure=True) == (f"{COOKIE}=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure")
    assert cookie("desk", "", 0, secure=False) == "pitboss_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    assert cookie("[::1]:99", "x", 1, secure=False).startswith("pitboss_session_99=x;")
    assert cookie("[::1]", "x", 1, secure=False).startswith("pitboss_session=x;")
    sent = ";;=;pitboss_session;pitboss_session=;pitboss_session=a=b; PITBOSS_SESSION=c; pitboss_session_1=d"
    assert cookies({"Cookie": sent, "Host": "desk"}) == ["", "", "a=b"]
    assert cookies({"Cookie": sent, "Host": "desk:1"}) == ["d"], "each daemon of a machine has its own"
    assert len(cookies({"Cookie": "pitboss_session=x;" * 1_000})) == 8


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://a:1", "a:1", True),
        ("https://A:1", "a:1", True),
        ("http://a:1", "a:2", False),
        ("http://a", "a:80", False),
        ("ftp://a:1", "a:1", False),
        ("http://[::1", "[::1", False),
        ("http://", "", False),
        ("null", "null", False),
        (None, "a", False),
        ("http://a", None, False),
    ],
)
def test_an_origin_is_the_same_only_to_the_port(origin: str | None, host: str | None, same: bool) -> None:
    assert same_origin(origin, host) is same


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "192.0.2.7:80", "desk.example", "DESK.example:443", "127.0.0.1", "[::1]:1"]
)
def test_our_names_are_the_address_loopback_and_those_allowed(gate: Gate, host: str) -> None:
    assert gate.host_allowed(host)
    assert gate.origin_allowed(f"https://{host}")


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.8",
        "example",
        "desk.example.evil",
        "",
        "[::1",
        "192.0.2.7.evil",
        "a@b",
        "evil@127.0.0.1",
        "127.0.0.1@evil",
        None,
    ],
)
def test_all_other_names_are_foreign_whatever_is_shown_with_them(gate: Gate, host: str | None) -> None:
    assert not gate.host_allowed(host)
    headers = {} if host is None else {"Host": host}
    with pytest.raises(RefusedError) as refused:
        gate.admit("GET", headers | {"Authorization": bearer(CONTROL)}, "x", "read")
    assert refused.value.status == 403


def test_no_origin_is_no_page(gate: Gate) -> None:
    assert gate.origin_allowed(None)
    assert not gate.origin_allowed("null")
    assert not gate.origin_allowed("http://evil@127.0.0.1")
