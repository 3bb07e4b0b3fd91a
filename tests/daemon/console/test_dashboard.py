"""The dashboard in a real browser: Debian's Chromium against a daemon that trades; pictures go to build/dashboard."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from playwright.sync_api import Page, Request, WebSocketRoute, expect, sync_playwright

from daemon.console.pages import read
from daemon.control.keys import rotate
from replay.tape import synthetic_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from tests.daemon.conftest import PATIENCE_S, REPOSITORY, STRATEGIES, Nursery
from tests.daemon.console.browsers import FLAGS, HOSTILE, Opener, hostile
from tests.daemon.console.conftest import WITH_CONSOLE, Client, wait_gone
from tui import figures

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")
PICTURES = REPOSITORY / "build" / "dashboard"
LINES = "#price-chart .scatterlayer .trace.scatter:has(.js-line)"  # a line has a part on each side of what is not known
EDGES = """() => {
    const named = document.createElement("hr");
    named.style.color = "var(--field)";
    document.body.append(named);
    const wanted = getComputedStyle(named).color;
    named.remove();
    const places = [...document.querySelectorAll("input:not([type=checkbox]), select, textarea")];
    const others = places.filter((place) => getComputedStyle(place).borderColor !== wanted);
    return [places.length, others.map((place) => place.id)];
}"""
FOCUS = """(() => {
    const { activeElement: e } = document;
    return [e.id || e.dataset.do || e.textContent, getComputedStyle(e).outlineStyle, e.getBoundingClientRect().x];
})()"""
HARM = """async (text) => {
    const { plain, plotly } = await import("/web/plot.js");
    const place = document.createElement("div");
    document.body.append(place);
    await (await plotly()).newPlot(place, [], { title: { text: plain(text) } });
    const shown = place.querySelector(".gtitle").textContent;
    place.remove();
    return [window.harm ?? null, document.querySelectorAll("main img").length, shown];
}"""
EMPTY_HASH = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

STEADY = "Steady_hand_of_the_morning_session_0815"
"""As long a name as people give: no panel may get too wide for it."""

CONFIG = f"""
[[strategies]]
use = "{STRATEGIES}:Steady"
id = "{STEADY}"
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


@pytest.fixture
def open_page(browser: Browser, daemon_client: Client) -> Iterator[Opener]:
    """Return an opener of the shared daemon's dashboard; whatever its console complains of fails the test."""
    opener = Opener(browser, daemon_client)
    yield opener
    opener.close()


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


