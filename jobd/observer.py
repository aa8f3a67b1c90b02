"""Watches what running jobs say of their progress; sleeps for good while none runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from jobd.contract.paths import Paths, output_name
from jobd.core.progress import HEAD, Reading, from_file, from_output, wants_head
from jobd.core.rules import NONE, Rule, compile_rule
from jobd.cuts import NoHolesError, cut, kept_size
from jobd.outputs import Growing, read_head
from jobd.runs import Run, Runs

_EVERY: Final = 0.5
"""Seconds between two looks at running jobs."""
_FREELY: Final = 200
"""Reports of an attempt that are told as they come. One that has more, as for each of many files,
is told of once in `_SPARSELY` seconds: each is an event in the history.
"""
_SPARSELY: Final = 5.0
_PATIENCE: Final = 0.5
"""Seconds of computing after which a rule is given up, though it was tried when submitted."""

log = logging.getLogger(__name__)


class Observer:
    def __init__(
        self,
        paths: Paths,
        runs: Runs,
        report: Callable[[Run, Reading], object],
        max_output: int = 0,
    ) -> None:
        """`max_output`: the limit of jobs that have none of their own; 0 is none."""
        # As text: these are put together for every job.
        self._output = str(paths.output)
        self._progress = str(paths.progress)
        self._runs = runs
        self._report = report
        self._max_output = max_output
        self._uncut: WeakSet[Run] = WeakSet()
        """Those of which it was told that they cannot be cut."""
        self._cuts = True
        """Whether outputs can be cut where they lie."""
        self._sights: WeakKeyDictionary[Run, _Sight] = WeakKeyDictionary()
        self._something_runs = threading.Event()
        self._closed = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._something_runs.set()

    def wake(self) -> None:
        if not self._something_runs.is_set():
            self._something_runs.set()

    def file_of(self, run: Run) -> str:
        """The `JOBD_PROGRESS` of an attempt."""
        return f"{self._progress}/{run.job}.{run.attempt}"

    def last_look(self, run: Run) -> Reading | None:
        """What the job said since the last look, when it has ended."""
        self._cut(run, final=True)
        return self._look(run, anew=True)

    def output_bytes(self, run: Run) -> int:
        return kept_size(self._output_of(run))

    def _output_of(self, run: Run) -> str:
        return f"{self._output}/{output_name(run.job, run.attempt)}"

    def _run(self) -> None:
        while self._something_runs.wait() and not self._closed.wait(_EVERY):
            if not self._runs:
                self._something_runs.clear()
                # A job that came between the look and the clearing.
                if self._runs:
                    self._something_runs.set()
                continue
            self._look_at_all()

    def _look_at_all(self) -> None:
        for run in self._runs.all():
            try:
                self._cut(run)
                reading = self._look(run)
            except Exception:
                log.exception("job %d: its progress cannot be read", run.job)
                continue
            if reading is not None:
                self._report(run, reading)

    def _cut(self, run: Run, *, final: bool = False) -> None:
        own = run.started.spec.max_output
        limit = self._max_output if own is None else own
        if not limit or not self._cuts:
            return
        try:
            # At its end two of us come: the rounds of this thread and the run's own worker.
            with run.cutting:
                cut(self._output_of(run), limit, final=final)
        except NoHolesError as error:
            self._cuts = False
            log.warning("%s: --max-output has no effect here: %s", self._output, error)
        except OSError as error:
            if run not in self._uncut:
                log.warning("job %d: its output cannot be cut now: %s", run.job, error)
            self._uncut.add(run)

    def _look(self, run: Run, *, anew: bool = False) -> Reading | None:
        """What is new; whole percents are enough, so that an attempt has few such events."""
        sight = self._sight_of(run)
        if anew:
            sight.file.forget()
            sight.output.forget()
        reading = sight.look() or sight.late
        if reading is None or _alike(run.reading, reading, messages=sight.reports):
            sight.late = None
            return None
        if not (sight.is_due() or anew):
            sight.late = reading
            return None
        sight.told()
        run.reading = reading
        return reading

    def _sight_of(self, run: Run) -> _Sight:
        sight = self._sights.get(run)
        if sight is None:
            rule = _rule_of(run)
            sight = self._sights[run] = _Sight(self.file_of(run), self._output_of(run), rule)
        return sight


class _Sight:
    """What an attempt says, and where."""

    def __init__(self, file: str, output: str, rule: Rule) -> None:
        self.file = Growing(file)
        self.output = Growing(output)
        self.reports = False
        """It has written into its `JOBD_PROGRESS`: from then on its output is not looked at."""
        self.late: Reading | None = None
        """What is to be told when it is due."""
        self._rule = rule
        self._told = 0
        self._told_at = 0.0

    def is_due(self) -> bool:
        return self._told < _FREELY or time.monotonic() - self._told_at >= _SPARSELY

    def told(self) -> None:
        self._told += 1
        self._told_at = time.monotonic()

    def look(self) -> Reading | None:
        said = self.file.news()
        if said:
            self.reports = True
            return from_file(said)
        return None if self.reports or self._rule is NONE else self._read_output()

    def _read_output(self) -> Reading | None:
        tail = self.output.news()
        if not tail:
            return None
        head = read_head(self.output.path, HEAD) if wants_head(tail) else b""
        begin = time.thread_time()
        reading = from_output(tail, head, self._rule)
        if time.thread_time() - begin > _PATIENCE:
            log.warning("%s: --progress %r takes too long", self.output.path, self._rule.text)
            self._rule = NONE
        return reading


def _alike(told: Reading | None, reading: Reading, *, messages: bool) -> bool:
    return (
        told is not None
        and int(told.percent) == int(reading.percent)
        and (told.message == reading.message or not messages)
    )


def _rule_of(run: Run) -> Rule:
    try:
        return compile_rule(run.started.spec.progress)
    except ValueError as error:  # another version of Python took it
        log.warning("job %d: --progress: %s", run.job, error)
        return NONE
