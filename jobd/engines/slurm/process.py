"""An attempt as a job of Slurm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from jobd.core.transitions import Outcome
from jobd.engines.base import Refusal
from jobd.engines.slurm.commands import Commands, Seen


class SlurmProcess:
    """As `jobd.engines.base.Process`. What is seen of it, the watcher's thread says."""

    pid = None
    refusals: Sequence[Refusal] = ()

    def __init__(
        self, token: str, name: str, number: int, commands: Commands, reap: Callable[[], object]
    ) -> None:
        """`reap`: forgets all that is kept of it."""
        self.token = token
        self.name = name
        """What Slurm knows it by."""
        self.number = number
        self.sent: int | None = None
        """The signal that was sent last, and may have ended it."""
        self._owed: list[int] = []
        self._owing = threading.Lock()
        self._commands = commands
        self._reap = reap
        self._over = threading.Event()
        self._outcome: Outcome | None = None
        self._node: str | None = None
        self._began: float | None = None

    @property
    def engine_id(self) -> str:
        return str(self.number)

    @property
    def host(self) -> str | None:
        return self._node

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def age(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def wait(self) -> Outcome:
        self._over.wait()
        return self._outcome or Outcome(lost=True)

    def end(self, deadline: float) -> None:
        """Slurm leaves nothing of a job whose script has ended."""
        del deadline

    def reap(self) -> None:
        self._reap()

    # --- signals that wait until its script has begun: a node drops what comes before -------------

    def owes(self, number: int, *, begun: bool) -> bool:
        """Whether this one waits, for its script has not begun or others wait already."""
        with self._owing:
            if begun and not self._owed:
                return False
            self._owed.append(number)
            return True

    @property
    def owed(self) -> int | None:
        """The first that waits. It does so until it is `paid`, so that none overtakes it."""
        with self._owing:
            return self._owed[0] if self._owed else None

    def paid(self) -> None:
        with self._owing:
            del self._owed[0]

    # --- said by the watcher ----------------------------------------------------------------------

    def seen(self, seen: Seen) -> None:
        self._node = seen.node or self._node
        if self._began is None and seen.started is not None and seen.state != "PENDING":
            # From here on no clock that is set changes its age.
            self._began = time.monotonic() - max(0.0, time.time() - seen.started)

    def ended(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._over.set()

    def left(self) -> None:
        """The engine is closed: nobody will hear how it ended from this object."""
        self._over.set()