def test_its_colours_can_be_told_apart_in_light_and_dark() -> None:
    """As WCAG 2 asks of text, 4.5 to 1; and of the edge that shows where one may write, 3 to 1."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    schemes = re.findall(r":root \{(.*?)\}", read("look.css", is_open=True).body.decode(), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        signs = ("up", "down", "warn", "accent")
        pairs = [(text, ground) for text in ("ink", "dim", *signs) for ground in ("ground", "card", "raised")]
        pairs += [(sign, f"{sign}-soft") for sign in signs] + [("on-accent", "accent"), ("card", "down")]
        edges = [("field", ground) for ground in ("ground", "card", "raised")]
        for pair in pairs + edges:
            low, high = sorted(light(colours[name]) for name in pair)
            assert (high + 0.05) / (low + 0.05) >= (3.0 if pair in edges else 4.5), pair


# --- how it is written ---------------------------------------------------------------------------------

MONEY = (0.0, 1_234_567.891, -0.005, 99.995, -12.5, -0.001, 0.001)
SHARES = (0.0, 0.125, 0.0041, 0.285, 2.5, -0.05289, -0.00004, 0.00004)
AMOUNTS = (0.0, 0.002243, 0.5, 3.5, 210.54, 59_377.6, 100_000.0)
SPANS = (0.0, 0.9, 59.9, 65.0, 3_599.0, 4_325.0, 90_000.0, 1e6)
PRICES = ((95_376.0, 0.1), (41_640.126666666664, 0.01), (1.5, 1e-8), (1_234.0, 5.0))
WRITE = """async ([money, shares, amounts, spans, prices]) => {
    const format = await import("/web/format.js");
    const written = [
        ...money.flatMap((one) => [format.money(one), format.money(one, true)]),
        ...shares.flatMap((one) => [format.percent(one), format.percent(one, 2, true)]),
        ...amounts.map(format.amount),
        ...spans.map((one) => format.span(one * 1000)),
        ...prices.map(([one, step]) => format.price(one, step)),
    ];
    return written.map((text) => text.replace("\u2212", "-"));
}"""

FIRST = """async () => {
    const { candleFigure, equityFigure } = await import("/web/figures.js");
    const bar = (n) => ({ open_ns: n * 60e9, close_ns: (n + 1) * 60e9, open: 1, high: 2, low: 1, close: 2 });
    const bars = (count) => Array.from({ length: count }, (_, n) => bar(n));
    const about = { symbol: "A/B", trades: [], features: [] };
    const candles = (count) => candleFigure({ ...about, bars: bars(count) }).layout.xaxis;
    const equity = (times, values) => equityFigure({ times, values, start: 500 }).layout;
    const [one, long] = [equity([90e3], [500]), equity([0, 90e3], [500, 501])];
    return [candles(1).range, candles(30).range, one.xaxis.range, one.yaxis.range, long.xaxis.range, long.yaxis.range];
}"""


@in_browser
def test_a_figure_is_written_as_the_terminal_console_writes_it_and_axes_begin_with_round_ones(
    open_page: Opener,
) -> None:
    page = open_page()
    none = None  # as wide as what is drawn
    assert page.evaluate(FIRST) == [[-1_740_000, 60_000], none, [30_000, 90_000], [499.5, 500.5], none, none]
    exact = [Decimal(repr(one)) for one in MONEY]
    assert page.evaluate(WRITE, [MONEY, SHARES, AMOUNTS, SPANS, PRICES]) == [
        *(text for one in exact for text in (figures.money(one), figures.money(one, signed=True))),
        *(text for one in SHARES for text in (figures.percent(one), figures.percent(one, 2, signed=True))),
        *(figures.amount(one) for one in AMOUNTS),
        *(figures.duration(one) for one in SPANS),
        *(figures.price(one, Decimal(repr(step))) for one, step in PRICES),
    ]


# --- what a person sees and does -----------------------------------------------------------------------


def _command(page: Page, words: str) -> None:
    """Wait until the page says that a command was carried out."""
    expect(page.locator(".outcome", has_text=words).locator(".up")).to_have_text(re.compile("^done"))


def _running(client: Client) -> int | None:
    """Return the process of the newest backtest, if it runs."""
    newest = client.get("/api/backtests")["rows"][0]
    return newest["pid"] if newest["state"] == "running" else None


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
def test_everything_moves_by_itself(open_page: Opener) -> None:
    page = open_page()
    assert page.locator(".tabs a:visible").all_inner_texts() == ["Live", "Single"], "others have nothing in them yet"
    before = page.inner_text("#equity")
    expect(page.locator("#equity")).not_to_have_text(before)

    expect(page.locator("#positions tbody tr").first).to_contain_text("SYN/USDT")
    expect(page.locator("#fills tbody tr").first).to_contain_text("buy")
    expect(page.locator("#orders tbody tr", has_text="Steady")).to_have_count(1)
    assert page.locator("#strategies tbody tr").count() == 2
    expect(page.locator("#day")).to_have_text(re.compile(r"\d"))
    expect(page.locator("#books tbody tr")).to_have_text([re.compile(r"SYN/USDT.*Steady"), re.compile("ema_cross")])
    today = re.compile(r"2024-01-01[\d,.]+\D[\d,.]+\D[\d.]+%")
    expect(page.locator("#profit tbody tr").last).to_have_text(today)
    with page.expect_response(lambda answer: "/profit?by=week" in answer.url):
        page.select_option("#period", "week")
    expect(page.locator("#profit tbody tr")).to_have_text([today])
    expect(page.locator("#risk tbody tr")).to_contain_text("max_open_orders")
    expect(page.locator("#log li").first).to_be_visible()
    page.select_option("#whose", "ema_cross")
    expect(page.locator("#features .chip")).to_have_text(["fast", "slow"])
    expect(page.locator("#price-chart .trace.boxes")).to_have_count(1)
    expect(page.locator(LINES)).to_have_count(2)
    choose = f"""async () => {{
        document.querySelector("#features .chip").click();
        await new Promise((next) => setTimeout(next));
        return document.querySelectorAll("{LINES}").length;
    }}"""
    assert [page.evaluate(choose), page.evaluate(choose)] == [1, 2], "who chooses waits for nothing"
    expect(page.locator("#equity-chart .scatterlayer .js-line")).to_have_count(1)
    page.screenshot(path=PICTURES / "wide-light.png", full_page=True)
    top = "document.querySelector('#live section').getBoundingClientRect().top"
    low = "document.querySelector('.head').getBoundingClientRect().bottom"
    page.evaluate("scrollTo(0, 600)")
    page.click("text=Live")
    page.wait_for_function(f"{top} >= {low}")  # what stays above hides no heading
    page.evaluate("""() => {
        const look = (what, name) => getComputedStyle(document.querySelector(what))[name];
        const seen = () => [look("#equity-chart .js-line", "stroke"), look(".tabs [aria-current]", "color")];
        const dark = matchMedia("(prefers-color-scheme: dark)");
        window.seen = new Promise((told) => dark.addEventListener("change", () => setTimeout(() => told(seen()))));
    }""")
    page.emulate_media(color_scheme="dark")
    line, accent = page.evaluate("window.seen")
    assert line == accent, "charts change their colours with the page"
    page.screenshot(path=PICTURES / "wide-dark.png", full_page=True)

    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { get: () => true });
        window.requestAnimationFrame = () => 0;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(page, "what nobody looks at still says how it goes").not_to_have_title(page.title())


@in_browser
def test_pause_resume_and_a_flatten_that_has_to_be_typed(open_page: Opener, daemon_client: Client) -> None:
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
    (audit,) = daemon_client.get("/api/live/audit?limit=1")["rows"]
    assert (command["action"], command["by"]["name"]) == ("flatten", "control")
    assert (audit["command_id"], audit["name"], audit["outcome"]) == (command["command_id"], "control", "done")
    page.click("[data-do=resume]")
    _trading(daemon_client, "running")


@in_browser
def test_one_strategy_one_order_and_one_position(open_page: Opener, daemon_client: Client) -> None:
    page = open_page()
    row = page.locator("#strategies tbody tr", has_text="ema_cross")
    row.get_by_text("Pause").click()
    expect(row.locator(".pill")).to_have_text("paused")
    row.get_by_text("Resume").click()
    expect(row.locator(".pill")).to_have_text("running")

    held = page.locator("#positions tbody tr", has_text="Steady")
    held.get_by_text("Close…").click()
    expect(page.locator("#ask-text")).to_contain_text(f"{STEADY} holds")
    page.click("#ask-yes")
    _command(page, "close SYN/USDT of Steady")

    page.locator("#orders tbody tr", has_text="Steady").get_by_text("Cancel…").click()
    page.keyboard.press("Enter")
    _command(page, "cancel ")
    row = page.locator("#strategies tbody tr", has_text="Steady")
    row.get_by_text("Flatten…").click()
    expect(page.locator("#ask-text")).to_contain_text("stays paused")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.keyboard.type("flatten")
    page.click("#ask-yes")
    _command(page, "flatten Steady")
    expect(row.locator(".pill")).to_have_text("paused")
    expect(page.locator("#orders tbody tr", has_text="Steady")).to_have_count(0)
    expect(held).to_have_count(0)
    expect(page.locator("#state"), "the others go on").to_have_text("running")
    row.get_by_text("Resume").click()
    expect(held).to_have_count(1)

    done = [(command["action"], command["outcome"]) for command in daemon_client.daemon.status()["commands"]]
    words = [action.partition(" ")[0] for action, _ in done[-6:]]
    assert words == ["pause", "resume", "close", "cancel", "flatten", "resume"]
    assert {outcome for _, outcome in done} == {"done"}


@in_browser
def test_a_backtest_with_parameters_and_its_chart(open_page: Opener, daemon_client: Client) -> None:
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

    page.click("#run button.primary")
    worker = daemon_client.daemon.eventually(lambda: _running(daemon_client), "a backtest that runs")
    os.kill(worker, signal.SIGSTOP)  # it would be done before anybody could cancel it
    running = page.locator("#backtests tbody tr").first
    expect(running.locator(".pill")).to_have_text(re.compile("^running"))
    running.get_by_text("Cancel").click()
    expect(running.locator(".pill")).to_have_text("cancelled")
    expect(running.locator("button", has_text="Cancel")).to_be_hidden()
    expect(page.locator("#result-note")).to_contain_text("cancelled")
    wait_gone(worker)


@in_browser
def test_while_the_connection_is_gone_it_says_since_when(open_page: Opener) -> None:
    sockets: list[WebSocketRoute] = []
    is_up, is_silent = True, False

    def serve(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if not is_up:
            socket.close()
            return
        server = socket.connect_to_server()
        server.on_message(lambda message: None if is_silent and socket is sockets[0] else socket.send(message))

    def prepare(page: Page) -> None:
        page.clock.install()
        page.route_web_socket(re.compile("/api/stream"), serve)

    page = open_page(before=prepare)
    expect(page.locator("#old")).to_be_hidden()
    is_silent = True  # as where a machine has slept, and the network has forgotten the connection
    page.clock.fast_forward(60_000)
    before = page.inner_text("#clock")
    open_page.expected.append("signal timed out")  # what was asked before has waited for a minute
    expect(page.locator("#clock"), "a silent connection is made anew").not_to_have_text(before)
    assert len(sockets) > 1
    is_silent = is_up = False
    sockets[-1].close()
    expect(page.locator("#old")).to_contain_text(re.compile(r"No connection since \d\d:\d\d:\d\d UTC"))
    is_up = True
    expect(page.locator("#old")).to_be_hidden()
    assert "since=" in sockets[-1].url, "it goes on where it was"
    expect(page.locator("#clock")).not_to_have_text(page.inner_text("#clock"))


@in_browser
def test_who_may_only_look_can_press_nothing_and_a_phone_need_not_scroll_sideways(
    open_page: Opener, daemon_client: Client
) -> None:
    token = (daemon_client.daemon.state_dir / "read.token").read_text().strip()
    page = open_page(token, width=360, height=780, is_mobile=True, has_touch=True, color_scheme="dark")

    expect(page.locator("#who")).to_have_text("look only")
    for button in page.locator(".controls button, #strategies button").all():
        expect(button).to_be_disabled()
    expect(page.locator("#price-chart .main-svg").first).to_be_visible()
    for tab in ("live", "single"):
        page.click(f".tabs a[href='#{tab}']")
        expect(page.locator({"live": "#fills tbody tr", "single": "#run-params input"}[tab]).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        wide = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.id)"
        assert page.evaluate(wide) == []
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=PICTURES / f"phone-{tab}-{scheme}.png", full_page=True)


@in_browser
def test_a_keyboard_is_enough_and_shows_where_it_is(open_page: Opener) -> None:
    page = open_page()
    seen = []
    for _ in range(10):
        page.keyboard.press("Tab")
        name, outline, left = page.evaluate(FOCUS)
        assert (outline, left >= 0) == ("solid", True), name
        seen.append(name)
    assert seen[:8] == ["skip", "Live", "Single", "log-out", "pause", "resume", "flatten", "stop"]
    page.focus("#skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "symbol", "past all that stands above"

    page.focus("[data-do=flatten]")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "ask-input"
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement.closest('#ask') !== null || document.activeElement === document.body"
        )
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.do") == "flatten", "back where it was"

    lost = """async () => {
        const { Table, make } = await import("/web/dom.js");
        const place = make("div");
        document.querySelector("#live").append(make("section", {}, place));
        const button = (row) => make("button", {}, row);
        const table = new Table(place, [{ name: "", cell: button }], "");
        table.show([["a", "a"], ["b", "b"], ["c", "c"]]);
        place.querySelectorAll("button")[1].focus();
        table.show([["b", "b"], ["c", "c"], ["d", "d"]]);
        return [document.activeElement.textContent, place.querySelector("tbody").textContent];
    }"""
    assert page.evaluate(lost) == ["b", "bcd"], "what goes on above a row takes nothing from it"
    count, others = page.evaluate(EDGES)
    assert (count > 10, others) == (True, []), "where one may write has an edge that can be seen"


@in_browser
def test_a_page_of_another_port_can_do_nothing_in_a_persons_name(open_page: Opener, daemon_client: Client) -> None:
    """One of this very machine: the cookie's SameSite does not keep it from there, so that all else has to hold."""
    page = open_page()
    open_page.expected += ["status of 403", "WebSocket connection to", "CORS policy", "ERR_FAILED"]
    before = daemon_client.daemon.status()["commands"]
    (cookie,) = page.context.cookies()
    sent: list[Request] = []

    def asked() -> list[tuple[str, str, bool]]:
        """Return what went to the console since this was called last, and whether the cookie went along."""
        told = [
            (each.method, path, cookie["value"] in each.all_headers().get("cookie", ""))
            for each in sent
            if (path := each.url.removeprefix(daemon_client.url)) in ("/", "/api/live/control", "/api/live/config")
        ]
        sent.clear()
        return told

    evil = f"""<form method=post enctype=text/plain action="{daemon_client.url}/api/live/control">
        <input name='{{"action": "flatten", "x": "' value='"}}'></form>
        <a href="{daemon_client.url}/">a link</a>"""
    elsewhere = re.compile("http://(127.0.0.1|localhost):1/")
    page.route(elsewhere, lambda route: route.fulfill(body=evil, content_type="text/html"))
    ask = """async ([url, method]) => {
        const body = method === "POST" ? '{"action": "flatten"}' : undefined;
        await fetch(url, { method, body, mode: "no-cors", credentials: "include" }).catch(() => {});
    }"""
    page.goto("http://127.0.0.1:1/")
    page.on("request", lambda request: sent.append(request))  # noqa: PLW0108 - it puts a mark on what it is given
    page.evaluate(ask, [f"{daemon_client.url}/api/live/control", "POST"])
    page.evaluate(ask, [f"{daemon_client.url}/api/live/config", "GET"])
    socket = f"new WebSocket('{daemon_client.url.replace('http', 'ws')}/api/stream')"
    assert page.evaluate(f"new Promise((end) => {{ {socket}.onclose = (event) => end(event.code) }})") == 1006
    page.evaluate("document.forms[0].submit()")
    page.wait_for_url(f"{daemon_client.url}/api/live/control")
    assert asked() == [
        ("POST", "/api/live/control", True),
        ("GET", "/api/live/config", True),
        ("POST", "/api/live/control", True),
    ], "the cookie comes along"
    assert json.loads(page.inner_text("body")) == {"error": "a page of another origin asks in your name"}
    assert daemon_client.daemon.status()["commands"] == before

    page.goto("http://localhost:1/")  # another site, for a browser
    page.click("a")
    expect(page.locator("#state")).to_have_text("running")
    assert asked() == [("GET", "/", False), ("GET", "/", True)], "not from another site, and nobody has to log in again"


