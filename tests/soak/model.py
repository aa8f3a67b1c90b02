"""What the script knows of the jobs: what it asked for, and what it was answered."""

import threading
from collections import Counter
from dataclasses import dataclass, field


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
    attempts: list[tuple] = field(default_factory=list)
    """As they were shown just before it was removed."""


@dataclass
class Blow:
    """Both parents died between these two times (microseconds since the epoch)."""

    begun: int
    over: int


class Model:
    def __init__(self):
        self._lock = threading.Lock()
        self.jobs = []
        self.counts = Counter()
        self.blows = []
        self.wrong = []
        """What was seen to be wrong while it went on."""
        self.answered_after = []
        """(what was done, seconds until the next daemon answered)."""
        self.shutdowns = 0

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
