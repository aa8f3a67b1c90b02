"""Running jobs that stand still for a while, and groups that start nothing: pause and resume."""

from __future__ import annotations

from functools import partial

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest
from jobd.contract.models import Acted, Pause, Resume, Selector
from jobd.contract.states import State
from jobd.daemon.commands.bulk import Bulk, Tally
from jobd.daemon.commands.groups import Shares
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import Pauses
from jobd.daemon.jobs.moves import Moves
from jobd.store.records import Look
from jobd.system.clock import now_us


class Halting:
    """Called by clients' threads. A process is signalled once its order is on disk."""

    def __init__(
        self,
        *,
        moves: Moves,
        runs: Runs,
        pauses: Pauses,
        shares: Shares,
        bulk: Bulk,
        idempotency: Idempotency,
    ) -> None:
        self._moves = moves
        self._runs = runs
        self._pauses = pauses
        self._shares = shares
        self._bulk = bulk
        self._idempotency = idempotency

    def pause(self, request: Pause, call: Call) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or no such group)."""
        return self._act(request, call, paused=True)

    def resume(self, request: Resume, call: Call) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or no such group)."""
        return self._act(request, call, paused=False)

    def _act(self, request: Pause | Resume, call: Call, *, paused: bool) -> Acted:
        selector = request.selector
        if request.group is None and request.running:
            raise BadRequest("--running goes with --group")
        if request.group is not None:
            if selector.named:
                raise BadRequest("--group pauses the group; name jobs or a group, not both")
            self._act_on_group(request.group, call, paused=paused)
            if not request.running:
                return Acted(done=[])
            selector = Selector(groups=[request.group], states=[State.RUNNING])
        each = partial(self._pause if paused else self._resume, user=call.user)
        return self._bulk.act(selector, call.id, each, committed=self._carry_out)

    def _carry_out(self, jobs: list[int]) -> None:
        for job in jobs:
            run = self._runs.get(job)
            if run is not None:
                self._pauses.carry_out(run)

    def _act_on_group(self, name: str, call: Call, *, paused: bool) -> None:
        def act() -> Acted:
            self._shares.pause(name, call.user, paused=paused)
            return Acted(done=[])

        key = call.id + b"group" if call.id else b""
        self._idempotency.once(key, Acted, act)

    def _pause(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.PENDING:
            tally.error(job.id, f"is pending; to keep it from starting: jobctl hold {job.id}")
        elif job.state is not State.RUNNING:
            tally.has_finished(job)
        elif job.paused:
            tally.notice(job.id, "is already paused")
        else:
            self._halt(job.id, tally, user, paused=True)

    def _resume(self, job: Look, tally: Tally, user: str) -> None:
        if job.state.finished:
            tally.has_finished(job)
        elif not job.paused:
            tally.notice(job.id, "is not paused")
        else:
            self._halt(job.id, tally, user, paused=False)

    def _halt(self, job: int, tally: Tally, user: str, *, paused: bool) -> None:
        now = now_us()
        self._moves.paused(job, user, now, paused=paused)
        self._pauses.give(self._runs[job], now / 1e6, paused=paused)
        tally.done.append(job)
