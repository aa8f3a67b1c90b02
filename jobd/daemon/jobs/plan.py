"""What a submit means: all that can be said of it before the queue is asked.

    request → checked → SubmitPlan (parts) → pieces of drafts → written

Pure. A client's thread makes the plan, once, and turns a piece of it into drafts before each
transaction; in the transaction nothing is converted. Only what the queue alone can say is added
there: the ids, what the jobs wait for, and from when on a delay counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jobd.contract.destinations import Destination, WhenAll
from jobd.contract.models import Graph, Node, Options, Submit
from jobd.contract.ranges import Ranges, width
from jobd.contract.states import dependency_failed
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.bundles import Commands, commands_of
from jobd.daemon.jobs.specs import due_of, entry_of, spec_of, terms_of
from jobd.daemon.jobs.validation import check_graph, check_submit, of_node
from jobd.store.records import PackedEnvironment, Parent, Spec, Terms

PIECE: Final = 500
"""Jobs with commands of their own that are written in one transaction."""
_ELEMENTS: Final = 2500
"""The same of elements of an array."""
_LINKS: Final = 5000
"""Dependencies that are written in one transaction, but for those of a single job."""

Pack = Callable[[dict[bytes, bytes]], PackedEnvironment]
"""Makes an environment ready for the disk."""
Inside = tuple[int, bool]
"""Another job of the plan, by its place, and whether its end is enough however it ends."""


class Part(Struct, frozen=True, kw_only=True):
    """Jobs of a plan that are alike but for their commands, or for their indexes in an array."""

    options: Options
    cwd: bytes
    commands: Commands
    """One a job; of an array, the one that all elements share."""
    variables: dict[bytes, bytes] | None = None
    """Set in addition to the environment of the plan."""
    inside: Sequence[Inside] = ()
    """Jobs of the plan that they wait for."""
    array_index: int | None = None
    """Of the job of a graph that has one."""


class Span(NamedTuple):
    """Jobs of one part, side by side."""

    part: int
    """Number of the part."""
    place: int
    """The place of the first of them in the plan, whose first job has 0."""
    numbers: range
    """Which of the part's commands; in an array: the indexes."""

    def cut(self, count: int) -> tuple[Span, Span | None]:
        """The first `count` of them, and the others."""
        head = self._replace(numbers=self.numbers[:count])
        rest = Span(self.part, self.place + count, self.numbers[count:])
        return head, rest if rest.numbers else None


class Draft(Struct, frozen=True, kw_only=True):
    """Jobs side by side, as they will be stored."""

    part: int
    place: int
    """The place of the first of them."""
    specs: Sequence[Spec]
    """One a job; elements of an array have none of their own."""
    indexes: range | None
    """Of elements of an array."""
    terms: Terms
    at: float | None
    """As in `Options`, and so is `delay`."""
    delay: float | None
    environment: PackedEnvironment | None
    """Another one than that of the plan."""
    inside: Sequence[Inside]

    def terms_at(self, now: int, environment: int, parents: Sequence[Parent]) -> Terms:
        """All of them. `now`: microseconds since the epoch; `environment`: its id."""
        failed = next((parent.id for parent in parents if parent.failed), None)
        return replace(
            self.terms,
            environment=environment,
            due=due_of(self.at, self.delay, now),
            parents=len(parents),
            unmet=sum(not parent.met for parent in parents),
            failed=None if failed is None else dependency_failed(failed),
        )


