"""The list of jobs: a cursor, and lines of which only those are drawn anew that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from jobctl.render import text
from jobctl.tui.rows import Line
from jobctl.tui.sight import Row, Section

_NEAR: Final = 10
"""Rows before the last one at which more are wanted."""


class JobList(ScrollView, can_focus=True):
    """Shows lines; its cursor stays at the job where it is, whatever moves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
    ]

    class Moved(Message):
        """The cursor is at another job."""

    class Opened(Message):
        """A job was chosen, by Enter or a second click."""

    class Headed(Message):
        """The heading of a section was clicked, or its rest."""

        def __init__(self, section: Section) -> None:
            super().__init__()
            self.section = section

    class Short(Message):
        """The cursor nears the end of what there is: more is wanted."""

    def __init__(self) -> None:
        super().__init__(id="jobs")
        self._lines: list[Line] = []
        self._at = 0
        """The line of the cursor."""
        self.marked: dict[int, Row] = {}
        """By job; a key acts on all of them."""

    # --- what it shows --------------------------------------------------------------------------

    @property
    def row(self) -> Row | None:
        """Where the cursor is; None: there is no job."""
        return self._lines[self._at].row if self._at < len(self._lines) else None

    @property
    def chosen(self) -> list[Row]:
        """What a key acts on."""
        return list(self.marked.values()) or ([self.row] if self.row is not None else [])

    @property
    def width(self) -> int:
        """Columns of a line, beside the bar that scrolls."""
        return max(20, self.scrollable_content_region.width)

    def show(self, lines: Sequence[Line]) -> None:
        """Draws what differs from what is there."""
        before, old, at = self._lines, self.row, self._at
        self._lines = list(lines)
        rows = {line.row.job.id: line.row for line in lines if line.row is not None}
        self.marked = {job: rows.get(job, row) for job, row in self.marked.items()}
        self._at = self._found(old, at)
        if len(before) != len(self._lines):
            self.virtual_size = Size(0, len(self._lines))
            self.refresh()
            self.call_after_refresh(self._reveal)
        else:
            for y, (one, other) in enumerate(zip(before, self._lines, strict=True)):
                if one != other:
                    self._draw(y)
        if at != self._at:
            self._draw(at)
            self._draw(self._at)
            self.call_after_refresh(self._reveal)
        if (old and old.job.id) != (self.row and self.row.job.id):
            self.post_message(self.Moved())

    def mark(self) -> None:
        """The job at the cursor, or no longer."""
        if self.row is None:
            return
        if self.marked.pop(self.row.job.id, None) is None:
            self.marked[self.row.job.id] = self.row
        self._draw(self._at)

    def unmark(self) -> None:
        self.marked.clear()
        self.refresh()

    def forget(self, jobs: Sequence[int]) -> None:
        """Those that there are no more are not marked, either."""
        for job in jobs:
            self.marked.pop(job, None)

    def _found(self, old: Row | None, at: int) -> int:
        """Where the job is now, or else the one that stands in its place."""
        if old is not None:
            for y, line in enumerate(self._lines):
                if line.row is not None and line.row.job.id == old.job.id:
                    return y
        return self._nearest(at, 1)

    def _nearest(self, y: int, step: int) -> int:
        """The next line with a job, in this direction if there is one."""
        jobs = [at for at, line in enumerate(self._lines) if line.row is not None]
        if not jobs:
            return 0
        ahead = [at for at in jobs if at >= y] if step > 0 else [at for at in jobs if at <= y]
        if step > 0:
            return ahead[0] if ahead else jobs[-1]
        return ahead[-1] if ahead else jobs[0]

    # --- keys and mouse -------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self._go(self._nearest(self._at + step, step))

    def action_page(self, step: int) -> None:
        self._go(self._nearest(self._at + step * max(1, self.size.height - 2), step))

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y
        if not 0 <= y < len(self._lines):
            return
        line = self._lines[y]
        if line.row is None:
            if line.section is not None:
                self.post_message(self.Headed(line.section))
        elif y == self._at:
            self.post_message(self.Opened())
        else:
            self._go(y)

    def _go(self, y: int) -> None:
        if y == self._at:
            self._reveal()
            return
        before, self._at = self._at, y
        self._draw(before)
        self._draw(y)
        self._reveal()
        self.post_message(self.Moved())
        if len(self._lines) - y <= _NEAR:
            self.post_message(self.Short())

    def _reveal(self) -> None:
        """With the heading above it, where it is the first of its section."""
        top = self._at
        while top > 0 and self._lines[top - 1].row is None:
            top -= 1
        region = Region(0, top, 1, self._at - top + 1)
        self.scroll_to_region(region, animate=False, force=True)

    # --- drawing --------------------------------------------------------------------------------

    def _draw(self, y: int) -> None:
        self.refresh(Region(0, y - self.scroll_offset.y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as Textual asks for it."""
        at = y + self.scroll_offset.y
        width = self.size.width
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[at]
        own = self.rich_style + Style.parse(line.style or "none")
        if line.row is None:
            return Strip([Segment(line.text, own)]).extend_cell_length(width, own).crop(0, width)
        is_marked = line.row.job.id in self.marked
        if at == self._at:
            own += Style(reverse=True, bold=self.has_focus)
        sign, colour = line.mark
        of_mark = own + Style.parse(colour or "none")
        body = text.padded(line.text, max(0, width - 4))
        segments = [
            Segment("*" if is_marked else " ", own), Segment(f"{sign} ", of_mark),
            Segment(" ", own), Segment(body, own),
        ]  # fmt: skip
        return Strip(segments).extend_cell_length(width, own).crop(0, width)

    def on_focus(self) -> None:
        self._draw(self._at)

    def on_blur(self) -> None:
        self._draw(self._at)
