"""New jobs: one, a batch, an array, a graph. All of a request, or none of it.

What fits into one transaction is written in one. More is written in pieces, hidden behind an entry
in `staged`, and becomes visible in one step; the ready queue gets it as one range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from jobd.books import Books
from jobd.clock import now_us
from jobd.contract.errors import BadRequest, JobdError, Refused, ShuttingDown
from jobd.contract.graphs import circle
from jobd.contract.models import (
    MAX_ARRAY,
    MAX_PARENTS,
    Graph,
    Node,
    Options,
    State,
    Submit,
    Submitted,
)
from jobd.core.ledger import Share
from jobd.core.ready import Entry
from jobd.core.states import dependency_failed
from jobd.orders import (
    check_argv,
    check_cwd,
    check_environment,
    check_options,
    check_submit,
    entry_of,
    fits,
    same_submit,
    spec_of,
    terms_of,
)
from jobd.repeats import Repeats
from jobd.store.records import Parent, Terms
from jobd.store.writer import Writer

T = TypeVar("T")
PIECE: Final = 500
"""Jobs with commands of their own that are written in one transaction."""
_ELEMENTS: Final = 2500
"""Elements of an array that are written in one transaction."""
_LINKS: Final = 5000
"""Dependencies that are written in one transaction."""
_MAX_LINKS: Final = 1_000_000
"""Dependencies of one request."""
Ranges = Sequence[tuple[int, int]]
Link = tuple[int, bool]
"""A job that is waited for, and whether its end is enough however it ends."""


class _Batch(Struct, frozen=True):
    """A request that has begun to be written."""

    first: int
    count: int
    environment: int
    links: tuple[Link, ...]
    """What each of its jobs waits for."""

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @property
    def room(self) -> int:
        """Jobs whose dependencies are written in one transaction."""
        return max(1, _LINKS // max(1, len(self.links)))

    @property
    def piece(self) -> int:
        """Jobs with commands of their own that are written in one transaction."""
        return min(PIECE, self.room)


class Intake:
    """`workers`: as configured; with fewer just now, a job may wait for them to come back."""

    def __init__(
        self,
        *,
        workers: int,
        books: Books,
        writer: Writer,
        repeats: Repeats,
    ) -> None:
        self._workers = workers
        self._ledger = books.ledger
        self._store = books.store
        self._dependencies = books.dependencies
        self._waiting = books.waiting
        self._dependants = books.dependants
        self._writer = writer
        self._repeats = repeats

    # --- submit ---------------------------------------------------------------------------

    def submit(self, request: Submit, user: str, request_id: bytes) -> Submitted:
        """Raises: BadRequest, Refused (the key is another job's), ShuttingDown, StoreFailed."""
        check_submit(request)
        count = _count(request)
        with self._repeats.one_at_a_time(request_id):
            if count <= PIECE and not request.array:
                return self._repeats.once(
                    request_id, Submitted, lambda: self._submit_now(request, user)
                )
            return self._submit_in_pieces(request, count, user, request_id)

    def _submit_now(self, request: Submit, user: str) -> Submitted:
        known = self._with_key(request)
        if known is not None:
            return known
        batch = self._begin(request, len(request.commands))
        for at in range(0, batch.count, batch.piece):
            self._write_commands(batch, request, at, user)
        return self._show(batch, request.options)

    def _with_key(self, request: Submit) -> Submitted | None:
        """The job that has the key already. Raises: Refused (it is another command)."""
        key = request.options.key
        found = None if key is None else self._store.by_key(key)
        if found is None:
            return None
        job, spec = found
        if self._store.is_staged(job):
            raise Refused(
                f"--key: {key!r} belongs to a graph that is being submitted just now; ask again"
            )
        wanted = spec_of(request.commands[0], request.options, cwd=request.cwd, umask=request.umask)
        if not same_submit(spec, wanted):
            raise Refused(f"--key: {key!r} belongs to job {job}, which is another command")
        return self._submitted(job, job, existing=True)

    def _submit_in_pieces(
        self, request: Submit, count: int, user: str, request_id: bytes
    ) -> Submitted:
        """Hidden until the last piece is written, then visible in one step."""
        known, batch = self._writer.call(lambda: self._begin_hidden(request, count, request_id))
        if known is not None or batch is None:
            assert known is not None
            return known
        with self._whole(batch.first):
            if request.array:
                self._write_array(batch, request, user)
            else:
                for at in range(0, count, batch.piece):
                    self._writer.call(
                        lambda at=at: self._write_commands(batch, request, at, user)  # type: ignore[misc]
                    )
            return self._repeats.once(
                request_id, Submitted, lambda: self._reveal(batch, request.options)
            )

    @contextmanager
    def _whole(self, first: int) -> Iterator[None]:
        """A batch that cannot be written to its end goes; what nobody sees keeps nobody waiting."""
        try:
            yield
        except JobdError:
            # What cannot even be deleted now, the next start of the daemon deletes.
            with suppress(JobdError):
                while not self._writer.call(lambda: self._store.drop_staged(first, PIECE)):
                    pass
            raise

    def _begin_hidden(
        self, request: Submit, count: int, request_id: bytes
    ) -> tuple[Submitted | None, _Batch | None]:
        known = self._repeats.answered(request_id, Submitted)
        if known is not None:
            return known, None
        batch = self._begin(request, count)
        self._store.stage(batch.first, batch.last, batch.environment)
        return None, batch

    def _begin(self, request: Submit, count: int) -> _Batch:
        """All checks that look at the queue, and only then the first write."""
        self._check_place(request.options)
        links = self._links_of(request.options)
        if len(links) * count > _MAX_LINKS:
            raise BadRequest(
                f"--after: {count:,} jobs that wait for {len(links):,} each are more than "
                f"{_MAX_LINKS:,} dependencies; let one job wait for all of them and the rest for it"
            )
        first = self._ledger.reserve_ids(count)
        environment = self._store.use_environment(request.environment, count)
        return _Batch(first, count, environment, links)

    def _links_of(self, options: Options) -> tuple[Link, ...]:
        """The jobs that it waits for; where both are asked for, completion is what counts."""
        wanted = dict.fromkeys(self._jobs_in("--after-any", options.after_any), True)
        wanted |= dict.fromkeys(self._jobs_in("--after", options.after), False)
        return tuple(wanted.items())

    def _check_place(self, options: Options) -> None:
        ledger = self._ledger
        if ledger.draining:
            raise ShuttingDown("jobd is shutting down and takes no new jobs")
        share = self._share_of(options.group)
        fits(
            options,
            workers=max(ledger.workers, self._workers),
            share=share.workers,
            gpus=ledger.devices.count,
        )

    def _share_of(self, group: str) -> Share:
        """Raises: BadRequest (there is no such group)."""
        share = self._ledger.groups.get(group)
        if share is None:
            raise BadRequest(
                f"--group: there is no group {group!r}; "
                f"make it: jobctl groups add {group} --workers N"
            )
        return share

    def _jobs_in(self, option: str, ranges: Ranges) -> list[int]:
        """The jobs of a selector. Raises: BadRequest (one, or all of a range, do not exist)."""
        found: list[int] = []
        for first, last in ranges:
            jobs = self._dependencies.states(first, last, MAX_PARENTS + 1)
            if not jobs:
                what = f"job {first} does" if first == last else f"jobs {first}-{last} do"
                raise BadRequest(f"{option}: {what} not exist")
            found += (job for job, _ in jobs)
            if len(found) > MAX_PARENTS:
                raise BadRequest(f"{option}: more than {MAX_PARENTS:,} jobs")
        return found

    # --- writing --------------------------------------------------------------------------

    def _write_commands(self, batch: _Batch, request: Submit, at: int, user: str) -> None:
        """A piece, or all where that is no more than one."""
        commands, now = request.commands[at : at + batch.piece], now_us()
        options, first = request.options, batch.first + at
        specs = [spec_of(c, options, cwd=request.cwd, umask=request.umask) for c in commands]
        parents = self._parents(batch.links)
        terms = self._terms(options, user, batch.environment, parents, now)
        self._store.insert_jobs(first, specs, terms, now)
        self._dependencies.add(range(first, first + len(specs)), parents)
        self._store.submitted_events(first, len(specs), user, now)
        self._note_failed(first, len(specs), terms, now)

    def _write_array(self, batch: _Batch, request: Submit, user: str) -> None:
        options = request.options
        spec = spec_of(request.commands[0], options, cwd=request.cwd, umask=request.umask)
        self._writer.call(lambda: self._store.add_array(batch.first, batch.count, spec))
        step = min(_ELEMENTS, batch.room)
        first = batch.first
        for indexes in _pieces(request.array, step):
            self._writer.call(
                lambda first=first, indexes=indexes: self._write_elements(  # type: ignore[misc]
                    batch, options, first, indexes, user
                )
            )
            first += len(indexes)
        self._writer.call(lambda: self._store.array_event(batch.first, batch.last, user, now_us()))

    def _write_elements(
        self, batch: _Batch, options: Options, first: int, indexes: range, user: str
    ) -> None:
        now, parents = now_us(), self._parents(batch.links)
        terms = self._terms(options, user, batch.environment, parents, now)
        self._store.insert_elements(batch.first, first, indexes, terms, now)
        self._dependencies.add(range(first, first + len(indexes)), parents)
        self._note_failed(first, len(indexes), terms, now)

    def _parents(self, links: Sequence[Link]) -> list[Parent]:
        """As they are now; one that was removed meanwhile is not waited for."""
        found = []
        for job, finished in links:
            for _, state in self._dependencies.states(job, job, 1):
                met = state is State.COMPLETED or (finished and state.finished)
                found.append(Parent(job, finished, met, failed=state.finished and not met))
        return found

    def _terms(
        self, options: Options, user: str, environment: int, parents: Sequence[Parent], now: int
    ) -> Terms:
        terms = terms_of(options, user, environment, now)
        if not parents:
            return terms
        failed = next((parent.job for parent in parents if parent.failed), None)
        return replace(
            terms,
            parents=len(parents),
            unmet=sum(not parent.met for parent in parents),
            failed=None if failed is None else dependency_failed(failed),
        )

    def _note_failed(self, first: int, count: int, terms: Terms, now: int) -> None:
        if terms.failed is not None:
            for job in range(first, first + count):
                self._store.failed_event(job, terms.failed, now)

    # --- becoming visible -------------------------------------------------------------------

    def _reveal(self, batch: _Batch, options: Options) -> Submitted:
        self._share_of(options.group)  # it may have been removed before the first job was written
        self._store.unstage(batch.first)
        return self._show(batch, options)

    def _show(self, batch: _Batch, options: Options) -> Submitted:
        """Count them, and let those that wait for nothing into the ready queue."""
        entry = entry_of(batch.first, options)
        if batch.links or options.hold or options.at is not None or options.delay:
            self._show_each(batch.first, batch.last)
            return self._submitted(batch.first, batch.last)
        answer = self._submitted(batch.first, batch.last, entry)
        self._ledger.count(None, State.PENDING, batch.count)
        self._ledger.admit_range(entry, batch.last)
        return answer

    def _show_each(self, first: int, last: int) -> None:
        """What each of them waits for is on disk; it may have changed since it was written."""
        for state, jobs in self._store.counts_in(first, last).items():
            self._ledger.count(None, state, jobs)
        for entry, end in self._store.ready_in(first, last):
            self._ledger.admit_range(entry, end)
        self._waiting.note_due()

    def _submitted(
        self, first: int, last: int, entry: Entry | None = None, *, existing: bool = False
    ) -> Submitted:
        """`entry`: the first of them, where it may start at the end of this very transaction."""
        ledger = self._ledger
        busy = ledger.busy
        starts = False
        if entry is not None:
            free = max(ledger.free_workers, 0)
            ahead = ledger.queue.ahead_of(entry, free)
            room = min(free - ahead, ledger.free_in(entry.group))
            starts = entry.slots <= room and entry.gpus <= ledger.free_gpus
            busy = min(busy + ahead + (last - first + 1) * entry.slots, ledger.workers)
        return Submitted(
            first=first,
            last=last,
            starts_now=starts,
            busy=busy,
            workers=ledger.workers,
            existing=existing,
        )

    # --- graphs ---------------------------------------------------------------------------

    def graph(self, request: Graph, user: str, request_id: bytes) -> Submitted:
        """Raises: BadRequest (names the node and the field), ShuttingDown, StoreFailed."""
        check_graph(request)
        with self._repeats.one_at_a_time(request_id):
            known, graph = self._writer.call(lambda: self._begin_graph(request, request_id))
            if known is not None or graph is None:
                assert known is not None
                return known
            with self._whole(graph.first):
                for at in range(0, len(request.nodes), PIECE):
                    self._writer.call(
                        lambda at=at: self._write_nodes(request, graph, at, user)  # type: ignore[misc]
                    )
                return self._repeats.once(
                    request_id, Submitted, lambda: self._reveal_graph(request, graph)
                )

    def _begin_graph(
        self, request: Graph, request_id: bytes
    ) -> tuple[Submitted | None, _Graph | None]:
        known = self._repeats.answered(request_id, Submitted)
        if known is not None:
            return known, None
        links = [
            _of_node(place, lambda node=node: self._check_node(node))  # type: ignore[misc]
            for place, node in enumerate(request.nodes)
        ]
        count = len(request.nodes)
        first = self._ledger.reserve_ids(count)
        environment = self._store.use_environment(request.environment, count)
        self._store.stage(first, first + count - 1, environment)
        return None, _Graph(first, count, environment, links)

    def _check_node(self, node: Node) -> tuple[Link, ...]:
        self._check_place(node.options)
        self._check_key(node)
        return self._links_of(node.options)

    def _check_key(self, node: Node) -> None:
        if node.options.key is not None and self._store.by_key(node.options.key) is not None:
            raise BadRequest(f"--key: {node.options.key!r} is another job's already")

    def _write_nodes(self, request: Graph, graph: _Graph, at: int, user: str) -> None:
        now, places = now_us(), range(at, min(at + PIECE, graph.count))
        for place in places:
            # Another may have taken it since the graph was begun.
            _of_node(place, lambda node=request.nodes[place]: self._check_key(node))  # type: ignore[misc]
        for place in places:
            node, job = request.nodes[place], graph.first + place
            environment = graph.environment
            if node.variables:
                # Counted for all of the graph at its beginning: this one uses another.
                self._store.leave_environment(environment)
                environment = self._store.use_environment(
                    {**request.environment, **node.variables}, 1
                )
            inside = dict.fromkeys(node.parents_any, True) | dict.fromkeys(node.parents, False)
            parents = self._parents(graph.links[place])
            parents += [
                Parent(graph.first + parent, finished, met=False, failed=False)
                for parent, finished in inside.items()
            ]
            terms = self._terms(node.options, user, environment, parents, now)
            spec = spec_of(node.command, node.options, cwd=node.cwd, umask=request.umask)
            self._store.insert_jobs(job, [spec], terms, now)
            self._dependencies.add([job], parents)
            self._store.submitted_events(job, 1, user, now)
            self._note_failed(job, 1, terms, now)

    def _reveal_graph(self, request: Graph, graph: _Graph) -> Submitted:
        for group in {node.options.group for node in request.nodes}:
            self._share_of(group)  # it may have been removed before its first job was written
        last = graph.first + graph.count - 1
        self._store.unstage(graph.first)
        self._show_each(graph.first, last)
        for job in self._store.failed_in(graph.first, last):
            # One of those that it waited for had failed before; the rest of the graph hears it.
            self._dependants.changed(job)
        return self._submitted(graph.first, last)


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
        _of_node(place, lambda node=node: _check_node_alone(node, count))  # type: ignore[misc]
    keys = [node.options.key for node in request.nodes if node.options.key is not None]
    if len(set(keys)) < len(keys):
        raise BadRequest("--key: two jobs of the graph have the same one")
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


def _count(request: Submit) -> int:
    """Jobs that it makes. Raises: BadRequest (an array that is none)."""
    if not request.array:
        return len(request.commands)
    count = 0
    for first, last in request.array:
        if last < first:
            raise BadRequest(f"--array: {first}-{last}: the lower index comes first")
        count += last - first + 1
        if count > MAX_ARRAY:
            raise BadRequest(f"--array: more than {MAX_ARRAY:,} elements")
    ordered = sorted(request.array)
    for (_, last), (first, _) in pairwise(ordered):
        if first <= last:
            raise BadRequest(f"--array: index {first} comes twice")
    return count


def _pieces(ranges: Ranges, size: int) -> Iterator[range]:
    for first, last in ranges:
        for at in range(first, last + 1, size):
            yield range(at, min(at + size, last + 1))
