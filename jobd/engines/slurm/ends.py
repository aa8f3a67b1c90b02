"""When an attempt counts as ended, and how: as soon as all that it has written is seen here."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from jobd.core.transitions import Outcome
from jobd.engines.base import Fate
from jobd.engines.slurm.accounting import Accounting
from jobd.engines.slurm.attempt_files import AttemptFiles, End
from jobd.engines.slurm.commands import SlurmCommands, SlurmJob
from jobd.engines.slurm.process import SlurmProcess
from jobd.engines.slurm.verdict import BY_ITSELF, Known, doubt, is_over, outcome_of, was_ended
from jobd.outputs.workspace import Output

log = logging.getLogger(__name__)
_PATIENCE_S: Final = 20.0
"""Seconds that a file server has to show what a node has written before its end."""
UNNOTICED_S: Final = 10.0
"""Seconds between two looks whether what Slurm says runs has ended: slurmstepd, the part of Slurm
that sees to it on its node and would say so, may have died.
"""
SLURMS_S: Final = 20.0
"""Seconds that Slurm has from then on to say so itself, and is believed: slurmstepd tries again
after 15 where slurmctld has not answered.
"""
_AWAITED_S: Final = 1.0
"""The same where it was told to end, and somebody waits for that."""
_DEAF_S: Final = 10.0
"""Seconds after which KILL has not reached it."""


class Written(NamedTuple):
    """What the script of an attempt has written of its end."""

    has_ended: bool
    outcome: Outcome | None = None
    """None: not all of it is seen yet, or Slurm knows more, and is to be asked."""


class Ends:
    """Of the watcher's thread; `written` is called by that of the glances.

    Promises that an end is told only when its output can be read to the end, as far as that comes
    within a time.
    """

    def __init__(self, commands: SlurmCommands, files: AttemptFiles) -> None:
        self._commands = commands
        self._files = files
        self._accounting = Accounting(commands)
        self._delays: WeakKeyDictionary[SlurmProcess, _Delay] = WeakKeyDictionary()

    def outcome(self, process: SlurmProcess, seen: SlurmJob | None) -> Outcome | Fate | None:
        """None: it goes on, or not all that it has written is seen yet.

        `seen`: as Slurm shows it; None: it has forgotten it. Raises: OSError, Away.
        """
        known = self._known(process, seen)
        if known is not None and self._never_began(process, known):
            return Fate.NEVER_STARTED
        if known is None or not self._is_whole(process, known):
            return None
        _log_doubt(process, known)
        return self._accounting.completed(outcome_of(known), process)

    def _never_began(self, process: SlurmProcess, known: Known) -> bool:
        """Of one that was handed to an allocation which had ended: it never will, either, wherever
        that may still run, for what a node makes first is made here, and stays until no node finds
        its folder any more. What was sent a signal is to end, and not to begin again.

        Raises: OSError.
        """
        if known.begun or known.sent is not None or not process.was_handed_over:
            return False
        with suppress(FileNotFoundError):
            return self._files.withdraw(process.token)
        return False

    def written(self, process: SlurmProcess) -> Written:
        """By what its script has written alone. Raises: OSError."""
        begun_at, has_ended = self._files.glance(process.token)
        if begun_at is not None:
            process.began(begun_at)
        end = self._files.end(process.token) if has_ended else None
        if end is None:
            return Written(has_ended=False)
        if was_ended(end) and process.sent is None:
            return Written(has_ended=True)
        # Its peak memory is accounted when Slurm knows that it has ended.
        is_accounted = process.allocation is None and self._accounting.is_there
        if is_accounted or process.output().size() < end.size:
            return Written(has_ended=True)
        return Written(has_ended=True, outcome=outcome_of(self._by_script(process, None, end)))

    def is_noticed(self, process: SlurmProcess, seen: SlurmJob | None) -> bool:
        """Whether Slurm knows, too, how one has ended whose end its script has told, or is made to
        give it up. Raises: OSError, Away.
        """
        if is_over(seen):
            if (end := self._files.end(process.token)) is not None:
                _log_doubt(process, Known(process.number, seen, end, begun=True, sent=process.sent))
            return True
        # Not before its end is recorded: a job that is cancelled would tell another one.
        if not (process.remains.is_let_go and self._delay_of(process).is_sure(SLURMS_S)):
            return False
        self._commands.cancel(process.name)
        return True

    def _by_script(self, process: SlurmProcess, seen: SlurmJob | None, end: End) -> Known:
        if end.node is not None:
            process.is_on(end.node)
        packed = process.allocation is not None
        return Known(process.number, seen, end, begun=True, sent=process.sent, packed=packed)

    def _known(self, process: SlurmProcess, seen: SlurmJob | None) -> Known | None:
        """None: it goes on."""
        completing = seen is not None and seen.state == "COMPLETING"
        if process.allocation is not None and (end := self._files.end(process.token)) is not None:
            # What Slurm has done to it is heard with the first question after its end.
            asked = not completing and self._delay_of(process).is_sure(0.0)
            if asked or is_over(seen) or process.sent is not None or not was_ended(end):
                return self._by_script(process, seen, end)
            return None
        if not (completing or is_over(seen)):
            return self._ended_unnoticed(process, seen)
        end = self._files.end(process.token)
        if completing and (end is None or (was_ended(end) and process.sent is None)):
            return None  # Slurm will say whether it has done that
        begun = end is not None or self._files.has_begun(process.token)
        return Known(process.number, seen, end, begun, process.sent)

    def _ended_unnoticed(self, process: SlurmProcess, seen: SlurmJob | None) -> Known | None:
        """Slurm says that it runs; None: so it is."""
        delay, awaited = self._delay_of(process), process.sent is not None
        if process.age() and (awaited or delay.is_due()):
            end = self._files.end(process.token)
            if end is not None and delay.is_sure(_AWAITED_S if awaited else SLURMS_S):
                return Known(process.number, seen, end, begun=True, sent=process.sent)
        if process.sent == signal.SIGKILL and time.monotonic() - process.sent_at > _DEAF_S:
            # What should have passed that on has died: Slurm is to give it up.
            self._commands.cancel(process.name)
        return None

    def _is_whole(self, process: SlurmProcess, known: Known) -> bool:
        """Whether all that it has written before its end is seen here, or was waited for."""
        if not _is_missing(known, process.output()):
            return True
        if not self._delay_of(process).is_too_long():
            return False
        log.warning("Slurm job %d: what it has written is not seen here", known.number)
        return True

    def _delay_of(self, process: SlurmProcess) -> _Delay:
        return self._delays.setdefault(process, _Delay())


def _log_doubt(process: SlurmProcess, known: Known) -> None:
    if said := doubt(known):
        log.warning("Slurm job %d (attempt %s): %s", process.number, process.token, said)


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


class _Delay:
    """What is not seen yet of an attempt: that it has ended at all, or all that it has written."""

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._found_at: float | None = None
        self._over_since: float | None = None

    def is_too_long(self) -> bool:
        """It is over; whether it has been for long."""
        now = time.monotonic()
        self._over_since = self._over_since or now
        return now - self._over_since >= _PATIENCE_S

    def is_due(self) -> bool:
        """Whether it is to be looked whether it has ended all the same."""
        now = time.monotonic()
        if now - self._looked < UNNOTICED_S:
            return False
        self._looked = now
        return True

    def is_sure(self, patience: float) -> bool:
        """It has ended; whether that was seen before, and for so many seconds."""
        if self._found_at is None:
            self._found_at = time.monotonic()
            return False
        return time.monotonic() - self._found_at >= patience
