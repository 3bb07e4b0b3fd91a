"""What the feed asks comes out of the weight that all share, and behind everybody else."""

from __future__ import annotations

import anyio
import pytest
from ccxt.base.errors import DDoSProtection, ExchangeError, RateLimitExceeded

from daemon.edges.feed.requests import FeedRequests
from daemon.edges.venue.limits import Limits, Priority


class Venue:
    """What a venue says of our requests."""

    def __init__(self) -> None:
        self.used: int | None = None

    def used_weight(self) -> int | None:
        used, self.used = self.used, None
        return used

    def retry_after_s(self) -> float:
        return 7.0


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def answer() -> str:
    return "yes"


async def test_a_request_spends_its_weight() -> None:
    limits = Limits(1_000, Now())
    requests = FeedRequests(limits, Venue())
    assert await requests.ask(20, answer) == "yes"
    assert limits.statistics().spent == 20
    assert requests.count == 1


async def test_the_feed_has_half_of_the_weight_and_orders_have_the_rest() -> None:
    limits = Limits(100, Now())
    requests = FeedRequests(limits, Venue())
    for _ in range(5):
        await requests.ask(10, answer)
    with anyio.move_on_after(0.05) as waited:
        await requests.ask(10, answer)
    assert waited.cancelled_caught
    with anyio.fail_after(1):
        await limits.turn(Priority.EXIT, 50)


async def test_exits_and_questions_go_ahead_of_the_feed() -> None:
    now = Now()
    limits = Limits(100, now)
    requests = FeedRequests(limits, Venue())
    limits.pause(0.2)
    order: list[str] = []

    async def feed() -> None:
        await requests.ask(10, answer)
        order.append("feed")

    async def other(priority: Priority) -> None:
        await limits.turn(priority, 10)
        order.append(priority.name)

    async with anyio.create_task_group() as group:
        group.start_soon(feed)
        await anyio.wait_all_tasks_blocked()
        for priority in (Priority.ACCOUNT_QUESTION, Priority.EXIT, Priority.CANCEL):
            group.start_soon(other, priority)
        await anyio.wait_all_tasks_blocked()
        now.now_s += 1.0
    assert order == ["CANCEL", "EXIT", "ACCOUNT_QUESTION", "feed"]


@pytest.mark.parametrize("error", [DDoSProtection, RateLimitExceeded])
async def test_a_venue_that_has_had_enough_silences_everybody(error: type[Exception]) -> None:
    limits = Limits(1_000, Now())
    requests = FeedRequests(limits, Venue())

    async def refuse() -> None:
        raise error("enough")

    with pytest.raises(error):
        await requests.ask(1, refuse)
    assert limits.statistics().paused_s == 7.0


async def test_other_errors_silence_nobody() -> None:
    limits = Limits(1_000, Now())

    async def refuse() -> None:
        message = "no"
        raise ExchangeError(message)

    with pytest.raises(ExchangeError):
        await FeedRequests(limits, Venue()).ask(1, refuse)
    assert limits.statistics().paused_s == 0


async def test_what_the_venue_has_counted_counts() -> None:
    limits, venue = Limits(1_000, Now()), Venue()
    venue.used = 300
    await FeedRequests(limits, venue).ask(1, answer)
    assert limits.statistics().spent == 300
