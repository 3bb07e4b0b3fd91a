"""The whole screen as text, and the stored screens it is compared with."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any

STORED = Path(__file__).parent / "snapshots"
_CELL_WIDTH = 12.2
_TEXT = re.compile(r'<text [^>]*?x="([\d.]+)"[^>]*?clip-path="url\(#[^"]*?line-(\d+)\)">([^<]*)</text>')


def screen_text(app: Any) -> str:
    """Return the lines of text of the SVG screenshot; colours and decoration are left out."""
    lines = [[" "] * app.size.width for _ in range(app.size.height)]
    for x, line, text in _TEXT.findall(app.export_screenshot()):
        column = round(float(x) / _CELL_WIDTH)
        for offset, char in enumerate(html.unescape(text).replace("\xa0", " ").rstrip("\n")):
            lines[int(line)][column + offset] = char
    return "".join("".join(line).rstrip() + "\n" for line in lines)


def compare(name: str, size: tuple[int, int], app: Any) -> None:
    shown = re.sub(r"feed \d s", "feed 0 s", screen_text(app))
    path = STORED / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name}: UPDATE_SNAPSHOTS=1 keeps the new one"
