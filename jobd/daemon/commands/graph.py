"""A graph of new jobs that wait for each other: all of it, or none."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Graph, Submitted
from jobd.daemon.commands.submit import Intake
from jobd.daemon.jobs.plan import Pack, plan_graph


class Graphs:
    """Called by clients' threads. All nodes become visible in one step, or none is left."""

    def __init__(self, intake: Intake, pack: Pack) -> None:
        self._intake = intake
        self._pack = pack

    def submit(self, request: Graph, call: Call) -> Submitted:
        """Raises: as `Intake.submit` does; it names the node and the field."""
        return self._intake.admit(plan_graph(request, call.user, self._pack), call)
