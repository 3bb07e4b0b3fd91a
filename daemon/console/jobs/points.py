"""An equity curve in fewer points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.instrument import from_atoms
from daemon.console.types import EquityPoint

if TYPE_CHECKING:
    from collections.abc import Sequence


def thinned(points: Sequence[Sequence[int]], most: int) -> tuple[EquityPoint, ...]:
    """Return a stored curve in at most `most` points."""
    if not points:
        return ()
    width_ns = (points[-1][0] - points[0][0]) // most + 1
    spans: dict[int, list[Sequence[int]]] = {}
    for point in points:
        spans.setdefault((point[0] - points[0][0]) // width_ns, []).append(point)
    return tuple(
        EquityPoint(
            ts_ns=span[-1][0],
            equity=from_atoms(span[-1][1]),
            low=from_atoms(min(point[2] for point in span)),
            high=from_atoms(max(point[3] for point in span)),
        )
        for span in spans.values()
    )
