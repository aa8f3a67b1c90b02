"""The exit code that `wait` and `submit --wait` give for several jobs."""

from __future__ import annotations

from jobd.contract.exit_codes import exit_code_of
from jobd.contract.models import Waited
from jobd.contract.states import State

TIMED_OUT = 124
"""As timeout(1) gives it."""
INTERRUPTED = 130
"""As a shell gives it for INT."""


def exit_code_of_all(waited: Waited, *, any_of: bool = False, running: bool = False) -> int:
    """One job speaks for itself; several are 0 if all of them (that finished) completed.

    `running`: where one runs, that is as good.
    """
    if waited.missing:
        return 1
    well = waited.counts.get(State.COMPLETED, 0)
    well += waited.counts.get(State.RUNNING, 0) if running else 0
    if waited.total == 1 and waited.jobs and not well:
        return exit_code_of(waited.jobs[0])
    return 0 if well == (waited.ended if any_of else waited.total) else 1
