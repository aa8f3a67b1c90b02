"""By which exit code a failure is known: to `wait`, to `submit --wait` and to `--retry-on`."""

from __future__ import annotations

from typing import Final

from jobd.contract.models import Job
from jobd.contract.signals import signal_number
from jobd.contract.states import State, is_failed_start

STOPPED: Final = 143
"""As a shell gives it for TERM."""


def exit_code_of(job: Job) -> int:
    """The job's own code, or the one that says how it ended; never 0 unless it completed."""
    if job.state is State.COMPLETED:
        return 0
    if job.state is State.STOPPED:
        return STOPPED
    return code_of_failure(job.exit_code, job.signal, job.reason or "")


def code_of_failure(exit_code: int | None, signal: str | None, reason: str) -> int:
    """The job's own code, or the one that a shell gives for such an end (sh(1)); never 0.

    `signal`: the name of the one that killed it, without SIG.
    """
    if is_failed_start(reason):
        return 127 if "not found" in reason.lower() else 126
    if signal:
        return _killed_by(signal)
    # Of any other number the shell would see the last eight bits alone, and they may be 0.
    return exit_code if exit_code and 0 < exit_code < 256 else 1


def _killed_by(name: str) -> int:
    """1 for a signal of another system, whose number nobody here knows."""
    try:
        return 128 + signal_number(name)
    except ValueError:
        return 1
