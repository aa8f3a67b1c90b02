"""The lines of `watch` on a terminal: a row per running job, and the counts of the rest."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from jobctl.render import streams, text, words
from jobctl.render.names import cut_apart
from jobd.contract.models import Array, Job
from jobd.contract.states import State
from jobd.contract.wording import printable

if TYPE_CHECKING:
    from jobd.contract.overviews import Picture

BY_KEY: Final = "q leaves"
BY_SIGNAL: Final = "Ctrl-C leaves"
_BAR: Final = 30
"""Columns of a bar at most; on a wide terminal a fifth of it."""
_LINE: Final = 20
"""Columns that the last line of output gets before the bar takes more than it needs."""
_SHORTEST_LINE: Final = 7
_SMALL_BAR: Final = 10
_SMALLEST_BAR: Final = 5


class _Layout(Struct, frozen=True):
    """Columns of each part; 0 leaves it out."""

    number: int
    name: int
    bar: int
    percent: int
    left: int


def lines(picture: Picture, console: Console, leave: str = BY_SIGNAL) -> list[Text]:
    """From top to bottom, with the way to leave at the end. Each is at most as wide as the console
    but for one column.

    In the last column the cursor of some terminals waits and of others goes on.
    """
    width = max(1, console.width - 1)
    layout = _layout(picture, width)
    single = [job for job in picture.running if job.id not in picture.arrays]
    names = cut_apart([_name(job) for job in single], layout.name)
    named = dict(zip([job.id for job in single], names, strict=True))
    found = []
    for job in picture.running:
        if job.id in picture.arrays:
            found.append(_array(job, picture.arrays[job.id], layout, console))
        else:
            row = _row(job, named[job.id], layout, console)
            _add_line(row, picture.lines.get(job.id) or job.progress_message or "", width)
            found.append(row)
    if picture.more:
        found.append(Text(f"{'':>{layout.number}} and {picture.more:,} more running"))
    found.append(_footer(picture, width, leave))
    for line in found:
        line.truncate(width, overflow="ellipsis")
        while text.columns(line.plain) > width:
            # What rich takes for a mark on the character before, terminals may show beside it.
            line.right_crop()
    return found


def _layout(picture: Picture, width: int) -> _Layout:
    running = [job for job in picture.running if job.id not in picture.arrays]
    arrays = [*picture.arrays.values()]
    number = max(
        [
            3,
            *(len(str(job.id)) for job in running),
            *(len(words.array_ids(each)) for each in arrays),
        ]
    )
    longest = max([0, *(text.columns(_name(job)) for job in running)])
    name = max(
        [min(longest, max(6, width // 4)), *(len(words.array_name(each)) for each in arrays)]
    )
    told = [words.array_progress(each) for each in arrays]
    known = any(_known(job) is not None for job in running) or any(done for done, _ in told)
    percents = [*map(_percent, running), *(done for done, _ in told)]
    percent = max([3, *map(len, percents)]) if known else 0
    left = max([0, *(len(_left(job)) for job in running), *(len(left) for _, left in told)])
    rest = width - (number + 1 + name + 2 + percent + 2 + left + 2)
    most = max(_BAR, width // 5)
    bar = max(min(most, rest - _LINE), min(_SMALL_BAR, rest)) if percent else 0
    return _Layout(number, name, bar if bar >= _SMALLEST_BAR else 0, percent, left)


def ended(job: Job, array: Array) -> Text:
    """The line that an array leaves behind: `3-102  array 1-100  99 completed, 1 failed  train`."""
    return Text(words.array_row(job, array, streams.width()))


def _name(job: Job) -> str:
    """Elements of an array are told apart by their index."""
    index = "" if job.array_index is None else f"[{job.array_index}]"
    return printable(f"{job.name or job.command}{index}")


def _left(job: Job) -> str:
    """What is left, or where nobody knows how long it has run."""
    if job.paused:
        return "paused"
    return text.left(job.eta_s) if job.eta_s else text.duration(job.run_s)


def _row(job: Job, name: str, layout: _Layout, console: Console) -> Text:
    row = Text(f"{job.id:>{layout.number}} {text.padded(name, layout.name)}")
    if layout.bar:
        row.append("  ").append_text(_bar(_known(job), layout.bar, console))
    if layout.percent:
        row.append(f"  {_percent(job):>{layout.percent}}")
    if layout.left:
        row.append(f"  {_left(job):<{layout.left}}")
    return row


def _array(job: Job, array: Array, layout: _Layout, console: Console) -> Text:
    """As the other rows, with the counts in the place of what is printed; where these have no
    room there, as the row of `ls`.
    """
    width = console.width - 1
    name, (done, left) = words.array_name(array), words.array_progress(array)
    row = Text(f"{words.array_ids(array):>{layout.number}} {text.padded(name, layout.name)}")
    if layout.bar:
        row.append("  ").append_text(_bar(words.array_percent(array), layout.bar, console))
    if layout.percent:
        row.append(f"  {done:>{layout.percent}}")
    if layout.left:
        row.append(f"  {left:<{layout.left}}")
    row.append(f"  {words.array_counts(array)}")
    if row.cell_len > width:
        told = words.array(array, width - layout.number - 1)
        row = Text(f"{words.array_ids(array):>{layout.number}} {told}")
    _add_line(row, job.name or job.command, width)
    return row


def _add_line(row: Text, said: str, width: int) -> None:
    """Behind the rest, where enough of it can be read to be worth it."""
    if width - row.cell_len >= _SHORTEST_LINE:
        row.append(f"  {printable(said)}", style="dim")
    row.rstrip()


def _known(job: Job) -> float | None:
    """From 0 to 100; None: nobody knows."""
    progress = job.progress
    return min(100.0, max(0.0, progress)) if progress is not None and isfinite(progress) else None


def _percent(job: Job) -> str:
    progress = _known(job)
    return "" if progress is None else f"{int(progress)}%"


def _bar(progress: float | None, width: int, console: Console) -> Text:
    if progress is None:
        return Text(" " * width)
    bar = ProgressBar(total=100, completed=progress, width=width)
    parts = [(segment.text, segment.style or "") for segment in console.render(bar)]
    drawn = Text.assemble(*parts)
    drawn.rstrip()
    return Text(text.padded(drawn.plain, width), spans=drawn.spans)


def _footer(picture: Picture, width: int, leave: str) -> Text:
    footer = counted(picture)
    space = width - len(footer) - len(leave)
    if space > 1:
        footer.append(f"{' ' * space}{leave}")
    footer.stylize("dim")
    return footer


def counted(picture: Picture) -> Text:
    """`1 of 3 workers busy · 1 pending · 1 failed`."""
    rest = dict(picture.counts)
    running = rest.pop(State.RUNNING, 0)
    first = f"{running:,} running"
    if picture.workers is not None:
        first = f"{picture.busy:,} of {picture.workers:,} workers busy"
    return Text(" · ".join([first, *words.by_state(rest)]))
