"""The command palette: everything that can be asked for, by its name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from tui.asking import OF_STRATEGY
from tui.debugging import KEY_NAMES, REPLAY_KEYS
from tui.figures import words
from tui.panels.pages import DEBUG, PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tui.app import Console

Entry = tuple[str, str, "Callable[[], object]"]


class Palette(Provider):
    """Commands of the account, and of each strategy, position, order and actor there is."""

    @property
    def _console(self) -> Console:
        console: Console = self.app  # type: ignore[assignment]
        return console

    async def discover(self) -> Hits:
        """Offer what is always there."""
        for name, help_text, act in self._always():
            yield DiscoveryHit(name, act, help=help_text)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, help_text, act in (*self._always(), *self._of_rows()):
            score = matcher.match(name)
            if score > 0:
                shown = Content(name)
                for offset in matcher.fuzzy_search.match(query, name)[1]:
                    shown = shown.stylize(matcher.match_style, offset, offset + 1)
                yield Hit(score, shown, act, text=name, help=escape(help_text))

    def _always(self) -> Iterator[Entry]:
        console = self._console
        yield "Pause trading", "no new risk; exits and cancels still pass", console.action_pause
        yield "Resume trading", "also after a halt", console.action_resume
        yield "Flatten the account", "cancel every order, close every position, pause", console.action_flatten
        yield "Stop the daemon", "and seal its session", console.action_stop
        yield "Tighten a limit", "by its name and its new value", console.ask_tighten
        if console.replay is not None:
            for key, deed, _, name in REPLAY_KEYS:
                if name:
                    yield f"Replay: {name}", f"key {KEY_NAMES.get(key, key)}", partial(console.action_replay, deed)
            yield "Replay: other messages", "of all, of the chosen actor, of the order", console.action_next_messages
        for page in PAGES if console.replay is None else (*PAGES, DEBUG):
            yield f"Show {page.title.lower()}", f"key {page.key}", partial(console.action_page, page.name)
        yield "Dark or light", "change the colours", console.action_shade
        yield "Keys", "what each of them does", console.action_help
        yield "Quit", "the daemon goes on", console.exit

    def _of_rows(self) -> Iterator[Entry]:
        console, status = self._console, self._console.status
        if status is None:
            return
        for row in status.strategies:
            for action in OF_STRATEGY:
                yield (
                    words(f"{action.capitalize()} strategy {row.strategy}"),
                    words(f"is {row.state}"),
                    partial(console.ask_of_strategy, action, row.strategy),
                )
        for held in status.positions:
            name = words(f"Close position {held.symbol} of {held.strategy}")
            yield name, f"{held.quantity:,f}", partial(console.ask_close, held)
        for order in status.orders:
            name = words(f"Cancel order {order.order_id} {order.side} {order.symbol}")
            yield name, words(order.strategy), partial(console.ask_cancel, order)
        for limit in status.risk.limits:
            name, _, value = limit.partition("=")
            yield words(f"Tighten limit {name}"), words(f"is {value}"), partial(console.ask_tighten, name)
        for actor in status.actors:
            if actor.name.startswith("strategy."):
                for anew in (False, True):
                    name = words(f"Restart actor {actor.name}{' anew' if anew else ''}")
                    yield name, actor.state, partial(console.ask_restart, actor, anew=anew)
