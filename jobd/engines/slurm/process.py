"""An attempt as a job of Slurm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

from jobd.core.transitions import Outcome
from jobd.engines.base import Away, Fate, NeverBegan, Refusal
from jobd.engines.slurm.age import Age
from jobd.engines.slurm.commands import SlurmCommands, SlurmJob
from jobd.engines.slurm.packs import Allocation
from jobd.outputs.workspace import Output


class Where(NamedTuple):
    """Which attempt it is, and where in Slurm."""

    token: str
    name: str
    """What Slurm knows it by."""
    number: int
    turn: int = 1
    """Which one it is in its allocation."""


class SlurmProcess:
    """As `jobd.engines.base.Process`. What is seen of it, the watcher's thread says."""

    pid = None
    refusals: Sequence[Refusal] = ()

    def __init__(
        self,
        where: Where,
        *,
        output: Callable[[], Output],
        commands: SlurmCommands,
        reap: Callable[[], object],
        age: Age,
        allocation: Allocation | None = None,
    ) -> None:
        """`reap`: forgets all that is kept of it. `allocation`: it shares one with others."""
        self._where = where
        self.output = output
        self.allocation = allocation
        self.sent: int | None = None
        """The signal that was sent last, and may have ended it."""
        self.sent_at = 0.0
        """When that was, a time of `time.monotonic()`."""
        self.owed = Owed()
        self.remains = Remains(reap)
        self._commands = commands
        self._end: Future[Outcome | Fate] = Future()
        self._node: str | None = None
        self._age = age

    @property
    def token(self) -> str:
        return self._where.token

    @property
    def name(self) -> str:
        return self._where.name

    @property
    def number(self) -> int:
        return self._where.number

    @property
    def engine_id(self) -> str:
        return str(self.number)

    @property
    def host(self) -> str | None:
        return self._node

    @property
    def is_over(self) -> bool:
        return self._end.done()

    def age(self) -> float:
        return self._age.seconds

    @property
    def counts_alone(self) -> bool:
        """Whether what Slurm counts of its job is its own: others may have been there before."""
        return self._where.turn == 1 and not self.is_over

    @property
    def was_handed_over(self) -> bool:
        """Whether its allocation was there before, and may have ended just then."""
        return self._where.turn > 1

    def wait(self) -> Outcome:
        """As `Process.wait`. Raises: NeverBegan."""
        outcome = self._end.result()
        if outcome is Fate.NEVER_STARTED:
            self.remains.let_go()
            raise NeverBegan(f"Slurm job {self.number} had ended before it could begin there")
        assert isinstance(outcome, Outcome)
        return outcome

    def end(self, deadline: float) -> None:
        """Slurm leaves nothing of a job whose script has ended: so that of an allocation is ended,
        if this one was sent a signal; then nobody else is in it.
        """
        del deadline
        if self.allocation is not None and self.allocation.signalled == self.token:
            with suppress(Away):
                self._commands.signal(self.name, signal.SIGKILL)

    def reap(self) -> None:
        self.remains.let_go()

    # --- said by the watcher ----------------------------------------------------------------------

    def seen(self, seen: SlurmJob, asked: float) -> None:
        """`asked`: when Slurm was, a time of `time.monotonic()`."""
        self._node = seen.node or self._node
        if seen.state == "PENDING":
            self._age.waited(asked)
        elif self.allocation is None and seen.started is not None:
            self.began(seen.started)

    def began(self, at: float) -> None:
        """`at`: as `Age.began`."""
        self._age.began(at)

    def is_on(self, node: str) -> None:
        self._node = node

    def ended(self, outcome: Outcome | Fate) -> None:
        if self.allocation is not None:
            self.allocation.leave(self.age())
        self._finish(outcome)

    def left(self) -> None:
        """The engine is closed: nobody will hear how it ended from this object."""
        self._finish(Outcome(lost=True))

    def _finish(self, outcome: Outcome | Fate) -> None:
        """What was said first counts: somebody may have acted on it."""
        with suppress(InvalidStateError):
            self._end.set_result(outcome)


class Remains:
    """What is kept of one that has ended, until that is recorded and Slurm knows it, too: it leads
    the next daemon to what Slurm may still believe to run. Any thread.
    """

    def __init__(self, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._lock = threading.Lock()
        self.is_unnoticed = False
        """It has ended, and Slurm has not said so yet."""
        self.is_let_go = False
        """Its end is recorded."""

    def unnoticed(self) -> None:
        """Before that is told."""
        self.is_unnoticed = True

    def noticed(self) -> None:
        with self._lock:
            self.is_unnoticed = False
            forgets = self.is_let_go
        if forgets:
            self._forget()

    def let_go(self) -> None:
        with self._lock:
            self.is_let_go = True
            forgets = not self.is_unnoticed
        if forgets:
            self._forget()


class Owed:
    """Signals that wait until its script has begun: a node drops what comes before. Any thread."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._lock = threading.Lock()

    def takes(self, number: int, *, begun: bool) -> bool:
        """Whether this one waits, for its script has not begun or others wait already."""
        with self._lock:
            if begun and not self._numbers:
                return False
            self._numbers.append(number)
            return True

    @property
    def first(self) -> int | None:
        """It waits until it is `paid`, so that none overtakes it."""
        with self._lock:
            return self._numbers[0] if self._numbers else None

    def paid(self) -> None:
        with self._lock:
            del self._numbers[0]
