"""Watches over the jobs that Slurm has: one question for all of them, none while there are none.

Slurm is asked often while something begins or ends, and more and more rarely while nothing does.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from jobd.core.transitions import Outcome
from jobd.engines.base import Away, CannotStart
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import Commands, Seen
from jobd.engines.slurm.process import SlurmProcess
from jobd.engines.slurm.verdict import BY_ITSELF, Known, doubt, is_over, outcome_of, was_ended
from jobd.outputs.workspace import Output

log = logging.getLogger(__name__)
_RAREST: Final = 5
"""So many times the shortest pause is the longest."""
_QUIET: Final = 0.1
"""The pause is this part of the time in which nothing has begun or ended."""
_DOUBT_S: Final = 60.0
"""Seconds in which a submission that nobody has heard the answer of may still come to be."""
_PATIENCE_S: Final = 20.0
"""Seconds that a file server has to show what a node has written before its end."""
_UNNOTICED_S: Final = 30.0
"""Seconds until it is looked whether what Slurm says runs has ended: the part of Slurm that sees to
it on its node may have died. Believed with the second look, when Slurm has had its time.
"""
_HELD: Final = "JobHeldUser"


class Watcher:
    """A thread of its own; any other may call.

    Promises that an end is told only when its output can be read to the end, as far as that comes
    within a time.
    """

    def __init__(
        self,
        commands: Commands,
        files: AttemptFiles,
        is_ours: Callable[[str], str | None],
        output_of: Callable[[str], Output],
        poll_s: float,
        back: Callable[[], object],
    ) -> None:
        """`is_ours`: the token of one of our jobs, by the name of a job. `output_of`: by token.

        `back`: called when Slurm was away and is there again.
        """
        self._commands = commands
        self._files = files
        self._is_ours = is_ours
        self._output_of = output_of
        self._pause = _Pause(poll_s)
        self._back = back
        self._changed = threading.Condition()
        self._watched: dict[str, SlurmProcess] = {}
        self._starting: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._over_since: dict[str, float] = {}
        self._unnoticed: dict[str, _Unnoticed] = {}

    def start(self) -> None:
        """Once."""
        self._thread = threading.Thread(target=self._run, name="slurm watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            watched = list(self._watched.values())
        for process in watched:
            process.left()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def starting(self, token: str) -> Iterator[None]:
        """Meanwhile it is nobody's that is held under this token."""
        with self._changed:
            self._starting.add(token)
        try:
            yield
        finally:
            with self._changed:
                self._starting.discard(token)

    def add(self, process: SlurmProcess) -> None:
        with self._changed:
            self._watched[process.token] = process
            self._pause.something_happened()
            self._changed.notify_all()

    def expect_leftovers(self) -> None:
        """A submission may come to be that nobody waits for: it is held, and is cancelled."""
        with self._changed:
            self._pause.doubt()
            self._changed.notify_all()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        was_away = False
        while self._waited():
            try:
                self._look()
            except Away as error:
                was_away = True
                log.info("Slurm is away: %s", error)
            except Exception:
                log.exception("the jobs that Slurm has cannot be looked at just now")
            else:
                if was_away:
                    was_away = False
                    self._back()

    def _waited(self) -> bool:
        """Until Slurm is to be asked; False: not any more."""
        with self._changed:
            while not self._closed:
                left = self._needed_in()
                if left == 0:
                    self._pause.begin()
                    break
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
        found = self._commands.listing()
        for process in watched:
            seen = found.get(process.number)
            if seen is not None:
                process.seen(seen)
            self._settle(process, seen)
        going_on = [(one, found[one.number]) for one in watched if not one.is_over]
        for process in (one for one, seen in going_on if _is_held(seen)):
            self._release(process)
        self._signal([one for one, seen in going_on if one.owed and seen.state != "PENDING"])
        self._cancel_leftovers(list(found.values()))

    def _release(self, process: SlurmProcess) -> None:
        """Slurm was away when it was to be told. Raises: Away."""
        try:
            self._commands.release(process.number)
        except CannotStart as error:
            self._commands.cancel_waiting([process.number])
            self._end(process, Outcome(error=str(error)))

    def _signal(self, processes: Sequence[SlurmProcess]) -> None:
        """Those of which the script has begun since they were signalled. Raises: Away."""
        for process in processes:
            if self._files.has_begun(process.token):
                owed, process.owed = process.owed, []
                for number in owed:
                    self._commands.signal([process.number], number)

    def _cancel_leftovers(self, found: Sequence[Seen]) -> None:
        """Held jobs that were never noted: whoever submitted them has died, or got no answer.

        Raises: Away.
        """
        held = {
            token: seen.number
            for seen in found
            if _is_held(seen)
            if (token := self._is_ours(seen.name)) is not None
        }
        with self._changed:
            known = self._watched.keys() | self._starting
        if left := [number for token, number in held.items() if token not in known]:
            log.warning("cancelled in Slurm, for nobody waits for them: %s", left)
            self._commands.cancel_waiting(left)

    # --- ends -------------------------------------------------------------------------------------

    def _settle(self, process: SlurmProcess, seen: Seen | None) -> None:
        try:
            known = self._known(process, seen)
        except OSError as error:
            log.warning("Slurm job %d: %s", process.number, error)
            return
        if known is None or not self._is_whole(process.token, known):
            return
        if said := doubt(known):
            log.warning("Slurm job %d (attempt %s): %s", process.number, process.token, said)
        self._end(process, outcome_of(known))

    def _end(self, process: SlurmProcess, outcome: Outcome) -> None:
        with self._changed:
            self._watched.pop(process.token, None)
            self._over_since.pop(process.token, None)
            self._unnoticed.pop(process.token, None)
            self._pause.something_happened()
        process.ended(outcome)

    def _known(self, process: SlurmProcess, seen: Seen | None) -> Known | None:
        """None: it goes on. Raises: OSError."""
        completing = seen is not None and seen.state == "COMPLETING"
        if not (completing or is_over(seen)):
            return self._has_ended_unnoticed(process, seen)
        end = self._files.end(process.token)
        if completing and (end is None or (was_ended(end) and process.sent is None)):
            return None  # Slurm will say whether it has done that
        begun = end is not None or self._files.has_begun(process.token)
        return Known(process.number, seen, end, begun, process.sent)

    def _has_ended_unnoticed(self, process: SlurmProcess, seen: Seen | None) -> Known | None:
        """Raises: OSError, Away."""
        late = self._unnoticed.setdefault(process.token, _Unnoticed())
        if not process.age() or not late.is_due():
            return None
        end = self._files.end(process.token)
        if end is None or not late.is_sure():
            return None
        self._commands.cancel([process.number])
        return Known(process.number, seen, end, begun=True, sent=process.sent)

    def _is_whole(self, token: str, known: Known) -> bool:
        """Whether all that it has written before its end is seen here, or was waited for."""
        if not _is_missing(known, self._output_of(token)):
            return True
        since = self._over_since.setdefault(token, time.monotonic())
        if time.monotonic() - since < _PATIENCE_S:
            return False
        log.warning("Slurm job %d: what it has written is not seen here", known.number)
        return True


def _is_held(seen: Seen) -> bool:
    """By us: whoever runs the cluster may hold it, too."""
    return seen.state == "PENDING" and seen.reason == _HELD


def _is_missing(known: Known, output: Output) -> bool:
    """Whether its script has written more than is seen here, or may be about to.

    One that has begun never ends by itself without having written that. And one that Slurm has
    forgotten, because slurmctld died before it had saved it, runs until its node hears of that.
    """
    if known.end is not None:
        return output.size() < known.end.size
    seen = known.seen
    return known.begun and (
        seen is None or (seen.state in BY_ITSELF and not os.WIFSIGNALED(seen.status))
    )


class _Unnoticed:
    """When it was looked at last whether an attempt has ended all the same."""

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._found = False

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _UNNOTICED_S:
            return False
        self._looked = now
        return True

    def is_sure(self) -> bool:
        """It has ended; whether that was so before."""
        before, self._found = self._found, True
        return before


class _Pause:
    """How long Slurm is not asked. Whoever calls sees to it that nobody else does."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._happened = self._asked = time.monotonic()
        self._doubt_until = 0.0

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
