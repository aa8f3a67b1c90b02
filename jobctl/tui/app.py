"""The view as a whole: what is seen is drawn, and keys become deeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Footer, Input

from jobctl.tui import filtering, rows
from jobctl.tui.dialogs import Help
from jobctl.tui.feed import Feed, Told
from jobctl.tui.following import Following
from jobctl.tui.job_list import JobList
from jobctl.tui.load import Load
from jobctl.tui.panes import Detail, OutputPane, Words, sections, summary
from jobctl.tui.sight import Order, Row, Scope, Section, Sight
from jobctl.tui.steering import Connect, Steering
from jobd.contract.errors import JobdError
from jobd.contract.wording import printable

_WIDE: Final = 120
"""Columns from which on the job and its output stand side by side."""
_OUTPUTS: Final = 4
"""Outputs side by side at most."""
_REST_S: Final = 0.25
"""Seconds for which the cursor stands still before it is asked for all about that job."""
_TICK_S: Final = 1.0
_SILENT_S: Final = 5.0
"""Seconds without an answer of which is told."""
_MOST_ROWS: Final = 2000
"""Of a section: of more, a filter says which."""


class SectionTab(Words):
    """The name of a section, to be clicked."""

    def __init__(self, section: Section) -> None:
        super().__init__(f" {section.value} ", classes="tab")
        self.section = section

    def on_click(self) -> None:
        self.post_message(JobList.Headed(self.section))


class Top(Steering):
    """The main thread is in it; what others tell comes in as calls."""

    CSS_PATH = "top.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "leave", "Leave", key_display="q"),
        # Also while something is typed or asked.
        Binding("ctrl+c", "leave", "Leave", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("x", "stop", "Stop"),
        Binding("r", "restart", "Again"),
        Binding("h", "hold", "Hold"),
        Binding("p", "halt", "Pause"),
        Binding("s", "sort", "Sort"),
        Binding("n", "priority", "Priority"),
        Binding("left_square_bracket", "workers(-1)", "Workers", key_display="[ ]"),
        Binding("right_square_bracket", "workers(1)", "More workers", show=False),
        Binding("space", "mark", "Mark", show=False),
        Binding("enter", "open", "Open", show=False),
        Binding("G", "halt_group", "Pause group", show=False),
        Binding("D", "remove", "Remove", show=False),
        Binding("d", "below('detail')", "Job", show=False),
        Binding("o", "below('output')", "Output", show=False),
        Binding("escape", "reset", "Back", show=False),
        *(
            Binding(str(key), f"section('{section.name}')", section.value, show=False)
            for key, section in enumerate(Section)
        ),
    ]

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        """`connect`: a client of its own for each thread; `clock`: seconds, never set."""
        super().__init__(connect)
        self.theme = "ansi-dark"
        self._clock = clock
        self._feed = Feed(connect, lambda told: self.tell(self.hear, told), clock)
        self._scope = Scope()
        self._sight: tuple[Sight, float] | None = None
        """What was seen last, and when."""
        self._load = Load()
        self._followed: dict[int, Following] = {}
        """Outputs that are shown, by job."""
        self._rest: Timer | None = None
        self._shows_output = False
        """Where there is no room for both."""

    def compose(self) -> ComposeResult:
        yield Words("looking …", id="summary")
        with Horizontal(id="tabs"):
            for section in Section:
                yield SectionTab(section)
            yield Words(id="order")
        yield Words(id="trouble")
        yield JobList()
        with Horizontal(id="below"):
            yield Detail()
        with Horizontal(id="filtering"):
            yield Words("filter: ", id="label")
            yield Input(placeholder="name  group:G  tag:T  user:U  3-9", id="filter", compact=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filtering").display = False
        self.query_one("#trouble").display = False
        self.query_one(JobList).focus()
        self._lay_out()
        self._scope = Scope(room=self._room(), some=max(10, self.size.height // 3))
        self.watch_threads()
        self._feed.show(self._scope)
        self._feed.start()
        self.set_interval(_TICK_S, self._tick)

    def on_unmount(self) -> None:
        self._feed.close()
        for following in self._followed.values():
            following.close()
        self.leave_threads()

    @property
    def _is_gone(self) -> bool:
        """It is being left: what was asked for before comes to nothing."""
        return not self.query(JobList)

    # --- what is seen ---------------------------------------------------------------------------

    def hear(self, told: Told) -> None:
        """What a look has come to."""
        if self._is_gone:
            return
        if isinstance(told, JobdError):
            self._say_trouble(printable(told.message))
            return
        self._say_trouble("")
        self._sight = (told, self._clock())
        self._load.see(told.running, self._clock())
        self._draw(told)
        detail = self.query_one(Detail)
        if told.shown is not None or not self.query_one(JobList).row:
            detail.show(told.shown)
        self._see_outputs(told)
        if told.shown is None and self._scope.job is None:
            self._ask_about()

    def _see_outputs(self, sight: Sight) -> None:
        """Their titles; and a job that was started again prints anew."""
        jobs = {row.job.id: row.job for part in sight.parts for row in part.rows if not row.array}
        if sight.shown is not None:
            jobs[sight.shown.job.id] = sight.shown.job
        for pane in self.query(OutputPane):
            job, following = jobs.get(pane.job), self._followed.get(pane.job)
            if job is None or following is None:
                continue
            pane.entitle(job)
            if following.is_behind(job.attempt):
                self._read(pane)

    def _draw(self, sight: Sight) -> None:
        jobs = self.query_one(JobList)
        jobs.show(rows.lines(sight, jobs.width, self._load.percent))
        self.query_one("#summary", Words).say(summary(sight, self.size.width))
        for (section, told), tab in zip(
            sections(sight, self._scope.section), self.query(SectionTab), strict=True
        ):
            tab.say(told)
            tab.set_class(section is self._scope.section, "chosen")
        order = "" if self._scope.order is Order.QUEUE else self._scope.order.value
        self.query_one("#order", Words).say(order)

    def _tick(self) -> None:
        """Times go on, though nobody is asked for anything."""
        if self._is_gone:
            return
        silent = self._feed.silent_s()
        if silent >= _SILENT_S:
            self._say_trouble(f"jobd has not answered for {silent:.0f} s; waiting for it")
        elif self._sight is not None:
            sight, at = self._sight
            self._draw(rows.later(sight, self._clock() - at))

    def _say_trouble(self, text: str) -> None:
        trouble = self.query_one("#trouble", Words)
        trouble.say(text)
        trouble.display = bool(text)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        if self._is_gone:
            return
        is_wide = self.size.width >= _WIDE
        self.query_one(Detail).display = is_wide or not self._shows_output
        for pane in self.query(OutputPane):
            pane.display = is_wide or self._shows_output
        if self._sight is not None:
            self._draw(self._sight[0])

    # --- what is to be seen ---------------------------------------------------------------------

    def _want(self, **changes: object) -> None:
        scope = replace(self._scope, **changes)
        if scope != self._scope:
            self._scope = scope
            self._feed.show(scope)

    def on_job_list_moved(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(_REST_S, self._ask_about)

    def _ask_about(self) -> None:
        """Everything about the job at the cursor, and the outputs of those that are meant."""
        if self._is_gone:
            return
        row = self.query_one(JobList).row
        self._want(job=None if row is None else row.job.id)
        self._show_outputs()

    def _show_outputs(self) -> None:
        chosen = self.query_one(JobList).chosen[:_OUTPUTS]
        wanted = [row.job.id for row in chosen]
        for job in self._followed.keys() - wanted:
            self._followed.pop(job).close()
        for pane in self.query(OutputPane):
            if pane.job not in wanted:
                pane.remove()
        for job in wanted:
            if job not in self._followed:
                self._follow(job)

    def _follow(self, job: int) -> None:
        pane = OutputPane(job)
        pane.display = self.size.width >= _WIDE or self._shows_output
        self.query_one("#below").mount(pane)
        self._read(pane)

    def _read(self, pane: OutputPane) -> None:
        """The end of its job's latest attempt, and what follows."""

        def tell(lines: list[str], about: str) -> None:
            self.tell(pane.show, lines, about)

        self._followed[pane.job] = following = Following(self._connect, pane.job, tell)
        following.start()

    def on_job_list_headed(self, message: JobList.Headed) -> None:
        self.action_section(message.section.name)

    def on_job_list_short(self) -> None:
        if self._scope.section is not Section.ALL:
            self._want(room=min(_MOST_ROWS, self._scope.room * 2))

    def on_job_list_opened(self) -> None:
        self.action_open()

    def action_section(self, name: str) -> None:
        self._want(section=Section[name], room=self._room())

    def _room(self) -> int:
        """Rows that are worth asking for before anybody has scrolled down."""
        return max(50, 2 * self.size.height)

    def action_sort(self) -> None:
        orders = list(Order)
        self._want(order=orders[(orders.index(self._scope.order) + 1) % len(orders)])

    def action_filter(self) -> None:
        self.query_one("#filtering").display = True
        self.query_one("#filter", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._want(filter=filtering.parse(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self.query_one("#filtering").display = bool(event.value)
            self.query_one(JobList).focus()

    def action_reset(self) -> None:
        """No filter, no marks, no large pane."""
        jobs = self.query_one(JobList)
        self.query_one("#filter", Input).value = ""
        self.query_one("#filtering").display = False
        jobs.unmark()
        jobs.focus()
        self.query_one("#below").remove_class("large")
        self._show_outputs()

    def action_open(self) -> None:
        row = self.query_one(JobList).row
        if row is None or row.array is None:
            self.query_one("#below").toggle_class("large")
            return
        self.query_one("#filtering").display = True
        self.query_one("#filter", Input).value = f"{row.array.first}-{row.array.last}"

    def action_below(self, which: str) -> None:
        self._shows_output = which == "output"
        self._lay_out()

    def action_mark(self) -> None:
        self.query_one(JobList).mark()
        self.query_one(JobList).action_move(1)
        self._show_outputs()

    # --- what is done ---------------------------------------------------------------------------

    def chosen(self) -> list[Row]:
        return self.query_one(JobList).chosen

    def done(self, gone: Sequence[int]) -> None:
        if self._is_gone:
            return
        self.query_one(JobList).forget(gone)
        self._feed.again()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_leave(self) -> None:
        self.exit()
