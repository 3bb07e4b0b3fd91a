"""Whom to tell what happens, wherever they are."""

from typing import Annotated, Literal

from msgspec import Meta

from config.section import Count, Seconds, Section

AlertKind = Literal["fill", "reject", "halt", "stale", "restart", "liquidation", "daily"]
AlertLevel = Literal["info", "warning", "error"]
_LEVELS = ("info", "warning", "error")


class AlertTarget(Section, frozen=True):
    """Somebody who is told."""

    name: str
    """What it is called in the log and in metrics."""
    url: str | None = None
    """Where it is, as apprise writes it (``tgram://...``, ``mailto://...``): a secret, which is never shown."""
    file: str | None = None
    """Rather than the URL: a file whose first line is the URL, or the name of one of systemd's credentials."""
    level: AlertLevel = "info"
    """It is told what is at least this severe."""
    kinds: tuple[AlertKind, ...] = ()
    """And only this; everything unless given."""

    def __post_init__(self) -> None:
        """Check what Meta cannot.

        Raises:
            ValueError: it is nowhere.
        """
        if self.url is None and self.file is None:
            message = f"target {self.name} needs an url, or a file that has it"
            raise ValueError(message)

    def wants(self, kind: str, level: str) -> bool:
        """Return whether it is to be told."""
        return _LEVELS.index(level) >= _LEVELS.index(self.level) and (not self.kinds or kind in self.kinds)


class Alerts(Section, frozen=True):
    """What is told, how often, and for how long it is tried."""

    targets: tuple[AlertTarget, ...] = ()
    """Who is told; nobody unless given."""
    per_minute: Count = 20
    """Messages to one target in a minute, at most; what waits meanwhile goes together in one."""
    window_s: Seconds = 60.0
    """What happens again within this time after it was told is counted, and told as one; an error is told at once."""
    queue_max: Count = 1_000
    """Alerts that wait for one target; beyond, the least severe and of these the oldest are given up, which is told."""
    tries_max: Count = 20
    """Attempts, with pauses that double up to five minutes, before an alert is given up."""
    timeout_s: Seconds = 15.0
    """Longest wait for a target."""
    daily_hour: Annotated[int, Meta(ge=0, le=23)] = 0
    """Hour, in UTC, at which the day is summed up."""

    def __post_init__(self) -> None:
        """Check what Meta cannot.

        Raises:
            ValueError: two targets of one name.
        """
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            message = f"targets need names of their own, not {', '.join(names)}"
            raise ValueError(message)
