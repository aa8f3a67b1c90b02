"""What only the accounting of a cluster knows: peak memory, and who has cancelled a job."""

from __future__ import annotations

import logging
import pwd
from typing import Final

from msgspec.structs import replace

from jobd.core.transitions import Outcome
from jobd.engines.base import Away
from jobd.engines.slurm.commands import SlurmCommands
from jobd.engines.slurm.process import SlurmProcess
from jobd.engines.slurm.verdict import CANCELLED

log = logging.getLogger(__name__)
_BY: Final = "CANCELLED by "


class Accounting:
    """Of the watcher's thread. Most clusters of a lab have none: then it is asked once."""

    def __init__(self, commands: SlurmCommands) -> None:
        self._commands = commands
        self.is_there = True
        """As far as is known."""

    def completed(self, outcome: Outcome, process: SlurmProcess) -> Outcome:
        """With what is known there by now; nobody waits for what comes later."""
        if not self.is_there or outcome.lost:
            return outcome
        try:
            found = self._commands.accounted(process.number, process.name)
        except Away as error:
            log.debug("the accounting of Slurm job %d: %s", process.number, error)
            return outcome
        if found is None:
            self.is_there = False
            return outcome
        state, peak = found
        reason = outcome.reason
        if reason == CANCELLED and state.startswith(_BY):
            reason = f"cancelled by {_login(state.removeprefix(_BY))}"
        # Of an allocation it is the peak of all that were in it.
        alone = process.allocation is None
        return replace(outcome, reason=reason, max_rss_kb=peak if alone else outcome.max_rss_kb)


def _login(uid: str) -> str:
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except (ValueError, KeyError):
        return f"user {uid}"
