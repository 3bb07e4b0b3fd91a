"""The dashboard in a real browser: Debian's Chromium against a daemon that trades; pictures go to build/dashboard."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect, sync_playwright

from replay.tape import synthetic_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from tests.daemon.conftest import PATIENCE_S, REPOSITORY, STRATEGIES, Nursery
from tests.daemon.console.conftest import WITH_CONSOLE, Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PICTURES = REPOSITORY / "build" / "dashboard"
EXPECTED = (
    "Applying inline style",  # of maps: the charts' bundle brings it along, and the page's policy refuses it
    "status of 400",  # what the daemon refuses to do, a browser reports, too
)
EMPTY_HASH = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

CONFIG = f"""
[[strategies]]
use = "{STRATEGIES}:Steady"
[[strategies]]
use = "ema_cross"
params = {{fast = 3, slow = 6}}
[risk]
max_open_orders = 40
"""

pytestmark = pytest.mark.slow
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def daemon_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a daemon that these tests command: each leaves it running."""
    nursery = Nursery(tmp_path_factory.mktemp("dashboard"))
    config = nursery.folder / "pitboss.toml"
    config.write_text(CONFIG)
    data = nursery.folder / "data"
    frames = [
        pl.DataFrame({"ts": chunk.open_ns} | {name: getattr(chunk, name) for name in chunk.__struct_fields__[1:]})
        for chunk in synthetic_tape("5:2000").series[0].chunks()
    ]
    Catalogue(data).write(SeriesKey("bars", "test", "SYN/USDT", 60_000_000_000), frames, Provenance("made up"))
    settings = ("--config", str(config), "--data-dir", str(data))
    yield Client(nursery(*WITH_CONSOLE, *settings, strategy=None, speed=600))
    nursery.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


