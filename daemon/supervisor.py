"""The supervisor of the edges: runs each as a task, starts it again when it fails, gives up when it must.

An `anyio.TaskGroup` is no supervisor, for one failure there cancels all siblings. Each edge therefore has a
runner that never raises; what happened to the edge is decided by its `ChildSpec`. Back-off is exponential
with jitter from a seeded source; past its intensity a failure escalates to `on_escalation`.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Literal

import anyio
import structlog

from actors.runtime.supervision import ChildSpec, Intensity, backoff_ns
from daemon.log import masked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from config.schema import Supervision

ChildState = Literal["starting", "running", "backing_off", "stopped", "failed"]
_STEADY_NS = 60_000_000_000
"""A child that ran this long starts its back-off anew."""

log = structlog.get_logger()


def edge_spec(bounds: Supervision) -> ChildSpec:
    """Return what every edge has by the settings, for each to be given a name and what is otherwise with it."""
    return ChildSpec(
        name="edge",
        restarts_max=bounds.restarts_max,
        window_ns=round(bounds.restart_window_s * 1e9),
        backoff_ns=round(bounds.backoff_s * 1e9),
        backoff_max_ns=round(bounds.backoff_max_s * 1e9),
    )


class Child:
    """One supervised edge."""

    def __init__(self, spec: ChildSpec, run: Callable[[], Awaitable[None]]) -> None:
        self.spec = spec
        self.run = run
        self.state: ChildState = "starting"
        self.intensity = Intensity(spec.restarts_max, spec.window_ns)
        self.last_error: str | None = None
        self.scope: anyio.CancelScope | None = None
        self.done = anyio.Event()


class Supervisor:
    """Starts children in order and stops them in reverse.

    Args:
        seed: of the jitter.
        on_escalation: called once with the name and the error of a child that failed too often.
    """

    def __init__(self, seed: int, on_escalation: Callable[[str, str], None]) -> None:
        self.children: dict[str, Child] = {}
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._on_escalation = on_escalation
        self._stopping = False

    def start(self, group: TaskGroup, spec: ChildSpec, run: Callable[[], Awaitable[None]]) -> None:
        """Start one child as a task of `group`."""
        child = Child(spec, run)
        self.children[spec.name] = child
        group.start_soon(self._supervise, child, name=spec.name)

    async def stop(self, grace_s: float) -> None:
        """Stop all children, the last started first, each within `grace_s`."""
        self._stopping = True
        for child in reversed(self.children.values()):
            if child.scope is not None:
                child.scope.cancel()
            with anyio.move_on_after(grace_s) as waited:
                await child.done.wait()
            if waited.cancelled_caught:
                log.error("edge_did_not_stop", edge=child.spec.name, grace_s=grace_s)

    async def _supervise(self, child: Child) -> None:
        attempt_index = 0
        try:
            while not self._stopping:
                started_ns = time.monotonic_ns()
                error = await self._run_once(child)
                if self._stopping or not self._restarts(child, error):
                    child.state = "stopped" if error is None else "failed"
                    return
                now_ns = time.monotonic_ns()
                attempt_index = 0 if now_ns - started_ns > _STEADY_NS else attempt_index
                if not child.intensity.allows(now_ns):
                    if child.spec.vital:
                        child.state = "failed"
                        self._on_escalation(child.spec.name, error or "it ended")
                        return
                    child.intensity.restarts += 1
                child.state = "backing_off"
                pause_ns = backoff_ns(child.spec, attempt_index, self._random.random())
                log.warning("edge_restarts", edge=child.spec.name, error=error, pause_s=round(pause_ns / 1e9, 3))
                attempt_index += 1
                with anyio.CancelScope() as child.scope:
                    await anyio.sleep(pause_ns / 1e9)
        finally:
            if child.state not in ("failed", "stopped"):
                child.state = "stopped"
            child.done.set()

    async def _run_once(self, child: Child) -> str | None:
        """Run the child until it ends; return its error, or None."""
        with anyio.CancelScope() as child.scope:
            child.state = "running"
            try:
                await child.run()
            except Exception as error:
                if isinstance(error, (MemoryError, RecursionError)):
                    raise
                child.last_error = str(masked(f"{type(error).__name__}: {error}"))
                log.exception("edge_failed", edge=child.spec.name)
                return child.last_error
        return None

    def _restarts(self, child: Child, error: str | None) -> bool:
        if child.spec.restart == "permanent":
            return True
        return child.spec.restart == "transient" and error is not None
