"""The live part of a terminal: some lines above the cursor that are drawn again and again.

Cursor and screen of the terminal stay as they are, so that there is nothing to put back, whatever
ends the program; what becomes of the keys `jobctl.render.keys` says. The cursor rests at the start
of the line below, where the `^C` of Ctrl-C does no harm.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.text import Text

from jobctl.render import live, rows, streams
from jobctl.render.keys import Keys
from jobd.contract.models import Event
from jobd.contract.states import EventName
from jobd.contract.wording import printable

if TYPE_CHECKING:
    from jobd.contract.overviews import Picture

_ENDS: Final[dict[str, str]] = {
    EventName.COMPLETED: "green",
    EventName.FAILED: "red",
    EventName.STOPPED: "yellow",
    EventName.RETRYING: "yellow",
}
"""Events that stay on the screen, and the colour of each."""
_ALONE: Final = 10
"""Ends that come at one time and are told one by one; beyond, the completed ones only count."""
_BESIDE_ROWS: Final = 3
"""Lines of the terminal that are no rows: "more running", the counts, the cursor."""
_TICK_S: Final = 1.0
"""Seconds after which the times of running jobs are drawn again."""
_UP: Final = "\x1b[{}A"
_ERASE_RIGHT: Final = "\x1b[K"
_ERASE_BELOW: Final = "\x1b[J"


class LiveScreen:
    """What `watch` draws on. As a context it leaves the counts behind as a last line.

    For the main thread: meanwhile SIGWINCH, SIGALRM and the timer that sends it are its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._picture: Picture | None = None
        self._seen_at = 0.0
        """When the picture was so."""
        self._drawn: list[str] = []
        """The lines on the screen, without colour."""
        self._width = 0
        self._frame = ""
        self._names: dict[int, str] = {}
        self._may_redraw = False
        self._keys = Keys(self._resumed)
        self._before = ExitStack()
        """What puts everything back."""

    def __enter__(self) -> Self:
        for number in (signal.SIGWINCH, signal.SIGALRM):
            self._before.callback(signal.signal, number, signal.signal(number, self._redraw))
        # Put back first of all: by default an alarm ends the process.
        self._before.callback(
            signal.setitimer, signal.ITIMER_REAL, *signal.setitimer(signal.ITIMER_REAL, 0.0)
        )
        self._before.enter_context(self._keys)
        return self

    def __exit__(self, *_: object) -> None:
        self._before.close()
        if self._picture is None:
            return
        counts = rows.counted(self._picture)
        self._picture = None
        self._write([counts], [])

    def room(self) -> int:
        return max(1, shutil.get_terminal_size().lines - _BESIDE_ROWS)

    def show(self, picture: Picture, said: Sequence[Event]) -> None:
        above = [_told(event, self._called(event, picture)) for event in _ends(said)]
        above += _summary(said)
        above += [rows.ended(job, array) for job, array in picture.ended]
        self._picture, self._seen_at = picture, self._clock()
        self._names = {job.id: job.name for job in picture.running if job.name}
        self._draw(above)
        tick = _TICK_S if any(not job.paused for job in picture.running) else 0.0
        signal.setitimer(signal.ITIMER_REAL, tick, tick)

    def _called(self, event: Event, picture: Picture) -> str:
        """The name of its job, or of the array that this is an element of."""
        number = event.job or 0
        arrays = [
            (job, picture.arrays[job.id]) for job in picture.running if job.id in picture.arrays
        ]
        for job, array in [*arrays, *picture.ended]:
            if array.first <= number <= array.last:
                return job.name
        return self._names.get(number, "")

    def idle(self) -> None:
        self._may_redraw = True

    def busy(self) -> None:
        self._may_redraw = False

    def _redraw(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between two of its steps: only where it waits, it can be drawn."""
        del number, frame
        if self._may_redraw and self._picture is not None:
            self._may_redraw = False
            self._draw([])
            self._may_redraw = True

    def _resumed(self) -> None:
        """What others have written meanwhile stays above."""
        self._drawn, self._frame = [], ""
        if self._may_redraw:
            self._draw([])

    def _draw(self, above: Sequence[Text]) -> None:
        if self._picture is None:
            return
        now = self._picture.later(max(0.0, self._clock() - self._seen_at))
        leave = rows.BY_KEY if self._keys.are_read else rows.BY_SIGNAL
        *upper, last = rows.lines(now, _console(), leave)
        # More lines than the terminal has would scroll with every redraw.
        self._write(above, [*upper[: max(0, shutil.get_terminal_size().lines - 2)], last])

    def _write(self, above: Sequence[Text], drawn: Sequence[Text]) -> None:
        """In one go, so that nothing flickers; nothing at all where it is there already."""
        console = _console()
        with console.capture() as captured:
            for line in [*above, *drawn]:
                console.print(_fit(line), no_wrap=True, overflow="ignore", crop=False)
        frame = captured.get()
        if frame == self._frame and not above and console.width == self._width:
            return
        up = self._height(console.width)
        start = _UP.format(up) if up else ""
        streams.now(start + "\r" + frame.replace("\n", f"{_ERASE_RIGHT}\n") + _ERASE_BELOW)
        self._frame = "" if above else frame
        self._drawn, self._width = [line.plain for line in drawn], console.width

    def _height(self, width: int) -> int:
        """Lines that what was drawn takes now: a narrower terminal has broken the long ones."""
        from jobctl.render.text import columns

        return sum(max(1, -(-columns(line) // width)) for line in self._drawn)


def _fit(line: Text) -> Text:
    """Whoever made it has seen to it already, or it loses its colours."""
    return line if line.plain.isprintable() else Text(printable(line.plain))


def _console() -> Console:
    """Of the terminal's present size."""
    coloured = streams.in_colour(sys.stdout)
    return Console(
        file=sys.stdout,
        force_terminal=True,
        color_system="auto" if coloured else None,
        no_color=not coloured,
        width=shutil.get_terminal_size().columns,
        highlight=False,
        legacy_windows=False,
    )


def _ends(said: Sequence[Event]) -> list[Event]:
    """Those that are told one by one."""
    ends = [event for event in said if event.event in _ENDS]
    if len(ends) <= _ALONE:
        return ends
    return [event for event in ends if event.event != EventName.COMPLETED][:_ALONE]


def _summary(said: Sequence[Event]) -> list[Text]:
    """`312 more failed`. How many completed the counts say; a line at each redraw is no help."""
    alone, ends = Counter(event.event for event in _ends(said)), Counter(e.event for e in said)
    rest = [
        f"{ends[name] - alone[name]:,} more {name}"
        for name in _ENDS
        if name != EventName.COMPLETED and ends[name] > alone[name]
    ]
    return [Text(", ".join(rest))] if rest else []


def _told(event: Event, name: str) -> Text:
    """`job 3 failed (exit code 2)  prep`."""
    line = Text(printable(live.sentence(event)))
    line.highlight_words([event.event], style=_ENDS[event.event])
    return line.append(f"  {printable(name)}", style="dim") if name else line
