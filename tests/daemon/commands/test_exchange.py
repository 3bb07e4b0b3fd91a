"""`pitboss exchange` as a process: its interface, its state across a kill, what it refuses."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PITBOSS = (sys.executable, "-m", "daemon.cli")
WITHIN_S = 30.0

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a way to start an exchange in `tmp_path` and to wait until it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        ready = tmp_path / "state" / "ccxt.json"
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *PITBOSS,
                    "exchange",
                    "--port",
                    "0",
                    "--admin-port",
                    "0",
                    "--state-dir",
                    str(ready.parent),
                    *arguments,
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        inode = ready.stat().st_ino if ready.exists() else None
        deadline_s = time.monotonic() + WITHIN_S
        while not ready.exists() or ready.stat().st_ino == inode:
            said = (tmp_path / "log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline_s, said
            time.sleep(0.02)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=WITHIN_S)


def admin(tmp_path: Path, path: str, content: Any = None) -> Any:
    endpoint = json.loads((tmp_path / "state" / "exchange.json").read_text())
    data = None if content is None else json.dumps(content).encode()
    with urllib.request.urlopen(f"{endpoint['admin_url']}{path}", data, timeout=WITHIN_S) as response:
        return json.loads(response.read())


def client(tmp_path: Path, name: str = "binance") -> Any:
    import ccxt

    made = getattr(ccxt, name)(json.loads((tmp_path / "state" / "ccxt.json").read_text())[name])
    made.enableRateLimit = False
    return made


def refusal(*arguments: str) -> str:
    done = subprocess.run(
        [*PITBOSS, "exchange", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_any_ccxt_program_trades_with_the_arguments_it_writes(start: Start, tmp_path: Path) -> None:
    process = start("--speed", "600", "--seed", "3", "--symbol", "ETH/USDT", "--fault", "latency=0.5:0.01")
    exchange = client(tmp_path)
    assert set(exchange.load_markets()) == {"ETH/USDT"}
    order = exchange.create_order("ETH/USDT", "market", "buy", 0.1)
    assert order["status"] == "closed"
    book = admin(tmp_path, "/control/book")
    assert [fill["client_order_id"] for fill in book["fills"]] == [order["clientOrderId"]]
    assert {"asset": "ETH", "free": "0.09990000", "locked": "0.00000000"} in book["balances"]
    faults = {row["name"]: row for row in admin(tmp_path, "/control/faults")["faults"]}
    assert (faults["latency"]["rate"], faults["latency"]["seconds"]) == (0.5, 0.01)
    assert admin(tmp_path, "/control/fault", {"latency": 0})["faults"][0]["rate"] == 0.0
    assert set(json.loads((tmp_path / "state" / "ccxt.json").read_text())) == {"binance", "binanceusdm"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=WITHIN_S) == 0
    log = (tmp_path / "log").read_text()
    assert "exchange_ready" in log
    assert str(tmp_path / "state" / "ccxt.json") in log
    assert "Traceback" not in log


def test_perpetuals_are_traded_beside_spot_and_survive_a_kill(start: Start, tmp_path: Path) -> None:
    flags = ("--leverage", "7", "--funding-rate", "-0.001", "--futures-balance", "5000", "--seed", "3")
    process = start(*flags)
    exchange = client(tmp_path, "binanceusdm")
    exchange.load_markets()
    exchange.create_order("BTC/USDT:USDT", "market", "sell", 0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=WITHIN_S)
    start(*flags)
    exchange = client(tmp_path, "binanceusdm")
    exchange.load_markets()
    (position,) = exchange.fetch_positions()
    assert (position["contracts"], position["side"]) == (0.01, "short")
    assert exchange.fetch_leverage("BTC/USDT:USDT")["longLeverage"] == 7
    assert exchange.fetch_funding_rate("BTC/USDT:USDT")["fundingRate"] == -0.001
    assert 4_990 < exchange.fetch_balance()["USDT"]["total"] < 5_000


def test_what_was_acknowledged_survives_a_kill(start: Start, tmp_path: Path) -> None:
    arguments = ("--speed", "600", "--seed", "3")
    process = start(*arguments)
    exchange = client(tmp_path)
    exchange.create_order("BTC/USDT", "market", "buy", 0.1, params={"clientOrderId": "taken"})
    exchange.create_order("BTC/USDT", "limit", "buy", 0.1, 1000, {"clientOrderId": "rests"})
    process.kill()
    process.wait(timeout=WITHIN_S)
    start(*arguments)
    book = admin(tmp_path, "/control/book")
    assert [(order["client_order_id"], order["status"]) for order in book["orders"]] == [
        ("taken", "FILLED"),
        ("rests", "NEW"),
    ]
    assert len(book["fills"]) == 1
    again = client(tmp_path)
    assert (again.apiKey, again.secret) == (exchange.apiKey, exchange.secret)
    assert [order["clientOrderId"] for order in again.fetch_open_orders("BTC/USDT")] == ["rests"]
    assert again.cancel_order(None, "BTC/USDT", {"clientOrderId": "rests"})["status"] == "canceled"


def test_tape_from_a_file_is_played(start: Start, tmp_path: Path) -> None:
    rows = [f"{1_700_000_040_000 + 60_000 * i},{100 + i},{101 + i},{99 + i},{100.5 + i},2" for i in range(50)]
    (tmp_path / "prices.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows]) + "\n")
    start("--tape", str(tmp_path / "prices.csv"), "--symbol", "SOL/USDT", "--speed", "6000")
    exchange = client(tmp_path)
    deadline_s = time.monotonic() + WITHIN_S
    while len(candles := exchange.fetch_ohlcv("SOL/USDT", "1m")) < 10:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert [candle[1:5] for candle in candles[:9]] == [[100 + i, 101 + i, 99 + i, 100.5 + i] for i in range(9)]
    assert [candle[5] for candle in candles[:9]] == [2.0] * 9


def test_one_exchange_at_a_time_in_a_folder(start: Start, tmp_path: Path) -> None:
    process = start()
    assert f"(process {process.pid})" in refusal(
        "--port", "0", "--admin-port", "0", "--state-dir", str(tmp_path / "state")
    )
    assert (tmp_path / "state" / "ccxt.json").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--fault", "nope=1"), "--fault nope: there is no such fault; there are latency"),
        (("--fault", "latency"), "write it as NAME=RATE"),
        (("--symbol", "BTCUSDT"), "--symbol BTCUSDT: write it as BASE/QUOTE"),
        (("--symbol", "BTC/USDT", "--symbol", "ETH/USDT"), "one synthetic market"),
        (("--tape", "a.csv", "--symbol", "BTC/USDT", "--symbol", "ETH/USDT"), "one for each --tape"),
        (("--tape", "/no/such/file.csv"), "/no/such/file.csv"),
        (("--speed", "0"), "--speed 0"),
        (("--leverage", "126"), "--leverage 126: from 1 to 125"),
        (("--funding-rate", "much"), "--funding-rate much: a number, at least -1"),
        (("--funding-hours", "0"), "--funding-hours 0: at least 1"),
        (("--futures-balance", "-1"), "--futures-balance -1: a number, at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    assert text in refusal("--port", "0", "--admin-port", "0", "--state-dir", str(tmp_path / "state"), *arguments)


def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal("--port", port, "--admin-port", "0", "--state-dir", str(tmp_path / "state"))
    assert f"--port {port}" in line
    assert "in use" in line
