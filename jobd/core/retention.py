"""What is kept of finished jobs: which of them are unwanted, the oldest first. Pure decisions.

Each limit (age, number, bytes of output) counts for itself. A state that has a limit of its own is
measured by that alone; all the others share the general one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from jobd.contract.config import Retention
from jobd.contract.states import FINISHED, State

_STATES: Final = sorted(FINISHED)


class Finished(Struct, frozen=True):
    """A finished job, as far as it matters here."""

    id: int
    state: State
    finished_at: int
    """Microseconds since the epoch."""
    output: int
    """Bytes, of all its attempts."""


class Kept:
    """How many finished jobs there are in each state, and the bytes of their output."""

    def __init__(self, jobs: dict[State, int], output: dict[State, int]) -> None:
        self.jobs = jobs
        self.output = output

    def lose(self, job: Finished) -> None:
        self.jobs[job.state] -= 1
        self.output[job.state] -= job.output


class _Rule(Struct, frozen=True):
    states: tuple[State, ...]
    most: int

    def broken(self, amounts: Mapping[State, int]) -> bool:
        return sum(amounts[state] for state in self.states) > self.most


class Policy(Struct, frozen=True):
    """The limits of `[retention]`, and what they mean for each state."""

    ages: dict[State, int]
    """Microseconds."""
    jobs: Sequence[_Rule]
    output: Sequence[_Rule]

    def __bool__(self) -> bool:
        return bool(self.ages or self.jobs or self.output)

    @property
    def measures_output(self) -> bool:
        return bool(self.output)

    @property
    def soonest(self) -> int | None:
        """Microseconds in which a job can be too old that finishes now; None: none ever is."""
        return min(self.ages.values(), default=None)

    def too_many(self, jobs: Mapping[State, int]) -> bool:
        """Whether so many jobs in each state are more than wanted."""
        return any(rule.broken(jobs) for rule in self.jobs)

    def crowded(self, kept: Kept) -> set[State]:
        """Of these states there are too many jobs, or too much output."""
        broken = [rule for rule in self.jobs if rule.broken(kept.jobs)]
        broken += [rule for rule in self.output if rule.broken(kept.output)]
        return {state for rule in broken for state in rule.states}

    def states(self, kept: Kept) -> set[State]:
        """Those whose oldest jobs may be unwanted."""
        return self.crowded(kept) | self.ages.keys()

    def unwanted(self, job: Finished, kept: Kept, now: int) -> bool:
        """Whether it has to go, being the oldest one left of its state."""
        if job.state in self.ages and job.finished_at + self.ages[job.state] <= now:
            return True
        return job.state in self.crowded(kept)

    def choose(self, oldest: Iterable[Finished], kept: Kept, now: int) -> list[Finished]:
        """Which of these have to go; `kept` becomes what is left."""
        chosen = []
        for job in sorted(oldest, key=lambda job: (job.finished_at, job.id)):
            if self.unwanted(job, kept, now):
                chosen.append(job)
                kept.lose(job)
        return chosen

    def next_expiry(self, oldest: Iterable[Finished]) -> int | None:
        """When the first of these is too old, microseconds since the epoch."""
        ends = (job.finished_at + self.ages[job.state] for job in oldest if job.state in self.ages)
        return min(ends, default=None)


def policy_of(config: Retention) -> Policy:
    own = {State(name): getattr(config, name) for name in _STATES}
    ages = {state: own[state].max_age for state in _STATES}
    limits = {state: config.max_age if age is None else age for state, age in ages.items()}
    return Policy(
        ages={state: round(age * 1e6) for state, age in limits.items() if age},
        jobs=_rules(config.max_jobs, {state: own[state].max_jobs for state in _STATES}),
        output=_rules(config.max_output, {state: own[state].max_output for state in _STATES}),
    )


def _rules(general: int | None, own: dict[State, int | None]) -> list[_Rule]:
    """0 is no limit, and takes its state out of the general one."""
    rules = [_Rule((state,), most) for state, most in own.items() if most]
    others = tuple(state for state, most in own.items() if most is None)
    return [*rules, _Rule(others, general)] if general and others else rules
