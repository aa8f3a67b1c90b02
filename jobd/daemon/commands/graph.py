"""A graph of new jobs that wait for each other: all of it, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest
from jobd.contract.models import Graph, Node, Submitted
from jobd.core.cycles import circle
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.admission import PIECE, Admission, Link
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.specs import check_argv, check_cwd, check_environment, check_options, spec_of
from jobd.store.batches import Batches
from jobd.store.environments import Environments
from jobd.store.jobs import Jobs
from jobd.store.records import Parent
from jobd.store.writer import Writer
from jobd.system.clock import now_us

T = TypeVar("T")


class Graphs:
    """Called by clients' threads. All nodes become visible in one step, or none is left."""

    def __init__(
        self,
        *,
        admission: Admission,
        jobs: Jobs,
        batches: Batches,
        environments: Environments,
        moves: Moves,
        writer: Writer,
        idempotency: Idempotency,
    ) -> None:
        self._admission = admission
        self._jobs = jobs
        self._batches = batches
        self._environments = environments
        self._moves = moves
        self._writer = writer
        self._idempotency = idempotency

    def submit(self, request: Graph, call: Call) -> Submitted:
        """Raises: BadRequest (names the node and the field), ShuttingDown, StoreFailed."""
        check_graph(request)
        with self._idempotency.one_at_a_time(call.id):
            known, graph = self._writer.call(lambda: self._begin(request, call.id))
            if known is not None or graph is None:
                assert known is not None
                return known
            with self._admission.whole(graph.first):
                for at in range(0, len(request.nodes), PIECE):
                    self._writer.call(partial(self._write_nodes, request, graph, at, call.user))
                return self._idempotency.once(
                    call.id, Submitted, lambda: self._reveal(request, graph)
                )

    def _begin(self, request: Graph, request_id: bytes) -> tuple[Submitted | None, _Graph | None]:
        known = self._idempotency.answered(request_id, Submitted)
        if known is not None:
            return known, None
        links = [
            _of_node(place, partial(self._check_node, node))
            for place, node in enumerate(request.nodes)
        ]
        count = len(request.nodes)
        first, environment = self._admission.reserve(count, request.environment)
        self._batches.stage(first, first + count - 1, environment)
        return None, _Graph(first, count, environment, links)

    def _check_node(self, node: Node) -> tuple[Link, ...]:
        self._admission.check_place(node.options)
        self._check_key(node)
        return self._admission.links_of(node.options)

    def _check_key(self, node: Node) -> None:
        key = node.options.key
        found = None if key is None else self._jobs.by_key(key)
        if found is not None:
            raise BadRequest(
                f"--key: {key!r} is that of job {found[0]} already, and a graph has new jobs; "
                f"take another key, or remove that job: jobctl rm {found[0]}"
            )

    def _write_nodes(self, request: Graph, graph: _Graph, at: int, user: str) -> None:
        now, places = now_us(), range(at, min(at + PIECE, graph.count))
        for place in places:
            # Another may have taken it since the graph was begun.
            _of_node(place, partial(self._check_key, request.nodes[place]))
        for place in places:
            node, job = request.nodes[place], graph.first + place
            environment = graph.environment
            if node.variables:
                # Counted for all of the graph at its beginning: this one uses another.
                self._environments.leave(environment)
                environment = self._environments.use({**request.environment, **node.variables}, 1)
            inside = dict.fromkeys(node.parents_any, True) | dict.fromkeys(node.parents, False)
            parents = self._admission.parents(graph.links[place])
            parents += [
                Parent(graph.first + parent, any_end, met=False, failed=False)
                for parent, any_end in inside.items()
            ]
            terms = self._admission.terms(node.options, user, environment, parents, now)
            spec = spec_of(node.command, node.options, cwd=node.cwd, umask=request.umask)
            self._moves.added(job, [spec], terms, parents, now)

    def _reveal(self, request: Graph, graph: _Graph) -> Submitted:
        for group in {node.options.group for node in request.nodes}:
            self._admission.share_of(
                group
            )  # it may have been removed before its first job was written
        last = graph.first + graph.count - 1
        self._batches.unstage(graph.first)
        self._moves.revealed(graph.first, last, linked=True)
        return self._admission.submitted(graph.first, last)


class _Graph(Struct, frozen=True):
    """A graph that has begun to be written."""

    first: int
    count: int
    environment: int
    links: Sequence[tuple[Link, ...]]
    """Of each node: the jobs outside the graph that it waits for."""


def _of_node(place: int, action: Callable[[], T]) -> T:
    """Errors say which node they are about."""
    try:
        return action()
    except BadRequest as error:
        raise BadRequest(f"job {place + 1} of the graph: {error.message}") from None


def check_graph(request: Graph) -> None:
    """Raises: BadRequest, naming node and field."""
    count = len(request.nodes)
    for place, node in enumerate(request.nodes):
        _of_node(place, partial(_check_node_alone, node, count))
    taken: dict[str, int] = {}
    for place, node in enumerate(request.nodes):
        key = node.options.key
        if key is not None and (other := taken.setdefault(key, place)) != place:
            raise BadRequest(
                f"job {place + 1} of the graph: --key: {key!r} is that of job {other + 1}, too"
            )
    check_environment(request.environment)
    round_about = circle([[*node.parents, *node.parents_any] for node in request.nodes])
    if round_about is not None:
        way = " → ".join(str(place + 1) for place in [*round_about, round_about[0]])
        raise BadRequest(f"the jobs of the graph wait for each other in a circle: {way}")


def _check_node_alone(node: Node, count: int) -> None:
    check_options(node.options)
    check_cwd(node.cwd)
    check_argv(node.command.argv, shell=node.command.shell)
    check_environment(node.variables)
    for parent in (*node.parents, *node.parents_any):
        if parent >= count:
            raise BadRequest(f"parents: there is no place {parent}")
