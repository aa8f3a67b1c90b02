"""The use cases that change jobs: start, hold, stop, restart, rm.

Each checks what it is given, decides inside a transaction of the writer, where nothing else can
move, and answers when that is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobd.contract.call import Call
from jobd.contract.models import Acted, Hold, Restart, Rm, Start, Stop
from jobd.contract.states import State
from jobd.contract.wording import NAMED, listed
from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import Bulk, Chosen, Tally
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import StopOrders
from jobd.daemon.jobs.moves import Moves, Obstacle
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.records import Look, StopOrder
from jobd.store.writer import Writer

log = logging.getLogger(__name__)


class Manager:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        dependencies: Dependencies,
        moves: Moves,
        reader: Reader,
        writer: Writer,
        bulk: Bulk,
        runs: Runs,
        stop_orders: StopOrders,
        notifier: Notifier,
        deletion: Deletion,
    ) -> None:
        self._jobs = jobs
        self._dependencies = dependencies
        self._moves = moves
        self._reader = reader
        self._writer = writer
        self._bulk = bulk
        self._runs = runs
        self._stop_orders = stop_orders
        self._notifier = notifier
        self._deletion = deletion

    # --- into the queue -----------------------------------------------------------------------

    def start(self, request: Start, call: Call) -> Acted:
        return self._bulk.act(
            request.selector,
            call.id,
            lambda job, t: self._start(job, t, call.user),
            parents_first=True,
        )

    def _start(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.PENDING and job.held:
            self._moves.released(job, user)
            tally.done.append(job.id)
        elif job.state in (State.PENDING, State.RUNNING):
            tally.notice(job.id, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            tally.error(job.id, f"has {job.state}; to run it again: jobctl restart {job.id}")
        else:
            self._requeue(job, Move.RELEASE, user, tally)

    def hold(self, request: Hold, call: Call) -> Acted:
        return self._bulk.act(
            request.selector, call.id, lambda job, t: self._hold(job, t, call.user)
        )

    def _hold(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.RUNNING:
            tally.error(job.id, f"is running; to halt it: jobctl pause {job.id}")
        elif job.state is not State.PENDING:
            tally.has_finished(job)
        elif job.held:
            tally.notice(job.id, "is already held")
        else:
            self._moves.held(job, user)
            tally.done.append(job.id)

    def restart(self, request: Restart, call: Call) -> Acted:
        environment = request.environment

        def restart(job: Look, tally: Tally) -> None:
            if job.parents and self._bulk.came_back(job.id, tally):
                done = self._came_back(job, tally)
            else:
                done = self._restart(job, tally, call.user, request.selector.states)
            if done and environment is not None:
                self._jobs.renew_environment(job.id, job.environment, environment)

        return self._bulk.act(
            request.selector, call.id, restart, parents_first=True, as_chosen=False
        )

    def _came_back(self, job: Look, tally: Tally) -> bool:
        """What it waits for was restarted in an earlier slice, and so was it: never twice.

        Whether it still waits.
        """
        waits = job.state is State.PENDING
        tally.done.append(job.id)
        tally.attempts[job.id] = job.attempt + waits
        return waits

    def _restart(self, job: Look, tally: Tally, user: str, states: Sequence[State]) -> bool:
        """`states`: those by which it was chosen, if by any; somebody else may have restarted it
        since.
        """
        if job.state is State.PENDING:
            tally.notice(job.id, "is already pending")
        elif job.state is State.RUNNING and states:
            tally.notice(job.id, "is already running")
        elif job.state is State.RUNNING:
            tally.error(job.id, f"is running; stop it first: jobctl stop {job.id}")
        elif states and job.state not in states:
            tally.has_moved(job)
        else:
            return self._requeue(job, Move.RESTART, user, tally)
        return False

    def _requeue(self, job: Look, move: Move, user: str, tally: Tally) -> bool:
        """Whether it pends again; not while one that it waits for has failed."""
        obstacle = self._moves.requeued(job, move, user)
        if obstacle is not None:
            tally.error(job.id, _in_words(obstacle))
            return False
        tally.done.append(job.id)
        tally.attempts[job.id] = job.attempt + 1
        return True

    # --- out of it ----------------------------------------------------------------------------

    def stop(self, request: Stop, call: Call) -> Acted:
        order = self._stop_orders.by_user(request.signal, request.grace)
        return self._bulk.act(
            request.selector,
            call.id,
            lambda job, t: self._stop(job, t, order, removing=request.removing),
            lambda tally: self._moves.withdrawn(tally.withdrawn, call.user),
            self._carry_out,
        )

    def _carry_out(self, jobs: list[int]) -> None:
        """Orders that are on disk; whatever becomes of the next slice."""
        for job in jobs:
            run = self._runs.get(job)
            if run is None:
                self._notifier.finished(job)
            else:
                self._stop_orders.carry_out(run)

    def _stop(self, job: Look, tally: Tally, order: StopOrder, *, removing: bool) -> None:
        if removing and self._is_waited_for(job.id, tally):
            return
        if job.state is State.RUNNING:
            self._stop_orders.give(self._runs[job.id], order)
            tally.done.append(job.id)
        elif job.state is State.PENDING:
            tally.withdrawn.append(job)
            tally.done.append(job.id)
        else:
            tally.has_finished(job)

    def rm(self, request: Rm, call: Call) -> Acted:
        acted = self._bulk.act(
            request.selector, call.id, lambda job, t: self._rm(job, t, call.user)
        )
        self._deletion.delete_outputs()
        self._notifier.removed()
        return acted

    def _rm(self, job: Look, tally: Tally, user: str) -> None:
        if not job.state.finished:
            tally.error(job.id, f"is {job.state}; stop it first, or use rm --force")
            return
        if self._is_waited_for(job.id, tally):
            return
        self._moves.removed(job, user)
        tally.done.append(job.id)

    def _is_waited_for(self, job: int, tally: Tally) -> bool:
        """Whether others wait for it that stay: they are not to be removed, or cannot be."""
        others = self._staying(job, tally.chosen)
        if others:
            verb, them = ("waits", "that") if len(others) == 1 else ("wait", "those")
            why = f"{listed(others)} {verb} for it; remove {them} with it"
            if all(other in tally.chosen for other in others):
                why = f"{listed(others)} {verb} for it, and cannot be removed either"
            tally.error(job, f"cannot be removed: {why}")
        return bool(others)

    def _staying(self, job: int, chosen: Chosen) -> list[int]:
        """Who waits for it and stays; looked up once for each, those that wait first."""
        if not self._dependencies.waiting(job, 1):
            return []  # nearly always, and a million of them leave nothing in memory
        known, begun, open_ends = chosen.awaited, set[int](), [job]
        while open_ends:
            one = open_ends[-1]
            waiting = self._dependencies.waiting(one, NAMED + 1 + len(chosen))
            unknown = [other for other in waiting if other in chosen and other not in known]
            if unknown and one not in begun:
                begun.add(one)
                open_ends += unknown
            else:
                known[one] = [o for o in waiting if o not in chosen or known.get(o)]
                open_ends.pop()
        return known[job]


def _in_words(obstacle: Obstacle) -> str:
    parent, group = obstacle.failed_parent, obstacle.missing_group
    if parent is not None:
        return f"waits for job {parent}, which has failed; jobctl restart {parent}"
    return f"is of group {group}, which was removed; jobctl groups add {group} --workers N"
