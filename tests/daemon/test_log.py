"""Log lines: JSON where no person watches, and never a secret in them."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from config.schema import Log
from daemon.log import bind, configure_logging, hide

SECRET = "s3cr3t-of-a-test"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a look at the JSON lines logged since the last look."""
    handlers, level = logging.root.handlers[:], logging.root.level
    configure_logging(Log(format="json"))
    hide(SECRET)
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    bind()
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_line_is_one_json_object_with_level_and_time(lines: Callable[[], list[dict[str, Any]]]) -> None:
    structlog.get_logger().warning("disk_nearly_full", free_mb=3, path="with\nnewline")

    (line,) = lines()
    assert (line["event"], line["level"], line["free_mb"], line["path"]) == (
        "disk_nearly_full",
        "warning",
        3,
        "with\nnewline",
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_is_written_whole_for_the_daemon_and_its_console_share_the_log(form: str) -> None:
    program = f"""
import structlog
from config.schema import Log
from daemon.log import configure_logging
configure_logging(Log(format={form!r}))
structlog.get_logger().warning("first", path="with newline")
structlog.get_logger().warning("second")
"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # one write, one datagram
    with ours, theirs:
        environment = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
        subprocess.run([sys.executable, "-c", program], stderr=theirs.fileno(), env=environment, check=True)

        ours.settimeout(0)
        first, second = ours.recv(10_000), ours.recv(10_000)

    assert b"first" in first
    assert b"second" in second
    assert (first[-1:], second[-1:]) == (b"\n", b"\n")


def test_a_line_says_what_it_is_about_unless_it_does_so_itself(lines: Callable[[], list[dict[str, Any]]]) -> None:
    bind(iter(range(7, 9)).__next__, session="S-1", run=3)
    structlog.get_logger().info("disk_nearly_full")
    structlog.get_logger().info("fill", seq=5, strategy="a")
    logging.getLogger("somebody").warning("else")

    about = [{name: line[name] for name in ("session", "run", "seq")} for line in lines()]
    assert about == [{"session": "S-1", "run": 3, "seq": seq} for seq in (7, 5, 8)]
    bind()
    structlog.get_logger().info("ended")
    assert "session" not in lines()[0]


@pytest.mark.parametrize(
    "key", ["token", "TOKEN", "control_token", "secret", "api_key", "apikey", "password", "passphrase", "Authorization"]
)
def test_a_secret_is_known_by_its_key(lines: Callable[[], list[dict[str, Any]]], key: str) -> None:
    structlog.get_logger().info("event", **{key: "whatever it is"}, headers={key: "again"})

    (line,) = lines()
    assert (line[key], line["headers"]) == ("[redacted]", {key: "[redacted]"})


@pytest.mark.parametrize("key", ["token_file", "token_path", "credential_file"])
def test_where_a_secret_lies_is_no_secret(lines: Callable[[], list[dict[str, Any]]], key: str) -> None:
    structlog.get_logger().info("event", **{key: "/var/lib/control.token"})

    assert lines()[0][key] == "/var/lib/control.token"


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"Bearer {SECRET}",
        {"headers": {"x": [f"a{SECRET}b"]}},
        (1, [SECRET]),
        RuntimeError(SECRET),
        SECRET.encode(),
        {SECRET: 1},
    ],
)
def test_a_secret_is_known_by_its_value_however_it_is_wrapped(
    lines: Callable[[], list[dict[str, Any]]], value: object
) -> None:
    structlog.get_logger().info("event", harmless=value)
    structlog.get_logger().info(f"event {SECRET}")

    text = json.dumps(lines())
    assert SECRET not in text
    assert text.count("[redacted]") == 2


def test_a_secret_in_a_traceback_is_hidden(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("failed")

    (line,) = lines()
    assert "ValueError: invalid literal" in line["exception"]
    assert "'[redacted]'" in line["exception"]


def test_numbers_and_flags_stay_what_they_are(lines: Callable[[], list[dict[str, Any]]]) -> None:
    structlog.get_logger().info("event", count=3, share=0.5, fine=True, nothing=None)

    (line,) = lines()
    assert (line["count"], line["share"], line["fine"], line["nothing"]) == (3, 0.5, True, None)


def test_what_libraries_log_is_redacted_and_json_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("aiohttp.server").error("request %s", SECRET)
    logging.getLogger("anything").info("not worth a line")

    (line,) = lines()
    assert (line["event"], line["level"], line["logger"], line["message"]) == (
        "library",
        "error",
        "aiohttp.server",
        "request [redacted]",
    )


def test_lines_below_the_level_are_not_written(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    configure_logging(Log(format="json", level="error"))

    structlog.get_logger().warning("less")
    structlog.get_logger().error("enough")

    assert [line["event"] for line in lines()] == ["enough"]


def test_for_people_the_same_secrets_are_hidden(
    lines: Callable[[], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines() == []
    configure_logging(Log(format="console"))

    structlog.get_logger().info("event", where=SECRET, password="x")

    shown = capsys.readouterr().err
    assert "event" in shown
    assert SECRET not in shown
    assert shown.count("[redacted]") == 2
