"""Where in a list a page ends; as text it is the cursor with which a client asks for the next."""

from __future__ import annotations

from msgspec import Struct

from jobd.contract.errors import BadRequest
from jobd.contract.models import MAX_ID, List
from jobd.contract.states import State
from jobd.store.pages import SECTIONS, Key


class Position(Struct, frozen=True):
    """Where a page of a list begins; as text it is the cursor that clients hand back."""

    section: str = SECTIONS[0]
    behind: Key | None = None
    """In the section; None: its beginning."""
    given: int = 0
    """Jobs that the pages up to here had."""
    within: int = 0
    """Those of them that are of this section."""

    @classmethod
    def of(cls, cursor: str | None) -> Position:
        """Raises: BadRequest."""
        if cursor is None:
            return cls()
        try:
            section, *numbers = cursor.split(":")
            SECTIONS.index(section)
            rank, job, given, within = map(int, numbers)
            if max(map(abs, (rank, job, given, within))) > MAX_ID:
                raise ValueError  # noqa: TRY301 - as if it were no number
        except ValueError:
            raise BadRequest(f"cursor: {cursor!r} is none of ours") from None
        return cls(section, (rank, job) if job else None, given, within)

    def cursor(self) -> str:
        rank, job = self.behind or (0, 0)
        return f"{self.section}:{rank}:{job}:{self.given}:{self.within}"

    def room(self, request: List) -> int | None:
        """How many more jobs of this section are asked for; None: all."""
        most: int | None = getattr(request, self.section)
        left = [] if request.limit is None else [request.limit - self.given]
        left += [] if most is None else [most - self.within]
        return min(left, default=None)

    def may_hold(self, states: list[State]) -> bool:
        """Whether jobs in one of these states stand in this section; no states are all."""
        sections = {"finished" if state.finished else state.value for state in states}
        return not states or self.section in sections

    def after(self, jobs: int, behind: Key | None) -> Position | None:
        """Behind so many jobs more; `behind` None: they were the last of the section."""
        given = self.given + jobs
        if behind is not None:
            return Position(self.section, behind, given, self.within + jobs)
        number = SECTIONS.index(self.section) + 1
        return Position(SECTIONS[number], None, given) if number < len(SECTIONS) else None