@in_browser
def test_a_page_that_stays_open_outlives_the_console_and_follows_its_session(browser: Browser, start: Nursery) -> None:
    client = hostile(start)
    opener = Opener(browser, client)
    page = opener()

    actor = page.locator("#actors tbody tr", has_text=f"strategy.{HOSTILE}")
    expect(actor.locator(".pill")).to_have_text("failed")
    expect(page.locator("#state")).to_have_text("halted")
    for place in ("#reason", "#actors", "#dead", "#strategies", "#whose", "#log"):
        expect(page.locator(place)).to_contain_text(HOSTILE)
    expect(page.locator("#price-chart .boxes")).to_have_count(1)
    assert page.evaluate(HARM, f"<b>{HOSTILE}</b> &lt;") == [None, 0, f"<b>{HOSTILE}</b> &lt;"]
    page.screenshot(path=PICTURES / "halted.png", full_page=True)
    client.daemon.wait_for(lambda status: status["last_input"]["seq"] > 20, "better times")
    expect(page.locator("#actors tbody tr").first, "the one to look at").to_contain_text("failed")
    actor.get_by_text("Restart…").click()
    expect(page.locator("#ask-text")).to_contain_text(HOSTILE)
    page.check("#ask-option")
    page.click("#ask-yes")
    _command(page, "restart strategy.")
    expect(actor.locator(".pill")).to_have_text("running")
    expect(actor.get_by_text("Restart…")).to_be_hidden()
    page.click("[data-do=resume]")
    expect(page.locator("#state")).to_have_text("running")

    opener.expected += ["WebSocket connection to", "Failed to load resource", "cannot be read"]
    os.kill(client.pid, signal.SIGKILL)
    expect(page.locator("#old")).to_contain_text(re.compile(r"No connection since \d\d:\d\d:\d\d UTC"))
    expect(page.locator("#old"), "wherever one has scrolled to").to_be_in_viewport()
    page.screenshot(path=PICTURES / "old.png")
    expect(page.locator("#old")).to_be_hidden()
    expect(page.locator("#clock")).not_to_have_text(page.inner_text("#clock"))
    page.click("[data-do=pause]")
    expect(page.locator("#state"), "nobody had to log in again").to_have_text("paused")

    other = opener.listen(page.context.new_page())
    other.goto(client.url)
    expect(other.locator("#state")).to_have_text("paused")
    other.click("#log-out")
    expect(other.locator("#token")).to_be_visible()
    expect(page.locator("#token"), "the other tab is logged out, too").to_be_visible()
    opener.log_in(other)
    expect(other.locator("#state")).to_have_text("paused")
    expect(page.locator("#state"), "and in").to_have_text("paused")

    token = rotate(client.daemon.state_dir, "control").read_text().strip()
    for each in (page, other):
        expect(each.locator("#token"), "the token it showed is none any more").to_be_visible()
    opener.log_in(page, token)
    page.click("[data-do=stop]")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.keyboard.type("stop")
    page.keyboard.press("Enter")
    expect(page.locator(".outcome", has_text="stop")).to_be_visible()
    assert client.daemon.wait() == 0
    expect(page.locator("#old")).to_contain_text("No connection since")
    opener.close()
