"""The replay debugger: follows a replay, looks inside its actors, and sends what its keys ask for.

The server is asked how the replay stands after each thing it was told, five times a second while it plays, and once a
second else. Messages and state are asked for where inputs have been run since, while their page is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from textual import work
from textual.binding import Binding

from tui.client import AwayError, NoConsoleError, RefusedError
from tui.dialogs.moment import Moment
from tui.dialogs.values import ValuesCard
from tui.figures import words
from tui.panels.actors import Actors
from tui.panels.messages import MESSAGES_ASKED, Card, Messages, card_of
from tui.panels.pages import DEBUG
from tui.panels.state import State, told_of
from tui.panels.transport import Transport
from tui.replay import faster, speed_words

if TYPE_CHECKING:
    from tui.client import DaemonClient
    from tui.panels.actors import Picked
    from tui.panels.messages import Chosen
    from tui.replay import Goal, Replay, Unit

Deed = Literal[
    "play", "hold", "step", "bar", "trade", "its_trade", "order", "veto", "error", "end", "time", "faster", "slower"
]

_PLAYING_S = 0.2
_STANDING_S = 1.0
_RETRY_S = 2.0
_NOT_FOUND = 404
_STEPS_MAX = 1_000
_GOALS: dict[Deed, Goal] = {"trade": "trade", "order": "order", "veto": "veto", "error": "error", "end": "end"}
_UNITS: dict[Deed, Unit] = {"step": "input", "bar": "bar"}

REPLAY_KEYS: tuple[tuple[str, Deed, str, str], ...] = (
    ("space", "play", "Play", "play"),
    ("space", "hold", "Hold", "hold"),
    ("s", "step", "Step", "run one input"),
    ("b", "bar", "Bar", "run to the end of the next bar"),
    ("t", "trade", "Trade", "run to the next trade"),
    ("T", "its_trade", "", "run to the next trade of the chosen strategy"),
    ("o", "order", "Order", "run to the next order"),
    ("v", "veto", "", "run to the next veto of risk"),
    ("e", "error", "", "run to the next error"),
    ("E", "end", "", "run to the end of the tape"),
    ("g", "time", "Time", "run to a time"),
    ("less_than_sign", "slower", "Speed", "play slower"),
    ("greater_than_sign", "faster", "", "play faster"),
    ("minus", "slower", "", ""),
    ("plus", "faster", "", ""),
)
"""(key, deed, word of the footer, name in the palette)."""
KEY_NAMES = {"less_than_sign": "<", "greater_than_sign": ">", "minus": "-", "plus": "+"}


def replay_bindings(*deeds: Deed) -> list[Binding]:
    """Return the bindings of some deeds: in the footer on the page of the debugger, in silence on the others."""
    displays = {"less_than_sign": "< >"}
    bindings = []
    for key, deed, word, _ in REPLAY_KEYS:
        if deed in deeds:
            if word:
                bindings.append(Binding(key, f"replay('{deed}')", word, key_display=displays.get(key)))
            bindings.append(Binding(key, f"replay_quietly('{deed}')", show=False))
    return bindings


class Debugging:
    """The part of the console that debugs a replay."""

    if TYPE_CHECKING:
        client: DaemonClient
        replay: Any
        page: Any
        focused: Any
        push_screen: Any
        notify: Any
        refresh_bindings: Any
        status: Any
        _tell: Any
        _focus_first: Any
        call_after_refresh: Any
        action_pause: Any
        action_resume: Any
        action_flatten: Any

    def __init__(self, *args: Any, **named: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **named)
        self.replays = False
        """Whether this is, or will be, a replay."""
        self._transport = Transport()
        self._actors = Actors(classes="panel on-system on-debug")
        self._state = State(classes="panel on-debug")
        self._messages = Messages(classes="panel on-debug")
        self._card = Card(classes="panel on-debug")
        self._inside = asyncio.Event()
        """Set to look at once."""
        self._seen: tuple[object, ...] = ()
        """What messages and state were asked by."""
        self._pending: dict[Unit, int] = {}
        """Steps asked for while others were under way."""
        self._driving = 0
        """How many of our requests are under way."""

    # --- what the replay says -----------------------------------------------------------------------

    @work(exclusive=True, group="replay")
    async def watch_for_replay(self) -> None:
        """Follow the replay for as long as there is one."""
        while True:
            pause_s = _RETRY_S
            with contextlib.suppress(AwayError, NoConsoleError):
                try:
                    self.see(await self.client.replay())
                except RefusedError as error:
                    if error.status == _NOT_FOUND or not self.replays:
                        self.replay, self.replays = None, False
                        self.refresh_bindings()
                        return
                else:
                    await self._look_inside()
                    pause_s = _PLAYING_S if self._driving or self.replay.state == "playing" else _STANDING_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._inside.wait(), pause_s)
            self._inside.clear()

    def see(self, replay: Replay) -> None:
        """Show how the replay stands."""
        before: Replay | None = self.replay
        self.replay, self.replays = replay, True
        if before is None:
            self.page = DEBUG.name
            self.call_after_refresh(self._focus_first)
            if replay.strategies:
                self._actors.choose(f"strategy.{replay.strategies[0]}")
        messages = self._messages
        if replay.order_id and (before is None or before.seq != replay.seq):
            messages.only = {"order": replay.order_id}
        elif not replay.order_id and "order" in messages.only:
            messages.only = {}
        if before is None or before.state != replay.state:
            self.refresh_bindings()

    async def _look_inside(self) -> None:
        """Ask for the messages, and for the state of the actor that is chosen, where they may be others by now."""
        replay: Replay = self.replay
        messages, actors, state = self._messages, self._actors, self._state
        name = actors.choice
        only = dict(messages.only)
        wanted = (replay.seq, replay.inputs, only, name)
        if self.page != DEBUG.name or wanted == self._seen:
            return
        try:
            trace = await self.client.messages(limit=MESSAGES_ASKED, **only)
            if messages.only == only:
                messages.trace = trace
            if name:
                inside = await self.client.actor(name)
                if actors.choice == name:
                    state.show(inside, replay.seq)
        except RefusedError as error:
            state.miss(name, str(error))
        self._seen = wanted

    def on_chosen(self, event: Chosen) -> None:
        """Show the message that is chosen."""
        self._card.show(event.told)

    def on_picked(self, _: Picked) -> None:
        """Look inside the actor that is chosen."""
        self._inside.set()

    # --- what is asked of it ------------------------------------------------------------------------

    def may(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Return whether an action of the console makes sense now: some are those of a replay, some are not."""
        replay: Replay | None = self.replay
        debugs = bool(self.page == DEBUG.name)
        if action in ("replay", "replay_quietly"):
            deed = parameters[0]
            if not self.replays or deed == ("hold" if replay is None or replay.state != "playing" else "play"):
                return False
            return action == "replay_quietly" or debugs or deed in ("play", "hold", "step")
        if action in ("pause", "resume", "flatten", "stop", "tighten_limit"):
            return not self.replays
        if action in ("restart_actor", "actor_state"):
            return not debugs
        if action == "go_inside":
            return debugs
        if action in ("command", "next_messages", "message_card") or (action, *parameters) == ("page", DEBUG.name):
            return self.replays
        return True

    def action_replay(self, deed: Deed) -> None:
        """Do what a key stands for."""
        replay: Replay | None = self.replay
        if replay is None:
            return
        if deed in ("faster", "slower"):
            speed = faster(replay.speed, 1 if deed == "faster" else -1)
            self.replay = msgspec.structs.replace(replay, speed=speed)
            self._drive("speed", {"speed": speed}, f"speed {speed_words(speed)}")
        elif deed == "hold":
            self._drive("pause", {}, "pause")
        elif replay.state == "ended":
            self.notify("the tape has ended", timeout=4)
        elif deed == "play":
            self._drive("play", {}, "play")
        elif deed in _UNITS:
            self._step(_UNITS[deed])
        else:
            self._jump(deed, replay)

    def _step(self, unit: Unit) -> None:
        if self._driving:
            self._pending[unit] = min(self._pending.get(unit, 0) + 1, _STEPS_MAX)
        else:
            self._drive("step", {"count": 1, "unit": unit}, f"step to the next {unit}")

    def _jump(self, deed: Deed, replay: Replay) -> None:
        if deed == "time":
            self._ask_time(replay)
        elif deed == "its_trade":
            strategy = self._actors.choice.removeprefix("strategy.")
            if strategy == self._actors.choice:
                self.notify("choose a strategy among the actors first", timeout=4)
            else:
                self._drive("jump", {"to": "trade", "strategy": strategy}, f"to the next trade of {strategy}")
        else:
            self._drive("jump", {"to": _GOALS[deed]}, f"to the next {deed}" if deed != "end" else "to the end")

    def action_replay_quietly(self, deed: Deed) -> None:
        """Do what a key stands for that the footer has no room for."""
        self.action_replay(deed)

    def _ask_time(self, replay: Replay) -> None:
        def answered(ts_ns: int | None) -> None:
            if ts_ns is not None:
                self._drive("jump", {"to": "time", "time_ns": ts_ns}, "to that time")

        self.push_screen(Moment(replay.now_ns, replay.to_ns), answered)

    def _drive(self, what: str, body: dict[str, Any], doing: str) -> None:
        """Tell the replay something."""
        self._driving += 1
        if what in ("play", "jump"):
            self.see(msgspec.structs.replace(self.replay, state="playing"))
        self._inside.set()
        self._transport.doing = f"{doing} …"
        self._drive_on(what, body, doing)

    @work(group="driving")
    async def _drive_on(self, what: str, body: dict[str, Any], doing: str) -> None:
        """Send it, show what became of it, and then send the steps that were asked for meanwhile."""
        try:
            while True:
                self.see(await self.client.drive(what, body))
                self._inside.set()
                if not self._pending or self.replay.state != "paused":
                    break
                unit, steps_count = self._pending.popitem()
                what, body = "step", {"count": steps_count, "unit": unit}
        except RefusedError as error:
            self._tell(doing, str(error), "warning")
        except (AwayError, NoConsoleError) as error:
            self._tell(doing, f"no answer: {error}", "error")
        finally:
            self._inside.set()
            self._driving -= 1
            if not self._driving:
                self._pending.clear()
                self._transport.doing = ""

    def action_command(self, name: Literal["pause", "resume", "flatten"]) -> None:
        """Send a command whose key the footer has no room for."""
        {"pause": self.action_pause, "resume": self.action_resume, "flatten": self.action_flatten}[name]()

    def action_go_inside(self) -> None:
        """Go from the actor that is chosen to its state."""
        self._state.focus()

    def action_next_messages(self) -> None:
        """Show other messages: of all, of the actor that is chosen, or of the order it stopped at."""
        messages = self._messages
        ways = [{}, {"actor": self._actors.choice}]
        if self.replay.order_id:
            ways.append({"order": self.replay.order_id})
        kinds = [list(way) for way in ways]
        messages.only = ways[(kinds.index(list(messages.only)) + 1) % len(ways)]
        self._inside.set()

    def action_message_card(self) -> None:
        """Show the message that is chosen on a card of its own."""
        told = self._messages.message
        if told is not None:
            self.push_screen(ValuesCard(words(told.kind).replace("[", "("), told.kind, card_of(told)))

    @work(exclusive=True, group="actor")
    async def action_actor_state(self) -> None:
        """Show what the actor that is chosen keeps, on a card of its own."""
        name = self._actors.choice
        try:
            inside = await self.client.actor(name)
        except RefusedError as error:
            self._tell(f"state of {name}", str(error), "warning")
        except (AwayError, NoConsoleError) as error:
            self._tell(f"state of {name}", f"not known: {error}", "error")
        else:
            note = f" [$warning]{words(inside.note).replace('[', '(')}[/]" if inside.note else ""
            self.push_screen(
                ValuesCard(f"State [$muted]of[/] {words(name).replace('[', '(')}{note}", name, told_of(inside))
            )
