"""Changing a pending job: what may be another than it was submitted with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, NotFound, Refused
from jobd.contract.models import MAX_PARENTS, Acted, Edit
from jobd.contract.states import Resource, State, dependency_failed
from jobd.contract.wording import counted
from jobd.core import fit
from jobd.core.ledger import Ledger
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.specs import TOO_MANY_PARENTS, check_at, check_tags, check_text, due_of
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.records import Look, Parent, policy_encoder
from jobd.system.clock import now_us

Ranges = Sequence[tuple[int, int]]
_MAX_TEXT: Final = 1000
"""Characters of a list in the history."""


class Editing:
    """In a transaction of the writer."""

    def __init__(
        self,
        ledger: Ledger,
        jobs: Jobs,
        dependencies: Dependencies,
        moves: Moves,
    ) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._dependencies = dependencies
        self._moves = moves

    def edit(self, request: Edit, call: Call) -> Acted:
        """All checks come before the first change.

        Raises: NotFound, Refused (it is not pending), BadRequest (names the field).
        """
        job = self._jobs.look(request.id)
        if job is None:
            raise NotFound(f"job {request.id} does not exist")
        if job.state is not State.PENDING:
            raise Refused(f"job {job.id} is {job.state}; only pending jobs can be edited")
        columns = self._columns(request, job)
        parents = self._parents(request, job)
        if not columns and parents is None:
            raise BadRequest("nothing to change; see: jobctl edit --help")
        data = {
            name: _plain(value)
            for name, value in msgspec.structs.asdict(request).items()
            if name != "id" and value is not UNSET
        }
        self._moves.edited(job, columns, parents, call.user, data)
        return Acted(done=[job.id])

    def _columns(self, request: Edit, job: Look) -> dict[str, object]:
        columns: dict[str, object] = {}
        if request.name is not UNSET:
            check_text("--name", request.name)
            columns["name"] = request.name
        if request.tags is not UNSET:
            check_tags(request.tags)
            tags = list(dict.fromkeys(request.tags))
            columns["tags"] = msgspec.json.encode(tags).decode() if tags else None
        if request.priority is not UNSET:
            columns["priority"] = request.priority
        if request.group is not UNSET:
            self._check_group(request.group, job.entry)
            columns["group_name"] = request.group
        return columns | self._times(request) | self._policy(request, job)

    def _check_group(self, group: str, entry: Entry) -> None:
        if group not in self._ledger.groups:
            raise BadRequest(f"--group: there is no group {group!r}; see: jobctl groups")
        for lack in filter(fit.is_too_large, self._ledger.lacks(replace(entry, group=group))):
            if lack.what is Resource.GROUP:
                raise BadRequest(
                    f"--group: {group} has {counted(lack.have, 'worker')}, "
                    f"and job {entry.id} needs {lack.needs} slots"
                )

    def _times(self, request: Edit) -> dict[str, object]:
        at, delay = _given(request.at), _given(request.delay)
        if at is not None and delay is not None:
            raise BadRequest("--at and --delay exclude each other")
        if at is None and delay is None:
            return {}
        check_at(at, now_us())
        return {"due": due_of(at, delay, now_us()), "due_fixed": at is not None}

    def _policy(self, request: Edit, job: Look) -> dict[str, object]:
        before = self._jobs.policy_of(job.id)
        changed = {
            name: value
            for name in ("time_limit", "retries", "retry_delay", "retry_on")
            if (value := getattr(request, name)) is not UNSET
        }
        if not changed:
            return {}
        if "time_limit" in changed:
            changed["time_limit"] = changed["time_limit"] or None
        if "retry_on" in changed:
            changed["retry_on"] = tuple(changed["retry_on"])
        return {"policy": policy_encoder.encode(replace(before, **changed))}

    def _parents(self, request: Edit, job: Look) -> list[Parent] | None:
        """All that it is to wait for; None: as it was."""
        if request.after is UNSET and request.after_any is UNSET:
            return None
        options = (("--after-any", request.after_any, True), ("--after", request.after, False))
        # What stays first: for a job that is among both, what was asked for now counts.
        wanted = {
            parent.id: parent.any_end
            for parent in self._dependencies.of(job.id)
            if any(given is UNSET and parent.any_end is any_end for _, given, any_end in options)
        }
        for option, given, any_end in options:
            if given is not UNSET:
                wanted |= dict.fromkeys(self._jobs_in(option, given, job.id), any_end)
        way = self._dependencies.leads_to(job.id, list(wanted))
        if way is not None:
            circle = " → ".join(map(str, [job.id, *reversed(way)]))
            option = "--after-any" if wanted[way[-1]] else "--after"
            raise BadRequest(f"{option}: the jobs would wait for each other in a circle: {circle}")
        return [parent for one, any_end in wanted.items() for parent in self._parent(one, any_end)]

    def _jobs_in(self, option: str, ranges: Ranges, child: int) -> list[int]:
        found: list[int] = []
        for first, last in ranges:
            jobs = [one for one, _ in self._dependencies.states(first, last, MAX_PARENTS + 1)]
            if not jobs:
                what = f"job {first} does" if first == last else f"jobs {first}-{last} do"
                raise BadRequest(f"{option}: {what} not exist")
            if jobs == [child]:
                raise BadRequest(f"{option}: job {child} cannot wait for itself")
            found += (one for one in jobs if one != child)
        if len(found) > MAX_PARENTS:
            raise BadRequest(f"{option}: {TOO_MANY_PARENTS}")
        return found

    def _parent(self, job: int, any_end: bool) -> list[Parent]:  # noqa: FBT001 - as it is stored
        """Raises: BadRequest (it has failed: nobody can wait for its completion)."""
        found = []
        for _, state in self._dependencies.states(job, job, 1):
            parent = Parent.seen(job, state, any_end=any_end)
            if parent.failed:
                raise BadRequest(f"--after: {dependency_failed(job)}; jobctl restart {job} first")
            found.append(parent)
        return found


def _given(value: float | msgspec.UnsetType) -> float | None:
    return None if value is UNSET else value


def _plain(value: object) -> object:
    """What the data of an event may hold: no lists, and nothing that makes a history heavy."""
    if not isinstance(value, list | tuple):
        return value
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_TEXT else f"{len(value):,} of them"
