"""What stands above and below the list: the state of the queue, a job, and outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from rich.segment import Segment
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from jobctl.render import sheet, text, words
from jobctl.tui.sight import Section, Sight
from jobd.contract.models import Gpu, Job, Shown
from jobd.contract.states import State
from jobd.contract.wording import counted, printable

_NAME: Final = 36
"""Columns of a name in a title."""
_EACH: Final = 4
"""GPUs of which the load of each is told."""


def summary(sight: Sight, width: int) -> str:
    """`2 of 3 workers busy · 1 of 2 GPUs in use · all done in about 3h · load 1.2 on 8 CPUs`, of
    that as many parts as there is room for.
    """
    status = sight.status
    parts = [f"{status.busy:,} of {status.workers:,} workers busy"]
    if status.gpus:
        parts.append(f"{status.gpus_busy} of {counted(status.gpus, 'GPU')} in use")
    parts += ["draining: nothing starts"] if status.draining else []
    parts += [f"paused: {', '.join(sight.paused)}"] if sight.paused else []
    if sight.left_s is not None and sight.counts.get(State.PENDING):
        parts.append(f"all done in about {text.left(sight.left_s).removesuffix(' left')}")
    parts.append(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    parts += _gpu_load(status.gpu_load or ())
    line = parts[0]
    for part in parts[1:]:
        longer = f"{line} · {part}"
        line = longer if text.columns(longer) <= width else line
    return line


def _gpu_load(gpus: Sequence[Gpu]) -> list[str]:
    """Of each; of many their mean, and how many that are."""
    loads = [gpu.load for gpu in gpus if gpu.load is not None]
    if not loads:
        return []
    if len(loads) > _EACH:
        return [f"{len(loads)} GPUs {sum(loads) / len(loads):.0f}% busy on average"]
    return [f"GPU load {', '.join(f'{load}%' for load in loads)}"]


def sections(sight: Sight, chosen: Section) -> list[tuple[Section, str]]:
    """Each with its key, its name and how many jobs there are; in brackets the one on show."""
    told = []
    for key, section in enumerate(Section):
        count = sum(sight.counts.get(state, 0) for state in section.states or State)
        name = f"{key} {section.value} {count:,}"
        told.append((section, f"[{name}]" if section is chosen else f" {name} "))
    return told


def sheet_of(shown: Shown) -> list[str]:
    """All that `show` says of a job."""
    return [printable(line) for line in sheet.lines(shown)]


class Words(Static):
    """Text that is drawn anew where it is another one."""

    def __init__(self, text: str = "", **given: Any) -> None:  # noqa: ANN401 # as Static has it
        super().__init__(text, markup=False, **given)
        self.said = text

    def say(self, text: str) -> None:
        if text != self.said:
            self.said = text
            self.update(text)


class Detail(VerticalScroll, can_focus=True):
    """One job: why it waits, what it uses, its attempts and its history."""

    def __init__(self) -> None:
        super().__init__(id="detail")
        self.border_title = "Job"
        self._said = Words()

    def on_mount(self) -> None:
        self.mount(self._said)

    def show(self, shown: Shown | None) -> None:
        title, *rest = sheet_of(shown) if shown is not None else ["no job"]
        self.border_title = Content(title)
        self._said.say("\n".join(line.removeprefix("  ") for line in rest))


class OutputPane(ScrollView, can_focus=True):
    """The end of a job's output; it follows, unless somebody has scrolled up."""

    def __init__(self, job: int) -> None:
        super().__init__(classes="output")
        self.job = job
        self._lines: list[str] = []
        self.border_title = f"output of {job}"

    def entitle(self, job: Job) -> None:
        name = f" {text.cut_middle(printable(job.name), _NAME)}" if job.name else ""
        # As it is: of a text Textual would take brackets for markup.
        self.border_title = Content(f"output of {job.id}{name}")
        self.border_subtitle = Content(printable(words.outcome(job)))

    def show(self, lines: Sequence[str], about: str) -> None:
        """`about`: what is to be said of it."""
        follows = self.is_vertical_scroll_end
        before = self._lines
        self._lines = [*lines, *([printable(about)] if about else [])]
        if self._lines == before:
            return
        longest = max((text.columns(line) for line in self._lines), default=0)
        self.virtual_size = Size(longest, len(self._lines))
        self.refresh()
        if follows:
            # Only then is it known how much room there is.
            self.call_after_refresh(self.scroll_end, animate=False)

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as Textual asks for it."""
        left, top = self.scroll_offset
        at, width = y + top, self.size.width
        line = self._lines[at] if at < len(self._lines) else ""
        strip = Strip([Segment(line, self.rich_style)])
        return strip.crop_extend(left, left + width, self.rich_style)
