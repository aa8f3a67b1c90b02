"""What a scenario gives: figures, each beside what is to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


class Skipped(Exception):  # noqa: N818 - named for what happened, as it is told
    """A scenario, or the rest of it, cannot be measured here; the message says why."""


class Failed(Exception):  # noqa: N818 - named for what happened, as it is told
    """A scenario came to something else than it should; the message says what."""


@dataclass(frozen=True)
class Target:
    """What a figure is to reach, in the unit of the figure."""

    value: float
    at_most: bool

    def is_reached_by(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value


def at_least(value: float) -> Target:
    return Target(value, at_most=False)


def at_most(value: float) -> Target:
    return Target(value, at_most=True)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that was measured; `low` and `high` are the extremes of its rounds."""

    what: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    cpu_ms: float | None = None
    """Milliseconds of CPU time that a job took, of the queue and of the job together."""
    target: Target | None = None

    @property
    def is_reached(self) -> bool | None:
        """None: there is nothing to reach."""
        return None if self.target is None else self.target.is_reached_by(self.value)


def of_rounds(
    what: str,
    values: Sequence[float],
    unit: str,
    *,
    target: Target | None = None,
    cpu_ms: float | None = None,
) -> Figure:
    """The median of all rounds. Raises: Skipped (there was none)."""
    if not values:
        raise Skipped(f"{what}: no round came to an end")
    return Figure(
        what=what,
        value=median(values),
        unit=unit,
        low=min(values),
        high=max(values),
        target=target,
        cpu_ms=cpu_ms,
    )


@dataclass
class Outcome:
    """What became of a scenario: what it gave before it ended, and why that is not all."""

    scenario: str
    measured: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str | None = None
    failed: str | None = None
    seconds: float = 0.0
    """How long it took, all in all."""
