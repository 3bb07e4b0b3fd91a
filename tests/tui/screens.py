"""The whole screen as text and tones, and the stored screens it is compared with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

STORED = Path(__file__).parent / "snapshots"
TONES = {
    "foreground": ".", "muted": "m", "primary": "k", "success": "g", "warning": "w", "error": "b", "rule": "-",
    "rule-focus": "=",
}  # fmt: skip
"""By the name of a colour, what stands for it below a stored screen; capitals and `:` are the chosen row's."""


def cells(app: Any) -> list[list[tuple[str, Style]]]:
    """Return every line of the screen as (character, style); the right half of a wide character is empty."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        line: list[tuple[str, Style]] = []
        for segment in strip:
            for char in segment.text:
                style = segment.style or Style.null()
                line += [(char, style), ("", style)][: max(1, cell_len(char))]
        lines.append(line)
    return lines


def wear(app: Any, theme: Any) -> None:
    """Change the colours at once."""
    app.theme = theme.name
    app.refresh_css(animate=False)


def _tones(app: Any, screen: list[list[tuple[str, Style]]]) -> Iterator[str]:
    letters = {app.theme_variables[name].lower(): letter for name, letter in TONES.items()}
    chosen = app.theme_variables["chosen"].lower()
    for line in screen:
        told = ""
        for char, style in line:
            letter = letters.get(style.color.name if style.color else "", "~")
            if style.bgcolor is not None and style.bgcolor.name == chosen:
                letter = ":" if letter == "." else letter.upper()
            told += letter if char.strip() else " "
        yield told.rstrip()


def _texts(screen: list[list[tuple[str, Style]]]) -> list[str]:
    return ["".join(char for char, _ in line).rstrip() for line in screen]


def _ageless(app: Any) -> list[list[tuple[str, Style]]]:
    """Return the screen as if the feed were no second old."""
    screen = cells(app)
    found = re.search(r"feed ([\d ms]+) s", _texts(screen[1:2])[0])
    if found is not None:
        screen[1][found.start(1) : found.end(1)] = [("0", screen[1][found.start(1)][1])]
    return screen


def compare(name: str, app: Any) -> None:
    """Compare the screen with the stored one: its text, and what its colours say, which is the same in both shades.

    The console then wears the other one.
    """
    screen = _ageless(app)
    tones = list(_tones(app, screen))
    shown = "\n".join([*_texts(screen), "=" * app.size.width, *tones, ""])
    path = STORED / f"{name}-{app.size.width}x{app.size.height}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name}: UPDATE_SNAPSHOTS=1 keeps the new one"
    wear(app, app._light if app.current_theme.dark else app._dark)
    assert list(_tones(app, _ageless(app))) == tones, f"{path.name}: another screen in other colours"


def contrast(one: Color, other: Color, system: ColorSystem) -> float:
    """Return the contrast ratio of WCAG 2 between two colours, as a terminal that has so many shows them."""

    def luminance(colour: Color) -> float:
        triplet = colour.downgrade(system).get_truecolor(DEFAULT_TERMINAL_THEME)
        linear = [(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for part in triplet.normalized]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def faint(app: Any, system: ColorSystem) -> set[tuple[str, str]]:
    """Return the pairs of colours on the screen in which letters or figures hardly stand out from what is behind."""
    pairs = {
        (style.color, style.bgcolor)
        for line in cells(app)
        for char, style in line
        if char.isalnum() and style.color and style.bgcolor
    }
    return {(ink.name, ground.name) for ink, ground in pairs if contrast(ink, ground, system) < 3}
