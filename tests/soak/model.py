"""What the script knows of the jobs: what it asked for, and what it was answered."""

import contextlib
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


def now_us():
    return time.time_ns() // 1000


@dataclass
class Known:
    """One job, from its submit on. `id` None: the answer to its submit was never seen."""

    name: str
    kind: str
    requeue: bool = False
    id: int | None = None
    restarts: int = 0
    """Further attempts that were asked for, also where the answer was lost."""
    sure: int = 0
    """Of these, how many were acknowledged."""
    stopped: bool = False
    """Whether anybody ever asked for its stop."""
    removed: bool = False
    maybe_removed: bool = False
    refused: bool = False
    """Its submit was: there may be no such job."""
    attempts: list[tuple] = field(default_factory=list)
    """As they were shown just before it was removed."""


@dataclass
class Span:
    """Something went on between these two times (microseconds since the epoch)."""

    begun: int
    over: int

    def meets(self, begun, over):
        return begun <= self.over and over >= self.begun


@dataclass
class Blow(Span):
    """What was done to a cluster, and to whom."""

    what: str
    """`slurmctld`, `step` or the name of a node."""
    struck: frozenset[tuple[int, int]] = frozenset()
    """Job and attempt of what ran there."""


class Model:
    def __init__(self):
        self._lock = threading.Lock()
        self.jobs = []
        self.counts = Counter()
        self.blows = []
        """In these spans both parents died."""
        self.there = []
        """What a cluster was struck by."""
        self.witness = None
        """The cluster, where there is one: what it says in the end."""
        self.strikes = []
        """From a strike to the next answer."""
        self.halts = []
        """In these daemon or supervisor was halted: it saw nothing."""
        self.full = []
        """In these the disk was full, or had been a moment before."""
        self.wrong = []
        """What was seen to be wrong while it went on."""
        self.answered_after = []
        """(what was done, seconds until the next daemon answered)."""
        self.shutdowns = []
        """From the order to leave to the next daemon: in between there is none, for good."""

    @contextlib.contextmanager
    def span(self, spans, kind=Span, **more):
        """While this goes on, so does a span; one that is not over has no end yet."""
        span = kind(now_us(), sys.maxsize, **more)
        spans.append(span)
        try:
            yield
        finally:
            span.over = now_us()

    def was_full(self, begun, over):
        """Whether there was no space left for a while between these two times."""
        return any(span.meets(begun, over) for span in self.full)

    def know(self, job):
        with self._lock:
            self.jobs.append(job)
        return job

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    def report(self, text):
        with self._lock:
            self.wrong.append(text)
