"""The line that says how far it is, to whom waits before a terminal: drawn over and over in its
place, and gone before anything else is said.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

from jobctl.render import streams, text, words
from jobd.contract.models import Job
from jobd.contract.overviews import HowFar
from jobd.contract.states import State
from jobd.contract.wording import counted, printable

_TICK_S: Final = 1.0
"""Seconds after which times are drawn again."""
_UP: Final = "\x1b[{}A"
_ERASE: Final = "\r\x1b[J"


def sentence(now: HowFar, width: int) -> str:
    """`array 1-100  42 completed, 3 running, 55 pending  42%, 12m left`."""
    if now.job is not None:
        return text.cut(printable(_of_job(now.job)), width)
    total = sum(now.counts.values())
    name = counted(total, "job") if now.array is None else words.array_name(now.array)
    progress = words.progress_of(now.counts, now.eta_s) if now.to_end else ("", "")
    return text.cut(words.counted_as(name, now.counts, progress, width), width)


def _of_job(job: Job) -> str:
    """`job 7  running  40%, 3m left  epoch 4 of 10`, `job 7  running for 2m10s`."""
    state, message = job.state.value, None
    if job.state is State.RUNNING:
        message = job.progress_message
        if not job.eta_s:
            state = f"{state} for {text.duration(job.run_s)}"
    return "  ".join(filter(None, [f"job {job.id}", state, words.detail(job), message]))


class Line:
    """A context; whatever thread has news tells them (`show`), a thread of its own draws.

    Only where stderr is a terminal whose cursor can be moved, and while this process has it.
    """

    def __init__(self, hint: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`hint`: stands behind it where there is room."""
        self._hint = hint
        self._clock = clock
        self._changed = threading.Condition()
        self._now: HowFar | None = None
        self._seen_at = 0.0
        self._drawn = ""
        self._is_over = False

    def __enter__(self) -> Self:
        streams.beside.append(self._aside)
        with suppress(RuntimeError):  # the machine gives no thread: then nothing is drawn
            threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        streams.beside.remove(self._aside)

    def close(self) -> None:
        """It is gone, for good."""
        with self._changed:
            self._is_over = True
            self._wipe()
            self._changed.notify()

    def show(self, now: HowFar | None) -> None:
        """None: it is not known how far it is."""
        with self._changed:
            self._now, self._seen_at = now, self._clock()
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._is_over:
                self._draw()
                self._changed.wait(_TICK_S if self._now is not None and self._now.ticks else None)

    def _draw(self) -> None:
        if self._now is None or not _is_ours():
            self._wipe()
            return
        # The last column stays free: there the cursor of some terminals waits, of others goes on.
        width = shutil.get_terminal_size().columns - 1
        said = sentence(self._now.later(max(0.0, self._clock() - self._seen_at)), width)
        if text.columns(said) + text.columns(self._hint) + 2 <= width:
            said = f"{said}  {self._hint}"
        if said != self._drawn:
            streams.draw(self._over(), said)
            self._drawn = said

    def _wipe(self) -> None:
        if self._drawn:
            streams.draw(self._over())
            self._drawn = ""

    def _over(self) -> str:
        """Back to its begin: on a terminal that has become narrower it takes several rows."""
        rows = (text.columns(self._drawn) - 1) // max(1, shutil.get_terminal_size().columns)
        return (_UP.format(rows) if rows > 0 else "") + _ERASE

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """While something else is written on stderr."""
        with self._changed:
            self._wipe()
            yield
            self._changed.notify()


def _is_ours() -> bool:
    """Whether we are what the terminal shows just now, and not in the background."""
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:
        return False