class SubmitPlan(Struct, frozen=True, kw_only=True):
    """All jobs of one request, in the order of their ids: all of them come, or none."""

    user: str
    umask: int
    variables: dict[bytes, bytes]
    """The environment of all parts, but for what a part adds."""
    pack: Pack
    environment: PackedEnvironment
    """`variables`, ready for the disk."""
    parts: Sequence[Part]
    array: Ranges = ()
    """Ranges of indexes, if the plan is an array; it has one part then."""
    shared: Spec | None = None
    """What all elements of the array run."""
    when_all: Sequence[WhenAll] = ()
    """Who is told once all of it has ended."""
    graph: bool = False
    """Its parts are the nodes of a graph: a job each, and they may wait for each other."""

    @property
    def count(self) -> int:
        return width(self.array) if self.array else sum(len(part.commands) for part in self.parts)

    @property
    def is_batch(self) -> bool:
        """Several jobs, each with a command of its own and nothing else."""
        return not (self.graph or self.array) and self.count > 1

    def told(self) -> Iterator[Destination]:
        """Where somebody is told of its ends."""
        yield from (one.to for one in self.when_all)
        for part in self.parts:
            yield from (wish.to for wish in part.options.notify)

    @property
    def at_once(self) -> bool:
        """Whether one transaction is enough for all of it, whatever ids there are to wait for."""
        if self.array or self.graph:
            return False
        options, count = self.parts[0].options, self.count
        links = width(options.after) + width(options.after_any)
        return count == 1 or (count <= PIECE and count * links <= _LINKS)

    def alike(self, first: int) -> Entry | None:
        """The first job, if all of them pend and wait for nothing but their turn."""
        options = self.parts[0].options
        waits = options.after or options.after_any or options.at is not None or options.delay
        return None if self.graph or waits or options.hold else entry_of(first, options)

    def about(self, part: int) -> AbstractContextManager[None]:
        """Errors say which job they are about, if not about all."""
        return of_node(part) if self.graph else nullcontext()

    # --- pieces ---------------------------------------------------------------------------

    def spans(self) -> Iterator[Span]:
        """All of the plan."""
        place = 0
        for first, last in self.array:
            yield Span(0, place, range(first, last + 1))
            place += last - first + 1
        for number, part in enumerate(() if self.array else self.parts):
            yield Span(number, place, range(len(part.commands)))
            place += len(part.commands)

    def pieces(self, links: Sequence[int]) -> Iterator[list[Span]]:
        """All of the plan, as much at a time as goes into one transaction.

        `links`: how many jobs outside the plan those of each part wait for.
        """
        most = _ELEMENTS if self.array else PIECE
        piece, jobs, written = list[Span](), 0, 0
        for whole in self.spans():
            each = links[whole.part] + len(self.parts[whole.part].inside)
            rest: Span | None = whole
            while rest is not None:
                if piece and (jobs >= most or written + each > _LINKS):
                    yield piece
                    piece, jobs, written = [], 0, 0
                room = (_LINKS - written) // each if each else most
                head, rest = rest.cut(max(1, min(most - jobs, room)))
                piece.append(head)
                jobs += len(head.numbers)
                written += len(head.numbers) * each
        yield piece

    def drafts(self, spans: Iterable[Span]) -> list[Draft]:
        return [self._draft(span) for span in spans]

    def _draft(self, span: Span) -> Draft:
        part, options = self.parts[span.part], self.parts[span.part].options
        own = None if part.variables is None else self.pack({**self.variables, **part.variables})
        numbers = slice(span.numbers.start, span.numbers.stop)
        commands = () if self.array else part.commands[numbers]
        return Draft(
            part=span.part,
            place=span.place,
            specs=[spec_of(one, options, cwd=part.cwd, umask=self.umask) for one in commands],
            indexes=span.numbers if self.array else None,
            terms=replace(terms_of(options, self.user), array_index=part.array_index),
            at=options.at,
            delay=options.delay,
            environment=own,
            inside=part.inside,
        )


# --- from requests ------------------------------------------------------------------------------


def plan_submit(request: Submit, user: str, pack: Pack) -> SubmitPlan:
    """Raises: BadRequest, which names the field."""
    commands = commands_of(request)
    check_submit(request, commands)
    part = Part(options=request.options, cwd=request.cwd, commands=commands)
    shared = None
    if request.array:
        (command,) = commands
        shared = spec_of(command, request.options, cwd=request.cwd, umask=request.umask)
    return SubmitPlan(
        user=user,
        umask=request.umask,
        variables=request.environment,
        pack=pack,
        environment=pack(request.environment),
        parts=[part],
        array=request.array,
        shared=shared,
        when_all=request.when_all,
    )


def plan_graph(request: Graph, user: str, pack: Pack) -> SubmitPlan:
    """Raises: BadRequest, which names the node and the field."""
    check_graph(request)
    return SubmitPlan(
        user=user,
        umask=request.umask,
        variables=request.environment,
        pack=pack,
        environment=pack(request.environment),
        parts=[_part(node) for node in request.nodes],
        when_all=request.when_all,
        graph=True,
    )


def _part(node: Node) -> Part:
    """Where a node is to complete and to end in any way, completion is what counts."""
    return Part(
        options=node.options,
        cwd=node.cwd,
        commands=[node.command],
        variables=node.variables or None,
        array_index=node.array_index,
        inside=[
            *(dict.fromkeys(node.parents_any, True) | dict.fromkeys(node.parents, False)).items()
        ],
    )
