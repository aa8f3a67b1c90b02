"""What somebody is told: the facts of one message, and what becomes of a flood of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from jobd.contract.destinations import Destination
from jobd.contract.models import Job
from jobd.contract.states import State

NAMED: Final = 10
"""Jobs of a flood that are named one by one, the first ones."""
SINGLES: Final = 5
"""Messages to one place that go out one by one within `WINDOW_US`, or wait to go out."""
WINDOW_US: Final = 10_000_000
"""What is beyond them is gathered for so long, and goes out as one message."""
TEST: Final = "test"
ALL_ENDED: Final = "all ended"
"""Occasions beside those of `Occasion`: nobody waits for them by a rule."""


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """About one job, about the queue, or (`count`) about as many things that came together."""

    occasion: str
    at: int
    """When it happened, microseconds since the epoch."""
    said: str
    """In one line, without a job's command: `job 7 (train) failed: exit code 1`. Empty: so many
    more of them, of which nothing is told but that.
    """
    job: Job | None = None
    """As it was then."""
    last_lines: list[str] = field(default_factory=list)
    """Of its output, safe to print."""
    details: list[str] = field(default_factory=list)
    """Lines about what is no job."""
    count: int = 1
    again: str = ""
    """The command that does it once more."""
    first: list[str] = field(default_factory=list)
    """Of several: what the first of them said."""
    counts: dict[State, int] = field(default_factory=dict)
    """Where all of several have ended: how."""
    exit_code: int | None = None
    """And what `jobctl wait` would end with for them."""
    jobs: list[int] = field(default_factory=list)
    """Of several: the jobs that the first of them were about."""

    def and_more(self, others: Iterable[Message]) -> Message:
        """One message for it and all of these."""
        others = list(others)
        if not others:
            return self
        whole = self if self.first else _several(self)
        first, jobs, count = list(whole.first), list(whole.jobs), whole.count
        for one in others:
            count += one.count
            if one.said and len(first) < NAMED:
                first.append(one.said)
                jobs += [] if one.job is None else [one.job.id]
        return replace(whole, count=count, first=first, jobs=jobs)


def _several(one: Message) -> Message:
    jobs = [] if one.job is None else [one.job.id]
    return replace(one, first=[one.said], jobs=jobs, job=None, last_lines=[], details=[])


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One destination, and how much effort a message to it is worth."""

    rule: str
    """What lists call whoever wanted it."""
    to: Destination
    timeout: float = 30.0
    """Seconds of one try."""
    retries: int = 9
    retry_delay: float = 10.0
    """Seconds before the first of them; doubles each time."""
    environment: int | None = None
    """The stored environment in which it goes out; None: the daemon's own."""
    cwd: bytes = b""
    """The directory in which a command runs."""


encoder: Final = msgspec.msgpack.Encoder()
message_decoder: Final = msgspec.msgpack.Decoder(Message)
target_decoder: Final = msgspec.msgpack.Decoder(Target)