Opened = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, daemon_client: Client) -> Iterator[Opened]:
    """Return an opener of the dashboard, logged in; whatever its console complains of fails the test."""
    complaints: list[str] = []

    def open_one(token: str = "", *, width: int = 1440, height: int = 900, before: Any = None, **more: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        context.set_default_timeout(PATIENCE_S * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        if before is not None:
            before(page)
        page.goto(daemon_client.url)
        page.fill("#token", token or daemon_client.daemon.token)
        page.click("text=Log in")
        expect(page.locator("#state")).to_have_text("running")
        return page

    yield open_one
    for context in browser.contexts:
        context.close()
    assert [text for text in complaints if not any(words in text for words in EXPECTED)] == []


expect.set_options(timeout=PATIENCE_S * 1000)


# --- what is served ----------------------------------------------------------------------------------


def test_who_is_not_logged_in_gets_a_page_without_data_and_no_file_of_the_dashboard(daemon_client: Client) -> None:
    page = daemon_client.ask("GET", "/", token=None)

    assert page.status == 200
    assert b'id="token"' in page.raw
    assert daemon_client.daemon.status()["session"].encode() not in page.raw
    assert daemon_client.ask("GET", "/login/login.js", token=None).status == 200
    for path in ("/web/app.js", "/web/page.html", "/web/plotly.js", "/web/nothing.js"):
        assert daemon_client.ask("GET", path, token=None).status == 401, path
    for path in ("/login/page.html", "/login/..%2Fapp.js", "/login/app.js"):
        assert daemon_client.ask("GET", path, token=None).status == 404, path
    assert daemon_client.ask("GET", "/web/aap.js").body["error"].endswith("(did you mean 'app.js'?)")


def test_its_policy_allows_our_own_files_and_no_script_or_style_in_the_page(daemon_client: Client) -> None:
    for token in (None, ""):
        page = daemon_client.ask("GET", "/", token=token)
        policy = page.headers["Content-Security-Policy"]

        assert "unsafe" not in policy
        assert "default-src 'none'; script-src 'self';" in policy
        assert f"style-src 'self' {EMPTY_HASH};" in policy
        assert f"connect-src 'self' {daemon_client.url.replace('http', 'ws')} " in policy
        assert not re.search(rb"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)|https?://", page.raw)


def test_the_bundle_of_the_charts_is_kept_and_the_rest_asked_for_again(daemon_client: Client) -> None:
    (address,) = re.findall(r'href="(/web/plotly.js[^"]*)"', daemon_client.ask("GET", "/").raw.decode())
    bundle = daemon_client.ask("GET", address, headers={"Accept-Encoding": "gzip"})
    module = daemon_client.ask("GET", "/web/app.js")
    again = daemon_client.ask("GET", "/web/app.js", headers={"If-None-Match": module.headers["ETag"]})

    assert "immutable" in bundle.headers["Cache-Control"]
    assert gzip.decompress(bundle.raw).startswith(b"/**\n* plotly.js")
    assert (module.headers["Cache-Control"], again.status, again.raw) == ("no-cache", 304, b"")
    assert module.headers["Content-Type"].startswith("text/javascript")


# --- what a person sees and does -----------------------------------------------------------------------


def _command(page: Page, words: str) -> None:
    """Wait until the page says that a command was carried out."""
    expect(page.locator(".outcome", has_text=words).locator(".up")).to_have_text(re.compile("^done"))


def _trading(client: Client, state: str) -> Any:
    return client.daemon.wait_for(lambda status: status["state"] == state, state)


@in_browser
def test_a_wrong_token_is_told_so_and_the_right_one_opens_a_session_no_script_can_read(
    browser: Browser, daemon_client: Client
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(daemon_client.url)
    page.fill("#token", "not-the-token-of-this-daemon")
    page.press("#token", "Enter")
    expect(page.locator("#error")).to_have_text("This is not a token of the daemon.")
    page.fill("#token", daemon_client.daemon.token)
    page.press("#token", "Enter")
    expect(page.locator("#state")).to_have_text("running")

    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.click("text=Log out")
    expect(page.locator("#token")).to_be_visible()
    assert context.cookies() == []
    context.close()


@in_browser
def test_everything_moves_by_itself(open_page: Opened) -> None:
    page = open_page()
    before = page.inner_text("#equity")
    expect(page.locator("#equity")).not_to_have_text(before)

    expect(page.locator("#positions tbody tr").first).to_contain_text("SYN/USDT")
    expect(page.locator("#fills tbody tr").first).to_contain_text("buy")
    expect(page.locator("#orders tbody tr", has_text="Steady")).to_have_count(1)
    assert page.locator("#strategies tbody tr").count() == 2
    expect(page.locator("#day")).to_have_text(re.compile(r"\d"))
    expect(page.locator("#risk tbody tr")).to_contain_text("max open orders")
    expect(page.locator("#log li").first).to_be_visible()
    page.select_option("#whose", "ema_cross")
    expect(page.locator("#features .chip").first).to_be_visible()
    expect(page.locator("#price-chart .trace.boxes")).to_have_count(1)
    expect(page.locator("#price-chart .scatterlayer .trace.scatter").first).to_be_attached()
    expect(page.locator("#equity-chart .scatterlayer .trace.scatter")).to_have_count(1)
    page.screenshot(path=PICTURES / "wide-light.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=PICTURES / "wide-dark.png", full_page=True)


@in_browser
def test_pause_resume_and_a_flatten_that_has_to_be_typed(open_page: Opened, daemon_client: Client) -> None:
    page = open_page()
    page.click("[data-do=pause]")
    expect(page.locator("#state")).to_have_text("paused")
    _command(page, "pause")
    _trading(daemon_client, "paused")
    page.click("[data-do=resume]")
    expect(page.locator("#state")).to_have_text("running")

    page.click("[data-do=flatten]")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.keyboard.type("flat")
    page.keyboard.press("Enter")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert daemon_client.daemon.status()["commands"][-1]["action"] == "resume", "nothing was sent"
    page.click("[data-do=flatten]")
    page.keyboard.type("flatten")
    page.screenshot(path=PICTURES / "flatten.png")
    page.keyboard.press("Enter")
    _command(page, "flatten")
    expect(page.locator("#positions .empty")).to_be_visible()
    expect(page.locator("#orders .empty")).to_be_visible()

    status = _trading(daemon_client, "paused")
    assert (status["orders"], [row for row in status["positions"] if row["quantity"]]) == ([], [])
    command = status["commands"][-1]
    assert (command["action"], command["by"]["name"]) == ("flatten", "control")
    page.click("[data-do=resume]")
    _trading(daemon_client, "running")


@in_browser
def test_one_strategy_one_order_and_one_position(open_page: Opened, daemon_client: Client) -> None:
    page = open_page()
    row = page.locator("#strategies tbody tr", has_text="ema_cross")
    row.get_by_text("Pause").click()
    expect(row.locator(".pill")).to_have_text("paused")
    row.get_by_text("Resume").click()
    expect(row.locator(".pill")).to_have_text("running")

    held = page.locator("#positions tbody tr", has_text="Steady")
    held.get_by_text("Close…").click()
    expect(page.locator("#ask-text")).to_contain_text("Steady holds")
    page.click("#ask-yes")
    _command(page, "close SYN/USDT of Steady")

    page.locator("#orders tbody tr", has_text="Steady").get_by_text("Cancel…").click()
    page.keyboard.press("Enter")
    _command(page, "cancel ")
    done = [(command["action"], command["outcome"]) for command in daemon_client.daemon.status()["commands"]]
    assert [action.partition(" ")[0] for action, _ in done[-4:]] == ["pause", "resume", "close", "cancel"]
    assert {outcome for _, outcome in done} == {"done"}


@in_browser
def test_a_backtest_with_parameters_and_its_chart(open_page: Opened, daemon_client: Client) -> None:
    page = open_page()
    page.click("text=Single")
    expect(page.locator("#live")).to_be_hidden()
    page.select_option("#run-strategy", "ema_cross")
    page.fill("#run-params [name=quantity]", "0")
    page.click("#run button.primary")
    expect(page.locator("#run-error")).to_contain_text("quantity")
    page.fill("#run-params [name=quantity]", "0.2")
    page.fill("#run-params [name=fast]", "5")
    page.fill("#run-cash", "50000")
    page.click("#run button.primary")
    expect(page.locator("#backtests .pill")).to_have_text("done")
    expect(page.locator("#result-price .trace.boxes")).to_have_count(1)
    expect(page.locator("#result-equity .scatterlayer .trace.scatter")).to_have_count(1)
    expect(page.locator("#result-features .chip")).to_have_text(["fast", "slow"])

    (row,) = daemon_client.get("/api/backtests")["rows"]
    assert (row["params"], row["by"]) == ({"fast": 5, "quantity": 0.2}, "control")
    metrics = dict(
        zip(
            page.locator("#result-metrics dt").all_inner_texts(),
            page.locator("#result-metrics dd").all_inner_texts(),
            strict=True,
        )
    )
    assert metrics["Equity at the end"] == f"{row['final_equity']:,.2f}"
    assert metrics["Bars"] == "2,000"
    assert metrics["Trades"] == str(row["trades"])
    assert 0 < page.locator("#result-trades tbody tr").count() <= row["trades"]
    page.screenshot(path=PICTURES / "single.png", full_page=True)
    newest = page.get_attribute("#result-price", "aria-label")
    page.locator("#result-trades tbody tr").first.get_by_text("Chart").click()
    expect(page.locator("#result-price")).not_to_have_attribute("aria-label", str(newest))
    expect(page.locator("#result-later")).to_be_enabled()


@in_browser
def test_while_the_connection_is_gone_it_says_since_when(open_page: Opened) -> None:
    sockets: list[WebSocketRoute] = []
    is_up = True

    def serve(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if is_up:
            socket.connect_to_server()
        else:
            socket.close()

    page = open_page(before=lambda page: page.route_web_socket(re.compile("/api/stream"), serve))
    expect(page.locator("#old")).to_be_hidden()
    is_up = False
    sockets[-1].close()
    expect(page.locator("#old")).to_contain_text(re.compile(r"No connection since \d\d:\d\d:\d\d UTC"))
    is_up = True
    expect(page.locator("#old")).to_be_hidden()
    assert "since=" in sockets[-1].url, "it goes on where it was"
    before = page.inner_text("#clock")
    expect(page.locator("#clock")).not_to_have_text(before)


@in_browser
def test_who_may_only_look_can_press_nothing_and_a_phone_need_not_scroll_sideways(
    open_page: Opened, daemon_client: Client
) -> None:
    token = (daemon_client.daemon.state_dir / "read.token").read_text().strip()
    page = open_page(token, width=390, height=844, is_mobile=True, has_touch=True, color_scheme="dark")

    expect(page.locator("#who")).to_have_text("read: look only")
    for button in page.locator(".controls button, #strategies button").all():
        expect(button).to_be_disabled()
    expect(page.locator("#price-chart .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.screenshot(path=PICTURES / "phone-dark.png", full_page=True)
