"""All routes of the console."""

from __future__ import annotations

from daemon.console import (
    about,
    actors,
    backtests,
    bars,
    lines,
    live,
    metrics,
    pages,
    past,
    profit,
    replay,
    session,
    setup,
    stream,
)

ROUTES = (
    *about.ROUTES,
    *pages.ROUTES,
    *session.ROUTES,
    *live.ROUTES,
    *actors.ROUTES,
    *lines.ROUTES,
    *past.ROUTES,
    *profit.ROUTES,
    *replay.ROUTES,
    *bars.ROUTES,
    *setup.ROUTES,
    *backtests.ROUTES,
    *stream.ROUTES,
    *metrics.ROUTES,
)
