"""All routes of the console."""

from __future__ import annotations

from daemon.console import about, live, stream

ROUTES = (*about.ROUTES, *live.ROUTES, *stream.ROUTES)
