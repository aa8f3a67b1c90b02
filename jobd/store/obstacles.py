"""What keeps a daemon from starting: one list, by which `start` refuses and which `check` tells.

is the file system ours alone → is the database there → whole, with its log → of a schema that is
known → of this host

Nothing here changes a byte. What the daemon meets later (a port that is taken, a disk that is full)
it says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.paths import Paths
from jobd.store import host_check
from jobd.store.damage import LOG_WAS_CUT, faults_of, log_was_cut
from jobd.store.database import SEE_CHECK
from jobd.store.inspection import Fault, Inspection
from jobd.store.readonly import log_of, open_untouched, size
from jobd.store.way_out import way_out


class StartConditions(Struct, frozen=True, kw_only=True):
    """Where a daemon is to start, and what is known of it."""

    paths: Paths
    same_boot: bool
    """The machine has run on since a daemon was here last."""
    is_private: bool
    """The configuration says that no other host uses it."""


def refuse(conditions: StartConditions) -> None:
    """Raises: JobdError (the first obstacle, what to do about it, and that nothing was changed)."""
    for found in obstacles(conditions):
        raise refusal(found)


def refusal(found: Fault) -> JobdError:
    """What `start` says of it."""
    step = found.step[:1].upper() + found.step[1:]
    return StoreFailed(f"{found.text}; nothing was changed. All that is wrong: jobd check. {step}")


def obstacles(conditions: StartConditions) -> Iterator[Fault]:
    """The worst first."""
    if not conditions.is_private:
        yield from _said(host_check.check_file_system, conditions.paths.state)
    missing = _missing(conditions.paths)
    if missing is not None:
        yield missing
    elif conditions.paths.database.exists():
        yield from _in_database(conditions)


def _missing(paths: Paths) -> Fault | None:
    """It is not there, and should be: an empty one never takes its place."""
    if paths.database.exists():
        return None
    if any(paths.output.glob("*")) or size(log_of(paths.database)):
        text = "it is missing, and what belongs to it is there"
        return Fault(_damaged(paths, text), way_out(paths))
    return None


def _in_database(conditions: StartConditions) -> Iterator[Fault]:
    paths = conditions.paths
    if not size(paths.database):
        yield Fault(_damaged(paths, "it is empty, and a database of jobd never is"), way_out(paths))
        return
    if log_was_cut(paths.database, same_boot=conditions.same_boot):
        yield Fault(_damaged(paths, LOG_WAS_CUT), way_out(paths))
    try:
        with open_untouched(paths.database, running=False) as connection:
            yield from _within(conditions, Inspection(connection))
    except StoreFailed as error:
        # Which command says more is no news to whoever has called it.
        yield Fault(error.message.removesuffix(f". {SEE_CHECK}"), way_out(paths))


def _within(conditions: StartConditions, inspection: Inspection) -> Iterator[Fault]:
    paths = conditions.paths
    other = inspection.version_fault()
    if other is not None:
        text = f"the database {paths.database}: {other.text}"
        yield Fault(text, way_out(paths)) if not inspection.version() else Fault(text, other.step)
        return
    for text in faults_of(paths.database, inspection)[:1]:
        yield Fault(_damaged(paths, " ".join(text.split())), way_out(paths))
        return
    if not conditions.is_private:
        yield from _said(host_check.check_host, paths.state, inspection.setting("host"))


def _said(look: Callable[..., object], *of: object) -> Iterator[Fault]:
    """What a look at the host says, which raises where something is wrong."""
    try:
        look(*of)
    except JobdError as error:
        step = host_check.WAY_OUT
        yield Fault(error.message.removesuffix(f". {step}"), step)


def _damaged(paths: Paths, what: str) -> str:
    return f"the database {paths.database} is damaged: {what}"
