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


_SHADES = {
    "ground": ("#14171b", "#fafbfc", "#000000", "#ffffff"),
    "surface": ("#191d22", "#f1f3f5", "#000000", "#ffffff"),
    "panel": ("#22272e", "#e6eaee", "#000000", "#ffffff"),
    "text": ("#ccd3da", "#1d2329", "#ffffff", "#000000"),
    "muted": ("#87919c", "#56616b", "#aaaaaa", "#555555"),
    "key": ("#8ab4d8", "#1f5f99", "#55ffff", "#0000aa"),
    "good": ("#7fbf7f", "#1d6b25", "#55ff55", "#0000aa"),
    "warn": ("#e0b25c", "#754b00", "#ffff55", "#aa00aa"),
    "bad": ("#ea6f6f", "#b3261e", "#ff5555", "#aa0000"),
    "chosen": ("#1d2f42", "#cfe0f1", "#0000aa", "#55ffff"),
    "rule": ("#343b44", "#c3cad1", "#555555", "#aaaaaa"),
    "rule_focus": ("#6c7f94", "#5d6872", "#aaaaaa", "#555555"),
}
"""Of a dark screen and of a light one; of both where a terminal has the sixteen colours every one has, as they are told
apart: what stands here arrives as it is. Green and yellow cannot be read on white, so a light screen then says it in
blue and magenta."""
_DARK, _LIGHT, _DARK_OF_16, _LIGHT_OF_16 = (
    _Colours(**dict(zip(_SHADES, column, strict=True))) for column in zip(*_SHADES.values(), strict=True)
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
