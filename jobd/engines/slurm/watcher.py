"""Watches over the jobs that Slurm has: one question for all of them, none while there are none.

Slurm is asked often while something begins or ends, and more and more rarely while nothing does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from jobd.core.transitions import Outcome
from jobd.engines.base import Away, CannotStart, Fate
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import SlurmCommands, SlurmJob
from jobd.engines.slurm.ends import Ends
from jobd.engines.slurm.glances import Glances
from jobd.engines.slurm.names import Names
from jobd.engines.slurm.process import SlurmProcess
from jobd.engines.slurm.verdict import is_open

log = logging.getLogger(__name__)
_RAREST: Final = 5
"""So many times the shortest pause is the longest."""
_QUIET: Final = 0.1
"""The pause is this part of the time in which nothing has begun or ended."""
_DOUBT_S: Final = 60.0
"""Seconds in which a submission that nobody has heard the answer of may still come to be."""
_LEAVING_S: Final = 2.0
"""Seconds that a question under way is waited for at the end: Slurm may not answer for long."""
_HELD: Final = "JobHeldUser"


class Watcher:
    """A thread of its own; any other may call."""

    def __init__(
        self,
        commands: SlurmCommands,
        files: AttemptFiles,
        names: Names,
        ends: Ends,
        poll_s: float,
        back: Callable[[], object],
    ) -> None:
        """`back`: called when Slurm was away and is there again."""
        self._commands = commands
        self._files = files
        self._names = names
        self._ends = ends
        self._pause = _Pause(poll_s)
        self._listing = _Listing(commands, back)
        self._changed = threading.Condition()
        self._watched: dict[str, SlurmProcess] = {}
        self._starting: set[str] = set()
        self._glances = Glances(self._glance)
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Once."""
        self._thread = threading.Thread(target=self._run, name="slurm watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            watched = list(self._watched.values())
        self._glances.close()
        for process in watched:
            process.left()
        if self._thread is not None:
            self._thread.join(_LEAVING_S)

    @contextmanager
    def starting(self, *tokens: str) -> Iterator[None]:
        """Meanwhile what is held under these is no leftover."""
        with self._changed:
            self._starting.update(tokens)
        try:
            yield
        finally:
            with self._changed:
                self._starting.difference_update(tokens)

    def add(self, process: SlurmProcess) -> None:
        """In the place of the one before: an engine that is asked again finds its attempts anew."""
        with self._changed:
            before = self._watched.get(process.token)
            self._watched[process.token] = process
            closed = self._closed
            self._something_happened()
        if before is not None:
            before.left()
        if closed:
            process.left()
        else:
            self._glances.add(process)

    def hurry(self) -> None:
        """Something is about to come of what somebody did or saw: Slurm is asked often again,
        however quiet it was.
        """
        with self._changed:
            self._something_happened()

    def expect_leftovers(self) -> None:
        """A submission may come to be that nobody waits for: it is held, and is cancelled."""
        with self._changed:
            self._pause.doubt()
            self._changed.notify_all()

    def _something_happened(self) -> None:
        """Under the lock: the thread is woken where it would sleep for too long."""
        self._pause.something_happened()
        needed = self._needed_in()
        if needed is not None and time.monotonic() + needed < self._pause.until:
            self._changed.notify_all()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._waited():
            try:
                self._look()
            except Away as error:
                log.info("Slurm is away: %s", error)
            except Exception:
                log.exception("the jobs that Slurm has cannot be looked at just now")

    def _waited(self) -> bool:
        """Until Slurm is to be asked; False: not any more."""
        with self._changed:
            while not self._closed:
                left = self._needed_in()
                if left == 0:
                    self._pause.begin()
                    break
                self._pause.until = math.inf if left is None else time.monotonic() + left
                self._changed.wait(left)
            return not self._closed

    def _needed_in(self) -> float | None:
        """Seconds until Slurm is to be asked; None: there is nothing to ask for."""
        if self._watched or self._pause.in_doubt:
            return self._pause.left()
        return None

    def _look(self) -> None:
        """Raises: Away."""
        with self._changed:
            watched = list(self._watched.values())
        # Whoever came after that may be missing in the listing.
        asked = time.monotonic()
        listed = self._listing.now({process.name for process in watched})
        ours = [seen for seen in listed if self._names.token_in(seen.name)]
        found = {seen.name: seen for seen in ours}
        for process in watched:
            seen = found.get(process.name)
            if process.is_over:
                with _faults_told(process):
                    self._hear(process, seen)
                continue
            if seen is not None:
                process.seen(seen, asked)
            if process.allocation is not None and (seen is None or not is_open(seen)):
                process.allocation.shut()
            with _faults_told(process):
                self._settle(process, seen)
        going_on = [(one, found[one.name]) for one in watched if one.name in found]
        going_on = [(one, seen) for one, seen in going_on if not one.is_over]
        for process in (one for one, seen in going_on if _is_held(seen)):
            self._release(process)
        for process in (one for one, seen in going_on if seen.state != "PENDING"):
            with _faults_told(process):
                self._pay(process)
        self._cancel_leftovers(found)

    def _release(self, process: SlurmProcess) -> None:
        """Slurm was away when it was to be told. Raises: Away."""
        try:
            self._commands.release(process.name)
        except CannotStart as error:
            self._commands.cancel_waiting(process.name)
            self._end(process, Outcome(error=str(error)), noticed=True)

    def _pay(self, process: SlurmProcess) -> None:
        """Signals that came before its script had begun. Raises: Away, OSError."""
        if process.owed.first is not None and self._files.has_begun(process.token):
            while (number := process.owed.first) is not None:
                self._commands.signal(process.name, number)
                process.owed.paid()

    def _cancel_leftovers(self, found: Mapping[str, SlurmJob]) -> None:
        """Held jobs that were never noted: whoever submitted them has died, or got no answer.

        Raises: Away.
        """
        with self._changed:
            known = self._watched.keys() | self._starting
        for name, seen in found.items():
            if _is_held(seen) and self._names.token_in(name) not in known:
                log.warning("Slurm job %d is cancelled: nobody waits for it", seen.number)
                self._commands.cancel_waiting(seen.name)

    def _glance(self, process: SlurmProcess) -> None:
        """By a thread of its own: what one has written. Raises: OSError."""
        has_ended, outcome = self._ends.written(process)
        if outcome is not None:
            self._end(process, outcome, noticed=False)
        elif has_ended:
            self.hurry()

    def _settle(self, process: SlurmProcess, seen: SlurmJob | None) -> None:
        """Raises: Away, OSError."""
        if (outcome := self._ends.outcome(process, seen)) is not None:
            self._end(process, outcome, noticed=seen is None or not is_open(seen))

    def _end(self, process: SlurmProcess, outcome: Outcome | Fate, *, noticed: bool) -> None:
        """`noticed`: Slurm knows it; else it is watched until then."""
        with self._changed:
            if self._watched.get(process.token) is not process or process.remains.is_unnoticed:
                return  # the other thread was first, or another has its place
            if noticed or process.allocation is not None:
                del self._watched[process.token]
            else:
                process.remains.unnoticed()
            self._pause.something_happened()
        process.ended(outcome)

    def _hear(self, process: SlurmProcess, seen: SlurmJob | None) -> None:
        """Whether Slurm knows the end of one, too. Raises: Away, OSError."""
        if not (process.remains.is_unnoticed and self._ends.is_noticed(process, seen)):
            return
        with self._changed:
            if self._watched.get(process.token) is process:
                del self._watched[process.token]
        process.remains.noticed()


@contextmanager
def _faults_told(process: SlurmProcess) -> Iterator[None]:
    """The file server does not show now what this one has written: that concerns no other."""
    try:
        yield
    except OSError as error:
        log.warning("Slurm job %d: %s", process.number, error)


def _is_held(seen: SlurmJob) -> bool:
    """By us: whoever runs the cluster may hold it, too."""
    return seen.state == "PENDING" and seen.reason == _HELD


class _Listing:
    """What Slurm says of all jobs. Of the watcher's thread."""

    def __init__(self, commands: SlurmCommands, back: Callable[[], object]) -> None:
        """`back`: called when Slurm was away and is there again."""
        self._commands = commands
        self._back = back
        self._was_away = False

    def now(self, names: Container[str]) -> list[SlurmJob]:
        """As `SlurmCommands.listing`. Raises: Away."""
        try:
            found = self._commands.listing(names)
        except Away:
            self._was_away = True
            raise
        if self._was_away:
            self._was_away = False
            self._back()
        return found


class _Pause:
    """How long Slurm is not asked. Whoever calls sees to it that nobody else does."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._happened = self._asked = time.monotonic()
        self._doubt_until = 0.0
        self.until = 0.0
        """When whoever sleeps over it wakes up by itself."""

    @property
    def in_doubt(self) -> bool:
        return time.monotonic() < self._doubt_until

    def doubt(self) -> None:
        self._doubt_until = time.monotonic() + _DOUBT_S
        self.something_happened()

    def something_happened(self) -> None:
        self._happened = time.monotonic()

    def begin(self) -> None:
        """It is asked now."""
        self._asked = time.monotonic()

    def left(self) -> float:
        """Seconds until it is to be asked again."""
        quiet = self._asked - self._happened
        pause = min(max(self._poll_s, quiet * _QUIET), _RAREST * self._poll_s)
        return max(0.0, self._asked + pause - time.monotonic())
