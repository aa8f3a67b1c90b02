"""How an attempt ended, of what its script has written and what Slurm says: pure."""

from __future__ import annotations

import os
import signal
from typing import Final, NamedTuple

from jobd.contract.states import lost_because
from jobd.core.transitions import Outcome, signal_name
from jobd.engines.slurm import script
from jobd.engines.slurm.attempt_files import End
from jobd.engines.slurm.commands import SlurmJob

_RUNNING: Final = frozenset(
    {
        "CONFIGURING", "PENDING", "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RUNNING",
        "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "SUSPENDED", "COMPLETING",
    }
)  # fmt: skip
CANCELLED: Final = "cancelled in Slurm"
"""The reason, where nobody knows who has done it."""
BY_ITSELF: Final = frozenset({"COMPLETED", "FAILED", "COMPLETING"})
"""States of a job that nobody has ended."""


class Known(NamedTuple):
    """All that is known of an attempt of which nothing more is to be expected."""

    number: int
    seen: SlurmJob | None
    """None: Slurm has forgotten it."""
    end: End | None
    begun: bool
    """Its script has begun on a node."""
    sent: int | None = None
    """The signal that was sent to it last, if any."""
    packed: bool = False
    """Slurm speaks of an allocation in which others run, too, and says nothing of its exit code."""


def is_over(seen: SlurmJob | None) -> bool:
    """Whether Slurm expects nothing more of it."""
    return seen is None or seen.state not in _RUNNING


def is_open(seen: SlurmJob) -> bool:
    """Whether others may still come behind it."""
    return seen.state in _RUNNING and seen.state != "COMPLETING"


def outcome_of(known: Known) -> Outcome:
    """Nothing is guessed: what neither of the two says is lost."""
    end, seen = known.end, known.seen
    node = (end and end.node) or (seen and seen.node) or "the node"
    if end is not None and end.cannot is not None:
        return Outcome(error=f"{node}: {end.cannot}", at=end.at)
    told = _told(known, node)
    if end is None or (told is not None and was_ended(end)):
        return told or _by_slurm(known)
    return _by_script(end, known.sent)


def doubt(known: Known) -> str | None:
    """Where the two do not say the same: what each says, and who is believed."""
    end, seen = known.end, known.seen
    if end is None:
        return None if seen is None else _doubt_without_end(seen)
    if known.packed:
        return None
    code = 126 if end.code is None else end.code
    if seen is not None and seen.state == "COMPLETING":
        return None
    if seen is not None and seen.state in BY_ITSELF and seen.status == code << 8:
        return None
    says = "has forgotten it" if seen is None else f"says {_status(seen)}"
    return f"Slurm {says}, its script says {code}: the script is believed"


def _doubt_without_end(seen: SlurmJob) -> str | None:
    if os.WIFSIGNALED(seen.status) or seen.state not in BY_ITSELF:
        return None
    if os.WEXITSTATUS(seen.status) in (script.AGAIN, script.NOT_SHARED):
        return None
    return f"Slurm says {_status(seen)}, its script has left no end: Slurm is believed"


def _status(seen: SlurmJob) -> str:
    if os.WIFSIGNALED(seen.status):
        return f"{seen.state}, signal {signal_name(os.WTERMSIG(seen.status))}"
    return f"{seen.state}, {os.WEXITSTATUS(seen.status)}"


def _told(known: Known, node: str) -> Outcome | None:
    """What Slurm did to it, whatever its script says; None: nothing."""
    seen = known.seen
    match None if seen is None else seen.state:
        case "NODE_FAIL" | "BOOT_FAIL":
            return _lost(f"{node} failed")
        case "PREEMPTED":
            return Outcome(lost=True, reason="preempted")
        case "OUT_OF_MEMORY":
            return Outcome(signal=signal_name(signal.SIGKILL), reason="out of memory")
        case "TIMEOUT" | "DEADLINE":
            return Outcome(
                signal=signal_name(signal.SIGTERM), reason="the cluster's time limit is over"
            )
        case "CANCELLED" if known.sent is None:
            return Outcome(signal=signal_name(signal.SIGTERM), reason=CANCELLED)
    return None


def was_ended(end: End) -> bool:
    """Whether the command may have died of a signal."""
    return end.code is not None and end.code > 128


def _by_script(end: End, sent: int | None) -> Outcome:
    """A shell says 143 of `exit 143` and of TERM: it is a signal where it says so, or one that was
    sent.
    """
    assert end.code is not None
    number = end.code - 128
    if number > 0 and (end.signalled or number == sent):
        return Outcome(signal=signal_name(number), cpu_s=end.cpu_s, at=end.at)
    return Outcome(exit_code=end.code, cpu_s=end.cpu_s, at=end.at)


def _by_slurm(known: Known) -> Outcome:
    seen = known.seen
    if seen is None:
        return _lost(f"Slurm has forgotten job {known.number}")
    if os.WIFSIGNALED(seen.status):
        return Outcome(signal=signal_name(os.WTERMSIG(seen.status)))
    if known.sent is not None and seen.state == "CANCELLED":
        return Outcome(signal=signal_name(known.sent))
    return _by_code(known, seen, os.WEXITSTATUS(seen.status))


def _by_code(known: Known, seen: SlurmJob, code: int) -> Outcome:
    """What the script itself exits with where it does not run the command."""
    if code == script.NOT_SHARED and not known.begun:
        return Outcome(error=f"{seen.node}: the shared directory is not there")
    if code == script.AGAIN:
        return _lost("Slurm has started it a second time")
    if seen.state in BY_ITSELF and known.begun:
        return Outcome(exit_code=code)
    return _lost(f"Slurm says {seen.state} ({seen.reason})")


def _lost(why: str) -> Outcome:
    return Outcome(lost=True, reason=lost_because(why))
