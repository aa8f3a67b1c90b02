"""`stop`: jobs are to end. What runs is signalled once the order for it is on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.models import Acted, Stop
from jobd.contract.states import State
from jobd.daemon.commands.bulk import Bulk, BulkResult, Verb
from jobd.daemon.commands.dependants import Dependants
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import StopOrders
from jobd.daemon.jobs.moves import Moves
from jobd.store.dependencies import Dependencies
from jobd.store.records import Look, StopOrder


class StopJobs:
    """Called by clients' threads. When it answers, all are told to end; some may still run."""

    def __init__(
        self,
        *,
        bulk: Bulk,
        moves: Moves,
        dependencies: Dependencies,
        runs: Runs,
        stop_orders: StopOrders,
    ) -> None:
        self._bulk = bulk
        self._moves = moves
        self._dependencies = dependencies
        self._runs = runs
        self._stop_orders = stop_orders

    def stop(self, request: Stop, call: Call) -> Acted:
        order = self._stop_orders.by_user(request.signal, request.grace)
        verb: Verb = _Stop(
            moves=self._moves, runs=self._runs, stop_orders=self._stop_orders,
            order=order, user=call.user,
        )  # fmt: skip
        if request.removing:
            verb = _StopToRemove(verb, Dependants(self._dependencies))
        acted = self._bulk.act(request.selector, call, verb, dry_run=request.dry_run)
        return replace(acted, grace=order.grace)


class _Stop(Verb):
    def __init__(
        self,
        *,
        moves: Moves,
        runs: Runs,
        stop_orders: StopOrders,
        order: StopOrder,
        user: str,
    ) -> None:
        self._moves = moves
        self._runs = runs
        self._stop_orders = stop_orders
        self._order = order
        self._user = user

    def change(self, jobs: Iterator[Look], result: BulkResult) -> None:
        """Pending ones are stopped together, at the end, in a few statements."""
        pending: list[Look] = []
        for job in jobs:
            if job.state.finished:
                result.has_finished(job)
                continue
            if job.state is State.PENDING:
                pending.append(job)
            else:
                self._stop_orders.give(self._runs[job.id], self._order)
            result.done.append(job.id)
        self._moves.withdrawn(pending, self._user)

    def committed(self, jobs: Sequence[int]) -> None:
        """Orders are carried out, whatever becomes of the next slice."""
        for job in jobs:
            run = self._runs.get(job)
            if run is not None:
                self._stop_orders.carry_out(run)


class _StopToRemove(Verb):
    """The jobs are about to be removed: `rm` would refuse those that others wait for."""

    def __init__(self, stop: Verb, dependants: Dependants) -> None:
        self._stop = stop
        self._dependants = dependants

    def change(self, jobs: Iterator[Look], result: BulkResult) -> None:
        free = (job for job in jobs if not self._dependants.keep(job.id, result))
        self._stop.change(free, result)

    def committed(self, jobs: Sequence[int]) -> None:
        self._stop.committed(jobs)
