"""What the view is to show, and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from jobd.contract.models import Array, DaemonStatus, Job, Selector, Shown
from jobd.contract.states import State


class Section(StrEnum):
    """A part of the queue; the value is how it is called on the screen."""

    ALL = "All"
    RUNNING = "Running"
    WAITING = "Waiting"
    FAILED = "Failed"
    FINISHED = "Finished"

    @property
    def states(self) -> tuple[State, ...]:
        """Those of its jobs; none: any."""
        return _STATES[self]


_STATES = {
    Section.ALL: (),
    Section.RUNNING: (State.RUNNING,),
    Section.WAITING: (State.PENDING,),
    Section.FAILED: (State.FAILED,),
    Section.FINISHED: (State.COMPLETED, State.STOPPED),
}


class Order(StrEnum):
    """How rows stand inside of a section; the value is how that is called on the screen."""

    QUEUE = "queue order"
    TIME = "longest first"
    NAME = "by name"
    CPU = "most CPU time first"
    MEMORY = "most memory first"


class Filter(Struct, frozen=True):
    """What was typed to see less."""

    selector: Selector = Selector()
    word: str = ""
    """Also jobs in whose command this stands, among those that were looked at."""


class Scope(Struct, frozen=True, kw_only=True):
    """What is to be seen."""

    section: Section = Section.ALL
    filter: Filter = Filter()
    order: Order = Order.QUEUE
    room: int = 50
    """Rows that are shown, or may be before it is asked for more."""
    some: int = 10
    """Rows of what waits, failed and has finished, where all sections stand below each other."""
    job: int | None = None
    """The one that everything is to be known about."""


class Row(Struct, frozen=True):
    """A job, or an array or batch for which one of its jobs stands."""

    job: Job
    array: Array | None = None

    @property
    def ids(self) -> list[tuple[int, int]]:
        """Of all jobs that it stands for, as ranges."""
        if self.array is None:
            return [(self.job.id, self.job.id)]
        return [(self.array.first, self.array.last)]

    def jobs_in(self, section: Section) -> int:
        """How many jobs of a section it stands for."""
        if self.array is None:
            return int(self.job.state in section.states)
        return sum(self.array.counts.get(state, 0) for state in section.states)


class Part(Struct, frozen=True):
    """The rows of a section that were asked for."""

    section: Section
    rows: Sequence[Row]
    total: int | None = None
    """Jobs of the section; None: nobody has counted them."""
    more: int | None = 0
    """Jobs that no row stands for; None: there are some."""


class Sight(Struct, frozen=True, kw_only=True):
    """How it was at one moment."""

    parts: Sequence[Part]
    counts: dict[State, int]
    """Of all jobs there are."""
    status: DaemonStatus
    shown: Shown | None = None
    """Of `Scope.job`; None: it is gone, or none was named."""
    paused: Sequence[str] = ()
    """Groups that start nothing."""
    left_s: float | None = None
    """Seconds until nothing is left to run, roughly; None: nobody knows."""

    @property
    def running(self) -> list[Job]:
        """Those that are shown."""
        parts = (part for part in self.parts if part.section is Section.RUNNING)
        return [row.job for part in parts for row in part.rows if row.array is None]
