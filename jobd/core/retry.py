"""Whether a failed attempt is followed by another one, and after how long."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from jobd.contract.exit_codes import code_of_failure
from jobd.contract.states import could_not_start
from jobd.core.transitions import Outcome

LONGEST_S: Final = 3600.0
"""Seconds between two attempts at most, unless more was asked for to begin with."""
_JITTER: Final = 0.25
"""Part of a delay that chance adds at most, so that jobs that failed together do not come back
together; less than the doubling, so that delays always grow."""


def may_retry(outcome: Outcome, *, failures: int, retries: int, only: Collection[int]) -> bool:
    """After an attempt that failed, `failures` having failed before it.

    `only`: exit codes that are tried again, as `wait` gives them (137 for KILL); empty: all
    failures. One whose outcome is lost is never among them: it may have done its work.
    """
    if outcome.lost or failures >= retries:
        return False
    reason = "" if outcome.error is None else could_not_start(outcome.error)
    return not only or code_of_failure(outcome.exit_code, outcome.signal, reason) in only


def delay(first: float, failures: int, chance: float) -> float:
    """Seconds until the next attempt.

    `first`: the delay after the first failure; `failures`: how many there have been (1, 2, …);
    `chance`: a random number from 0 to 1.
    """
    longest = max(first, LONGEST_S)
    doubled = min(first * 2.0 ** min(failures - 1, 60), longest)
    return min(doubled * (1 + _JITTER * chance), longest)
