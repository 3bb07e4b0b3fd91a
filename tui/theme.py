"""The console's colours: quiet greys, and four that mean something."""

from __future__ import annotations

from typing import Literal

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

DARK = Theme(
    name="pitboss-dark",
    primary="#8ab4d8",
    secondary="#6c7f94",
    accent="#8ab4d8",
    success="#7fbf7f",
    warning="#e0b25c",
    error="#ea6f6f",
    foreground="#ccd3da",
    background="#14171b",
    surface="#191d22",
    panel="#22272e",
    dark=True,
    variables={
        "muted": "#7d8792",
        "chosen": "#2b3744",
        "rule": "#343b44",
        "rule-focus": "#6c7f94",
        "button-foreground": "#ccd3da",
        "button-focus-text-style": "bold",
        "footer-key-foreground": "#8ab4d8",
        "footer-description-foreground": "#7d8792",
        "footer-background": "#14171b",
        "scrollbar": "#343b44",
        "scrollbar-hover": "#4a535e",
        "scrollbar-active": "#6c7f94",
        "scrollbar-background": "#14171b",
        "scrollbar-background-hover": "#14171b",
        "scrollbar-background-active": "#14171b",
        "scrollbar-corner-color": "#14171b",
    },
)

LIGHT = Theme(
    name="pitboss-light",
    primary="#1f5f99",
    secondary="#8a96a3",
    accent="#1f5f99",
    success="#22772a",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#1d2329",
    background="#fafbfc",
    surface="#f1f3f5",
    panel="#e6eaee",
    dark=False,
    variables={
        "muted": "#5d6872",
        "chosen": "#cfe0f1",
        "rule": "#c3cad1",
        "rule-focus": "#5d6872",
        "button-foreground": "#1d2329",
        "button-focus-text-style": "bold",
        "footer-key-foreground": "#1f5f99",
        "footer-description-foreground": "#5d6872",
        "footer-background": "#fafbfc",
        "scrollbar": "#c3cad1",
        "scrollbar-hover": "#a9b2bb",
        "scrollbar-active": "#8a96a3",
        "scrollbar-background": "#fafbfc",
        "scrollbar-background-hover": "#fafbfc",
        "scrollbar-background-active": "#fafbfc",
        "scrollbar-corner-color": "#fafbfc",
    },
)
