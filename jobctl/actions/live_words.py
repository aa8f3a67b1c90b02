"""What there is just now, for a shell to propose when somebody presses TAB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from jobd.contract.errors import JobdError, VersionMismatch
from jobd.contract.models import List, Selector
from jobd.contract.states import FINISHED, UNFINISHED, State
from jobd.contract.wording import counted

if TYPE_CHECKING:
    from jobd.client.client import Client
    from jobd.contract.models import Array, Job, Page

_SECTION: Final = 100
"""Jobs of each section that are proposed at most."""
_ABOUT: Final = 40
"""Characters of a command that tell what a job is."""
_OF_USE: Final[dict[str, Sequence[State]]] = {
    "stop": UNFINISHED,
    "wait": UNFINISHED,
    "watch": UNFINISHED,
    "hold": [State.PENDING],
    "start": [State.PENDING, State.STOPPED],
    "edit": [State.PENDING],
    "pause": [State.RUNNING],
    "resume": [State.RUNNING],
    "restart": [*FINISHED],
    "rm": [*FINISHED],
}
"""The states of jobs with which a command can do something; to others all are of use."""
_LAST: Final = [("last", "the job submitted last")]


class LiveWords:
    """Asks the daemon; nothing where none answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def proposed(self, kind: str, command: str) -> Iterable[tuple[str, str]]:
        """As `jobctl.parsing.proposals.Live` has it."""
        try:
            return self._of_kind(kind, command)
        except JobdError:
            return []

    def _of_kind(self, kind: str, command: str) -> Iterable[tuple[str, str]]:
        if kind == "groups":
            return [(share.name, _workers(share.workers)) for share in self._client.groups().groups]
        is_id = kind in ("ids", "selectors")
        page = self._page(_OF_USE.get(command, ()) if is_id else ())
        jobs = page.jobs
        match kind:
            case "ids":
                return [*((str(job.id), _about(job)) for job in jobs), *_LAST]
            case "selectors":
                return [*(_selector(job, page.arrays.get(job.id)) for job in jobs), *_LAST]
            case "tags":
                words = [tag for job in jobs for tag in job.tags]
            case "users":
                words = [job.user for job in jobs if job.user]
            case _:
                words = [job.name for job in jobs if job.name]
        return [(word, "") for word in dict.fromkeys(words)]

    def _page(self, states: Sequence[State]) -> Page:
        """Of arrays and batches one job each: a large one would leave no room for others."""
        request = List(
            selector=Selector(states=[*states]),
            running=_SECTION,
            pending=_SECTION,
            finished=_SECTION,
        )
        try:
            return self._client.list(replace(request, collapsed=True))
        except VersionMismatch:  # a daemon of an earlier version
            return self._client.list(request)


def _selector(job: Job, array: Array | None) -> tuple[str, str]:
    if array is None:
        return str(job.id), _about(job)
    what = "batch" if array.first_index is None else "array"
    count = sum(array.counts.values())
    return f"{array.first}-{array.last}", f"{what} of {count:,}, {_called(job)}"


def _about(job: Job) -> str:
    return f"{job.state.value}, {_called(job)}"


def _called(job: Job) -> str:
    name = job.name or job.command
    return name if len(name) <= _ABOUT else f"{name[: _ABOUT - 1]}…"


def _workers(limit: int | None) -> str:
    return "" if limit is None else counted(limit, "worker")
