"""A person at the dashboard, in a real browser; and a daemon that tries to harm him."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, expect

from tests.daemon.conftest import PATIENCE_S
from tests.daemon.console.conftest import WITH_CONSOLE, Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.daemon.conftest import Nursery

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EXPECTED = (
    "Applying inline style",  # of maps: the charts' bundle brings it along, and the page's policy refuses it
    "status of 400",  # what the daemon refuses to do, a browser reports, too
)
HOSTILE = "<img src=x onerror=window.harm=1>"
FRAGILE = f"""
from pitboss import Strategy
class Fragile(Strategy):
    def on_bar(self, bar, f):
        if bar.open_ns // bar.timeframe_ns % 1_000 < 130:  # the tape's first ten minutes
            raise RuntimeError("{HOSTILE}")
"""


class Opener:
    """Opens the dashboard and logs in.

    Attributes:
        expected: words of what the browser may complain of.
    """

    def __init__(self, browser: Browser, client: Client) -> None:
        self.browser = browser
        self.client = client
        self.expected = list(EXPECTED)
        self.complaints: list[str] = []

    def __call__(
        self, token: str = "", *, width: int = 1440, height: int = 900, before: Any = None, **more: Any
    ) -> Page:
        context = self.browser.new_context(viewport={"width": width, "height": height}, **more)
        context.set_default_timeout(PATIENCE_S * 1000)
        page = self.listen(context.new_page())
        if before is not None:
            before(page)
        page.goto(self.client.url)
        self.log_in(page, token)
        expect(page.locator("#state")).to_have_text(re.compile("running|paused|halted"))
        return page

    def listen(self, page: Page) -> Page:
        """Note what the browser complains of."""
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None
        )
        return page

    def log_in(self, page: Page, token: str = "") -> None:
        """Show a token; that of the daemon unless another is given."""
        page.fill("#token", token or self.client.daemon.token)
        page.press("#token", "Enter")

    def close(self) -> None:
        """Close what was opened; nothing else may have been complained of."""
        for context in self.browser.contexts:
            context.close()
        others = [text for text in self.complaints if not any(words in text for words in self.expected)]
        assert not others, others


def hostile(start: Nursery) -> Client:
    """Return a daemon whose strategy is called and fails with what a careless page would run."""
    (start.folder / "fragile.py").write_text(FRAGILE)
    config = start.folder / "pitboss.toml"
    config.write_text(f"[[strategies]]\nuse = '{start.folder}/fragile.py:Fragile'\nid = '{HOSTILE}'\n")
    return Client(start(*WITH_CONSOLE, "--config", str(config), strategy=None, speed=600))
