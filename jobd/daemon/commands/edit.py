"""Changing a pending job: what may be another than it was submitted with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from jobd.contract import destinations
from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, NotFound, Refused
from jobd.contract.models import Acted, Edit
from jobd.contract.states import Resource, State, dependency_failed
from jobd.contract.wording import counted
from jobd.core import fit
from jobd.core.ledger import Ledger
from jobd.core.ready_queue import Entry
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.specs import due_of
from jobd.daemon.jobs.validation import check_at, check_tags, check_text
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.records import Look, Parent, policy_encoder, wishes_encoder
from jobd.store.settings import Settings
from jobd.system.clock import now_us

T = TypeVar("T")
_MAX_TEXT: Final = 1000
"""Characters of a list in the history."""


class Editing:
    """Clients' threads call; all of it is done in one transaction of the writer."""

    def __init__(
        self,
        *,
        admission: Admission,
        ledger: Ledger,
        jobs: Jobs,
        dependencies: Dependencies,
        settings: Settings,
        moves: Moves,
        idempotency: Idempotency,
        notifier: Notifier,
    ) -> None:
        self._admission = admission
        self._ledger = ledger
        self._jobs = jobs
        self._dependencies = dependencies
        self._settings = settings
        self._moves = moves
        self._idempotency = idempotency
        self._notifier = notifier

    def edit(self, request: Edit, call: Call) -> Acted:
        """Raises: as `_edit` does; JobdError (nobody can be told by a URL here)."""
        wishes = _given(request.notify) or []
        destinations.check("--notify", wishes)
        if any(wish.to.url for wish in wishes):
            destinations.require_apprise("--notify")
        acted = self._idempotency.once(call.id, Acted, partial(self._edit, request, call))
        if wishes:
            self._notifier.wished()
        return acted

    def _edit(self, request: Edit, call: Call) -> Acted:
        """All checks come before the first change.

        Raises: NotFound (no such job, parent or group), Refused (it is not pending, or what it
        was to become is impossible in this queue), BadRequest (in any; it names the field).
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
            if name not in ("id", "notify") and value is not UNSET
        }
        if request.notify is not UNSET:
            # A URL is never shown.
            data["notify"] = _plain([wish.label for wish in request.notify])
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
        if request.notify is not UNSET:
            columns["notify"] = wishes_encoder.encode(request.notify) if request.notify else None
            self._settings.note_wish()
        return columns | self._times(request) | self._policy(request, job)

    def _check_group(self, group: str, entry: Entry) -> None:
        self._ledger.share_of(group, option="--group")
        for lack in filter(fit.is_too_large, self._ledger.lacks(replace(entry, group=group))):
            if lack.what is Resource.GROUP:
                raise Refused(
                    f"--group: {group} has {counted(lack.have, 'worker')}, "
                    f"and job {entry.id} needs {lack.needs} slots"
                )
        options = self._jobs.engine_options_of(entry.id)
        why = self._admission.engine_refusal(group, options)
        if why is not None:
            raise Refused(
                f"--group: job {entry.id} has an --engine-option, {why}: name a group of the "
                "engine that takes it, or submit it anew without"
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
        kept = [
            parent
            for parent in self._dependencies.of(job.id)
            if any(given is UNSET and parent.any_end is any_end for _, given, any_end in options)
        ]
        wanted = {parent.id: parent for parent in self._admission.as_now(kept)}
        for option, given, any_end in options:
            if given is not UNSET:
                if any(first == last == job.id for first, last in given):
                    raise BadRequest(f"{option}: job {job.id} cannot wait for itself")
                found = self._admission.parents_in(option, given, any_end=any_end, child=job.id)
                wanted |= {parent.id: parent for parent in found}
        self._check_circle(job.id, wanted)
        for parent in wanted.values():
            if parent.failed:
                reason = dependency_failed(parent.id)
                raise Refused(f"--after: {reason}; jobctl restart {parent.id} first")
        return [*wanted.values()]

    def _check_circle(self, job: int, wanted: Mapping[int, Parent]) -> None:
        way = self._dependencies.leads_to(job, list(wanted))
        if way is not None:
            circle = " → ".join(map(str, [job, *reversed(way)]))
            option = "--after-any" if wanted[way[-1]].any_end else "--after"
            raise Refused(f"{option}: the jobs would wait for each other in a circle: {circle}")


def _given(value: T | msgspec.UnsetType) -> T | None:
    return None if value is UNSET else value


def _plain(value: object) -> object:
    """What the data of an event may hold: no lists, and nothing that makes a history heavy."""
    if not isinstance(value, list | tuple):
        return value
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_TEXT else f"{len(value):,} of them"
