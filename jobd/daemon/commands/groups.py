"""`groups`: which there are, how many workers each may have, and whether it starts jobs."""

from __future__ import annotations

from functools import partial

import msgspec

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, Refused
from jobd.contract.models import (
    DEFAULT_GROUP,
    Acted,
    Groups,
    GroupsReply,
)
from jobd.contract.states import EventName
from jobd.contract.wording import NAMED, listed
from jobd.core.ledger import Ledger, Share
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.shares import shares
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.settings import Settings
from jobd.system.clock import now_us


class ManageGroups:
    """Called by clients' threads, but for `pause`; what it answers is on disk."""

    def __init__(
        self,
        ledger: Ledger,
        jobs: Jobs,
        settings: Settings,
        event_log: EventLog,
        idempotency: Idempotency,
        reader: Reader,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._jobs = jobs
        self._settings = settings
        self._event_log = event_log
        self._idempotency = idempotency

    def groups(self, request: Groups, call: Call) -> GroupsReply:
        """Raises: BadRequest (no name), NotFound, Refused (it is there, or not empty)."""
        if request.only_looks:
            return shares(self._ledger, self._reader)
        if request.name is None:
            raise BadRequest("name the group")
        change = partial(self._change_group, request, call.user)
        return self._idempotency.once(call.id, GroupsReply, change)

    def _change_group(self, request: Groups, user: str) -> GroupsReply:
        name, known = request.name, request.name in self._ledger.groups
        assert name is not None
        if request.action == "rm":
            self._remove_group(name, user)
        elif request.action == "add" and known:
            raise Refused(f"group {name} is there already; jobctl groups set {name} --workers N")
        else:
            share = Share() if request.action == "add" else self._ledger.share_of(name)
            self._put_group(name, msgspec.structs.replace(share, workers=request.workers))
            self._note_workers(user, {"group": name, "workers": request.workers})
        return shares(self._ledger, self._reader)

    def _remove_group(self, name: str, user: str) -> None:
        self._ledger.share_of(name)
        if name == DEFAULT_GROUP:
            raise Refused(f"group {name} always stays: jobs without --group are in it")
        jobs = self._jobs.unfinished_in(name, NAMED + 1)
        if jobs:
            raise Refused(
                f"group {name} is not empty ({listed(jobs)}); move them: jobctl edit ID --group G"
            )
        self._settings.remove_group(name)
        self._ledger.set_group(name, None)
        self._note_workers(user, {"group": name, "removed": True})

    def configure(self, name: str, workers: int | None, user: str) -> None:
        """In a transaction: as the configuration says; it is made if it is not there. `workers`
        None: as many as it had.
        """
        is_new, share = name not in self._ledger.groups, self._ledger.groups.get(name, Share())
        most = share.workers if workers is None else workers
        if is_new or most != share.workers:
            self._put_group(name, msgspec.structs.replace(share, workers=most))
            self._note_workers(user, {"group": name, "workers": most})

    def check(self, name: str) -> None:
        """Raises: NotFound (there is no such group)."""
        self._ledger.share_of(name)

    def pause(self, name: str, user: str, *, paused: bool) -> Acted:
        """In a transaction: nothing of the group starts any more, or does again.

        Raises: NotFound.
        """
        share = self._ledger.share_of(name)
        if share.paused != paused:
            self._put_group(name, msgspec.structs.replace(share, paused=paused))
            verb = EventName.PAUSED if paused else EventName.RESUMED
            self._event_log.add(None, verb, user, now_us(), msgspec.json.encode({"group": name}))
        return Acted(done=[])

    def _put_group(self, name: str, share: Share) -> None:
        self._settings.set_group(name, share.workers, paused=share.paused)
        self._ledger.set_group(name, share)

    def _note_workers(self, user: str, data: dict[str, object]) -> None:
        self._event_log.add(None, EventName.WORKERS, user, now_us(), msgspec.json.encode(data))
