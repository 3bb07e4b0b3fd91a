"""Supervision of edges: restart type x way of ending x escalation, with children made for the purpose."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.lowlevel
import pytest

from actors.runtime.supervision import ChildSpec, backoff_ns
from daemon.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

Ending = Literal["returns", "raises"]
RAISES: Ending = "raises"


class Script:
    """A child that ends in the ways it is told, one a run, and then goes on until it is cancelled."""

    def __init__(self, *endings: Ending) -> None:
        self.endings = list(endings)
        self.runs = 0
        self.steady = anyio.Event()

    async def run(self) -> None:
        """Run once."""
        self.runs += 1
        await anyio.lowlevel.checkpoint()
        if not self.endings:
            self.steady.set()
            await anyio.sleep_forever()
        if self.endings.pop(0) == "raises":
            message = f"run {self.runs}"
            raise OSError(message)


class Escalations:
    """Remembers what was escalated."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, name: str, error: str) -> None:
        """Remember one."""
        self.seen.append((name, error))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make back-off take no time, and return the pauses that were asked for."""
    asked: list[float] = []

    async def sleep(delay_s: float) -> None:
        asked.append(delay_s)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("daemon.supervisor.anyio.sleep", sleep)
    return asked


def spec(**terms: object) -> ChildSpec:
    return ChildSpec(name="edge", **terms)  # type: ignore[arg-type]


async def supervise(child: Script, terms: ChildSpec, seed: int = 1) -> tuple[Supervisor, Escalations]:
    """Run one child until nothing more happens by itself."""
    escalations = Escalations()
    supervisor = Supervisor(seed, escalations)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            supervisor.start(group, terms, child.run)
            done = supervisor.children[terms.name].done

            async def until_steady() -> None:
                await child.steady.wait()
                await supervisor.stop(1.0)

            group.start_soon(until_steady)
            await done.wait()
            group.cancel_scope.cancel()
    return supervisor, escalations


@pytest.mark.parametrize(
    ("restart", "ending", "runs", "state"),
    [
        ("permanent", "returns", 2, "stopped"),
        ("permanent", "raises", 2, "stopped"),
        ("transient", "returns", 1, "stopped"),
        ("transient", "raises", 2, "stopped"),
        ("temporary", "returns", 1, "stopped"),
        ("temporary", "raises", 1, "failed"),
    ],
)
async def test_restart_type_and_ending_decide_whether_a_child_runs_again(
    pauses: list[float], restart: str, ending: Ending, runs: int, state: str
) -> None:
    child = Script(ending)

    supervisor, escalations = await supervise(child, spec(restart=restart))

    kept = supervisor.children["edge"]
    assert (child.runs, kept.state, kept.intensity.restarts, len(pauses)) == (runs, state, runs - 1, runs - 1)
    assert kept.last_error == ("OSError: run 1" if ending == "raises" else None)
    assert escalations.seen == []


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("restarts_max", [0, 1, 3])
@pytest.mark.parametrize(
    ("restart", "ending", "told"),
    [
        ("permanent", "raises", "OSError: run {}"),
        ("permanent", "returns", "it ended"),
        ("transient", "raises", "OSError: run {}"),
    ],
)
async def test_more_restarts_than_allowed_escalate_once(
    restart: str, ending: Ending, told: str, restarts_max: int
) -> None:
    child = Script(*[ending] * 20)

    supervisor, escalations = await supervise(child, spec(restart=restart, restarts_max=restarts_max))

    assert child.runs == restarts_max + 1
    assert supervisor.children["edge"].state == "failed"
    assert escalations.seen == [("edge", told.format(restarts_max + 1))]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("restart", "ending"), [("temporary", "raises"), ("temporary", "returns"), ("transient", "returns")]
)
async def test_a_child_that_may_end_never_escalates(restart: str, ending: Ending) -> None:
    _, escalations = await supervise(Script(ending), spec(restart=restart, restarts_max=0))

    assert escalations.seen == []


@pytest.mark.usefixtures("pauses")
async def test_restarts_outside_the_window_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = iter(range(0, 10**9, 1_000))
    monkeypatch.setattr("daemon.supervisor.time.monotonic_ns", lambda: next(now_ns))
    child = Script(*[RAISES] * 8)

    supervisor, escalations = await supervise(child, spec(restarts_max=1, window_ns=1_500))

    assert (child.runs, supervisor.children["edge"].intensity.restarts) == (9, 8)
    assert escalations.seen == []


async def test_back_off_doubles_to_its_bound_with_seeded_jitter(pauses: list[float]) -> None:
    terms = spec(restarts_max=9, backoff_ns=100, backoff_max_ns=1_000)

    await supervise(Script(*[RAISES] * 6), terms, seed=5)
    first = list(pauses)
    pauses.clear()
    await supervise(Script(*[RAISES] * 6), terms, seed=5)
    same = list(pauses)
    pauses.clear()
    await supervise(Script(*[RAISES] * 6), terms, seed=6)

    chance = random.Random(5)
    assert first == same == [backoff_ns(terms, attempt, chance.random()) / 1e9 for attempt in range(6)]
    assert first != pauses
    for pause_s, whole_ns in zip(first, [100, 200, 400, 800, 1_000, 1_000], strict=True):
        assert whole_ns / 2 <= pause_s * 1e9 <= whole_ns


async def test_back_off_begins_anew_after_a_steady_time(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    long_ns = 120_000_000_000
    now_ns = iter(range(0, 100 * long_ns, long_ns))
    monkeypatch.setattr("daemon.supervisor.time.monotonic_ns", lambda: next(now_ns))

    await supervise(Script(*[RAISES] * 4), spec(restarts_max=9, backoff_ns=1_000, window_ns=1))

    assert all(500 <= pause_s * 1e9 <= 1_000 for pause_s in pauses)


async def test_children_stop_in_the_reverse_of_their_start_order() -> None:
    order: list[str] = []

    def child(name: str) -> Callable[[], object]:
        async def run() -> None:
            order.append(f"start {name}")
            try:
                await anyio.sleep_forever()
            finally:
                order.append(f"stop {name}")

        return run

    supervisor = Supervisor(1, Escalations())
    async with anyio.create_task_group() as group:
        for name in ("a", "b", "c"):
            supervisor.start(group, ChildSpec(name=name), child(name))  # type: ignore[arg-type]
        await anyio.wait_all_tasks_blocked()
        await supervisor.stop(1.0)

    assert order == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]
    assert {kept.state for kept in supervisor.children.values()} == {"stopped"}


async def test_a_stop_is_not_mistaken_for_a_failure() -> None:
    escalations = Escalations()
    supervisor = Supervisor(1, escalations)

    async def fail_on_the_way_out() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            message = "while stopping"
            raise OSError(message)

    async with anyio.create_task_group() as group:
        supervisor.start(group, spec(restarts_max=0), fail_on_the_way_out)
        await anyio.wait_all_tasks_blocked()
        await supervisor.stop(1.0)

    assert escalations.seen == []
    assert supervisor.children["edge"].intensity.restarts == 0


async def test_a_child_is_stopped_in_the_midst_of_its_back_off() -> None:
    child = Script(*[RAISES] * 3)
    supervisor = Supervisor(1, Escalations())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            supervisor.start(group, spec(backoff_ns=3_600 * 10**9, backoff_max_ns=3_600 * 10**9), child.run)
            while supervisor.children["edge"].state != "backing_off":
                await anyio.lowlevel.checkpoint()

            await supervisor.stop(1.0)

    assert (child.runs, supervisor.children["edge"].state) == (1, "stopped")


async def test_a_child_that_will_not_stop_holds_up_the_others_only_for_its_grace() -> None:
    release = anyio.Event()
    stopped: list[str] = []

    async def stubborn() -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()
        stopped.append("stubborn")

    async def polite() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append("polite")

    supervisor = Supervisor(1, Escalations())
    async with anyio.create_task_group() as group:
        supervisor.start(group, ChildSpec(name="polite"), polite)
        supervisor.start(group, ChildSpec(name="stubborn"), stubborn)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(60):
            await supervisor.stop(0.01)
        assert stopped == ["polite"]
        release.set()

    assert stopped == ["polite", "stubborn"]


async def test_one_child_that_fails_leaves_its_siblings_alone(pauses: list[float]) -> None:
    failing, steady = Script("raises", "raises"), Script()
    supervisor = Supervisor(1, Escalations())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            supervisor.start(group, ChildSpec(name="steady"), steady.run)
            supervisor.start(group, ChildSpec(name="failing"), failing.run)
            await failing.steady.wait()
            await supervisor.stop(1.0)

    assert (steady.runs, failing.runs, len(pauses)) == (1, 3, 2)


@pytest.mark.parametrize("kind", [MemoryError, RecursionError])
async def test_what_is_no_function_of_the_input_ends_the_process(kind: type[Exception]) -> None:
    async def run() -> None:
        await anyio.lowlevel.checkpoint()
        raise kind

    supervisor = Supervisor(1, Escalations())
    with pytest.raises(BaseExceptionGroup) as caught:
        async with anyio.create_task_group() as group:
            supervisor.start(group, spec(), run)

    assert caught.value.subgroup(kind) is not None


async def test_a_child_that_is_not_vital_never_escalates(pauses: list[float]) -> None:
    escalations = Escalations()
    supervisor = Supervisor(1, escalations)
    child = Script(*[RAISES] * 12)
    async with anyio.create_task_group() as group:
        supervisor.start(group, ChildSpec(name="child", restarts_max=2, vital=False), child.run)
        await child.steady.wait()
        assert supervisor.children["child"].intensity.restarts == 12
        await supervisor.stop(1.0)
    assert escalations.seen == []
    assert len(pauses) == 12
