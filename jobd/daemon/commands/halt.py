"""What `pause` and `resume` have in common: running jobs, or a group that starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest
from jobd.contract.models import Acted, Pause, Resume, Selector
from jobd.contract.states import State
from jobd.daemon.commands.bulk import Bulk, BulkResult, Verb
from jobd.daemon.commands.groups import ManageGroups
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import Pauses
from jobd.daemon.jobs.moves import Moves
from jobd.system.clock import now_us


class Halt(Verb):
    """A process is signalled once its order is on disk."""

    def __init__(self, moves: Moves, runs: Runs, pauses: Pauses, user: str) -> None:
        self._moves = moves
        self._runs = runs
        self._pauses = pauses
        self._user = user

    def halt(self, job: int, result: BulkResult, *, paused: bool) -> None:
        """A running job is to stand still, or to go on."""
        now = now_us()
        self._moves.paused(job, self._user, now, paused=paused)
        self._pauses.give(self._runs[job], now / 1e6, paused=paused)
        result.done.append(job)

    def repeat(self, job: int) -> bool:
        """Signal it as it was told before, behind the commit; False: it has no process.

        It may have stopped itself, or others have signalled it (kill -STOP, kill -CONT), and nobody
        hears of that. A process that does as it was told already takes no notice.
        """
        run = self._runs.get(job)
        if run is not None:
            self._pauses.repeat(run)
        return run is not None

    def committed(self, jobs: Sequence[int]) -> None:
        for job in jobs:
            run = self._runs.get(job)
            if run is not None:
                self._pauses.carry_out(run)


class Halting:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, bulk: Bulk, groups: ManageGroups, idempotency: Idempotency) -> None:
        self._bulk = bulk
        self._groups = groups
        self._idempotency = idempotency

    def act(self, request: Pause | Resume, call: Call, verb: Halt, *, paused: bool) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or both), NotFound (no such group)."""
        selector = request.selector
        if request.group is None and request.running:
            raise BadRequest("--running goes with --group")
        if request.group is not None:
            if selector.named:
                raise BadRequest("--group pauses the group; name jobs or a group, not both")
            if request.dry_run:
                self._groups.check(request.group)
            else:
                self._act_on_group(request.group, call, paused=paused)
            if not request.running:
                return Acted(done=[])
            selector = Selector(groups=[request.group], states=[State.RUNNING])
        return self._bulk.act(selector, call, verb, dry_run=request.dry_run)

    def _act_on_group(self, name: str, call: Call, *, paused: bool) -> None:
        act = partial(self._groups.pause, name, call.user, paused=paused)
        self._idempotency.once(call.id.group, Acted, act)
