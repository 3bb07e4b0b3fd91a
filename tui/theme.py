"""The console's colours: quiet greys, and four that mean something, in the shades a terminal can show."""

from __future__ import annotations

from typing import Literal

import msgspec
from textual.theme import Theme

Tone = Literal["plain", "muted", "good", "warn", "bad"]
"""What a colour says; the style sheets turn a tone into a colour."""

TONE_OF_STATE: dict[str, Tone] = {
    "starting": "warn",
    "running": "good",
    "paused": "warn",
    "flattening": "warn",
    "halted": "bad",
    "stopping": "muted",
    "backing_off": "warn",
    "failed": "bad",
    "stopped": "muted",
}
"""Of the daemon's states and of its actors'; a state that is not here is plain."""


class _Colours(msgspec.Struct, frozen=True, kw_only=True):
    ground: str
    surface: str
    panel: str
    text: str
    muted: str
    key: str
    good: str
    warn: str
    bad: str
    chosen: str
    rule: str
    rule_focus: str


_DARK = _Colours(
    ground="#14171b",
    surface="#191d22",
    panel="#22272e",
    text="#ccd3da",
    muted="#87919c",
    key="#8ab4d8",
    good="#7fbf7f",
    warn="#e0b25c",
    bad="#ea6f6f",
    chosen="#1d2f42",
    rule="#343b44",
    rule_focus="#6c7f94",
)
_LIGHT = _Colours(
    ground="#fafbfc",
    surface="#f1f3f5",
    panel="#e6eaee",
    text="#1d2329",
    muted="#56616b",
    key="#1f5f99",
    good="#1d6b25",
    warn="#754b00",
    bad="#b3261e",
    chosen="#cfe0f1",
    rule="#c3cad1",
    rule_focus="#5d6872",
)
# The sixteen colours every terminal has, as they are told apart: what stands here arrives as it is. Green and yellow
# cannot be read on white, so a light screen says it in blue and magenta.
_DARK_OF_16 = _Colours(
    ground="#000000",
    surface="#000000",
    panel="#000000",
    text="#ffffff",
    muted="#aaaaaa",
    key="#55ffff",
    good="#55ff55",
    warn="#ffff55",
    bad="#ff5555",
    chosen="#0000aa",
    rule="#555555",
    rule_focus="#aaaaaa",
)
_LIGHT_OF_16 = _Colours(
    ground="#ffffff",
    surface="#ffffff",
    panel="#ffffff",
    text="#000000",
    muted="#555555",
    key="#0000aa",
    good="#0000aa",
    warn="#aa00aa",
    bad="#aa0000",
    chosen="#55ffff",
    rule="#aaaaaa",
    rule_focus="#555555",
)


def shades(*, few: bool = False, grey: bool = False) -> tuple[Theme, Theme]:
    """Return the dark and the light colours.

    Args:
        few: whether the terminal has sixteen colours, or fewer.
        grey: whether it shall show none: what is told by colour alone is then told by brightness.
    """
    dark, light = (_DARK_OF_16, _LIGHT_OF_16) if few else (_DARK, _LIGHT)
    return _theme("pitboss-dark", dark, grey=grey), _theme("pitboss-light", light, grey=grey)


def _theme(name: str, of: _Colours, *, grey: bool) -> Theme:
    return Theme(
        name=name,
        primary=of.key,
        secondary=of.rule_focus,
        accent=of.key,
        success=of.good,
        warning=of.warn,
        error=of.bad,
        foreground=of.text,
        background=of.ground,
        surface=of.surface,
        panel=of.panel,
        dark=of in (_DARK, _DARK_OF_16),
        variables={
            "muted": of.muted,
            "chosen": of.chosen,
            "rule": of.rule,
            "rule-focus": of.rule_focus,
            "old": "100%" if of in (_DARK_OF_16, _LIGHT_OF_16) else "60%",
            "rise": of.text if grey else of.good,
            "fall": of.muted if grey else of.bad,
            "button-foreground": of.text,
            "button-focus-text-style": "bold",
            "scrollbar": of.rule,
            "scrollbar-hover": of.rule_focus,
            "scrollbar-active": of.rule_focus,
            "scrollbar-background": of.ground,
            "scrollbar-background-hover": of.ground,
            "scrollbar-background-active": of.ground,
            "scrollbar-corner-color": of.ground,
        },
    )
