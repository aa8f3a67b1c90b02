"""Watches what running jobs say of their progress; sleeps for good while none says anything.

Twice a second it looks at all of them. Once they have said nothing for a few rounds the kernel is
asked to tell of the next write (inotify(7)), and nobody looks until then. It would cost more than
the looks for jobs that are short, or that write all the time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from jobd.core.progress.recognition import (
    HEAD,
    TOO_SLOW,
    WINDOW,
    Reading,
    from_file,
    from_output,
    wants_head,
)
from jobd.core.progress.user_pattern import AUTO, NONE, PATIENCE, Rule, TooSlowError, compile_rule
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.outputs.watches import Watches
from jobd.outputs.workspace import Growing, NotCuttable, Output
from jobd.system.write_watch import Watched, WriteWatch

_EVERY: Final = 0.5
"""Seconds between two looks at running jobs."""
_SILENT: Final = 4
"""Rounds without anything new after which there are none until something is written."""
_FREELY: Final = 200
"""Reports of an attempt that are told as they come. One that has more, as for each of many files,
is told of once in `_SPARSELY` seconds: each is an event in the history.
"""
_SPARSELY: Final = 5.0

log = logging.getLogger(__name__)


class Monitor:
    """A thread for each engine, so that slow outputs of one hold up no other's; `last_look` is
    called by that of the run's worker.

    Promises that nobody hears of the same progress twice.
    """

    def __init__(
        self,
        engines: Engines,
        runs: Runs,
        report: Callable[[Run, Reading], object],
        writes: WriteWatch,
        max_output: Callable[[], int] = int,
    ) -> None:
        """`writes` is closed after this.

        `max_output`: the limit of jobs that have none of their own; 0 is none.
        """
        self._engines = engines
        self._runs = runs
        self._report = report
        self._writes = writes
        self._max_output = max_output
        self._uncut: WeakSet[Run] = WeakSet()
        """Those of which it was told that they cannot be cut."""
        self._whole: set[str] = set()
        """Engines whose outputs cannot be cut where they lie."""
        self._sights: WeakKeyDictionary[Run, _Sight] = WeakKeyDictionary()
        self._awake = {name: threading.Event() for name in engines}
        """By engine: set as long as there may be something to look at."""
        self._closed = threading.Event()

    def start(self) -> None:
        for name in self._engines:
            threading.Thread(
                target=self._run, args=[name], name=f"monitor {name}", daemon=True
            ).start()

    def close(self) -> None:
        self._closed.set()
        for awake in self._awake.values():
            awake.set()

    def wake(self, run: Run) -> None:
        """It runs from now on, or has ended."""
        awake = self._awake[run.engine]
        if not awake.is_set():
            awake.set()

    def last_look(self, run: Run) -> Reading | None:
        """What the job said since the last look, when it has ended; how much it has printed in all
        is noted in the run. What cannot be read keeps no end from being recorded.
        """
        self.wake(run)
        try:
            return self._look_last(run)
        except Exception:
            log.exception("job %d: what it said last cannot be read", run.id)
            return None

    def _look_last(self, run: Run) -> Reading | None:
        self._cut(run, final=True)
        run.output_bytes = self._output_of(run).size()
        if not run.output_bytes and run not in self._sights and not self._report_of(run).news():
            return None
        return self._look(run, anew=True)

    def _output_of(self, run: Run) -> Output:
        return self._engines[run.engine].workspace.output_of(run.id, run.attempt)

    def _run(self, engine: str) -> None:
        awake, silent = self._awake[engine], 0
        watches, known = Watches(self._writes, awake.set), list[Run]()
        while awake.wait() and not self._closed.wait(_EVERY):
            # Before the look: whatever comes after it wakes again.
            awake.clear()
            runs = self._runs_of(engine)
            stirs = self._look_at_all(runs)
            silent = 0 if stirs or runs != known else silent + 1
            known = runs
            if runs and silent < _SILENT:
                watches.only([])
                awake.set()
            elif self._closed.is_set() or not self._may_sleep(engine, runs, watches):
                awake.set()

    def _may_sleep(self, engine: str, runs: Sequence[Run], watches: Watches) -> bool:
        """As `_is_told`. Where an engine breaks down it is looked again and again: this thread
        goes on for all of its jobs.
        """
        try:
            return self._is_told(engine, runs, watches)
        except Exception:
            log.exception("engine %s: what its jobs write cannot be watched", engine)
            return False

    def _is_told(self, engine: str, runs: Sequence[Run], watches: Watches) -> bool:
        """Whether whatever these say from the last look on wakes this thread, and so does their
        end.
        """
        workspace = self._engines[engine].workspace
        if not runs:
            watches.only([])
            workspace.release()
            return True
        reports = workspace.reports
        if reports is None or not all(map(_is_under_way, runs)):
            return False
        outputs = [self._output_of(run) for run in runs if self._reads_output(run)]
        return watches.only(outputs, reports) == {Watched.BEFORE}

    def _reads_output(self, run: Run) -> bool:
        return bool(self._limit_of(run)) or self._sight_of(run).reads_output

    def _runs_of(self, engine: str) -> list[Run]:
        return [run for run in self._runs.all() if run.engine == engine]

    def _look_at_all(self, runs: Sequence[Run]) -> bool:
        """Whether any of them had something new, or has to be looked at again in any case.

        A user's rule that overruns its time costs a round at most one such time: all others
        that are users' wait for the next round, the rest does not wait.
        """
        overran = stirs = False
        for run in runs:
            try:
                self._cut(run)
                sight = self._sight_of(run)
                if overran and sight.is_by_users_rule:
                    continue  # there is another round: one that overran stirs
                reading = self._look(run)
            except Exception:
                log.exception("job %d: its progress cannot be read", run.id)
                continue
            overran = overran or sight.overran
            stirs = stirs or sight.stirs
            if reading is not None:
                self._report(run, reading)
        return stirs

    def _cut(self, run: Run, *, final: bool = False) -> None:
        limit = self._limit_of(run)
        if not limit:
            return
        try:
            # At its end two of us come: the rounds of this thread and the run's own worker.
            with run.cutting:
                self._output_of(run).cut(limit, final=final)
        except NotCuttable as error:
            self._whole.add(run.engine)
            where = self._output_of(run).path
            log.warning("%s: --max-output has no effect here: %s", where, error)
        except OSError as error:
            if run not in self._uncut:
                log.warning("job %d: its output cannot be cut now: %s", run.id, error)
            self._uncut.add(run)

    def _limit_of(self, run: Run) -> int:
        """Bytes of its output that are kept; 0: all."""
        own = run.spec.max_output
        limit = self._max_output() if own is None else own
        return 0 if run.engine in self._whole else limit

    def _look(self, run: Run, *, anew: bool = False) -> Reading | None:
        """What is new; whole percents are enough, so that an attempt has few such events."""
        sight = self._sight_of(run)
        # At its end two of us come; what the first one has given up the other does not try.
        with sight.looking:
            if anew:
                sight.forget()
            reading = self._seen(run, sight) or sight.late
            if reading is None or _alike(run.reading, reading, messages=sight.reports):
                sight.late = None
                return None
            if not (sight.is_due() or anew):
                sight.late = reading
                return None
            sight.told()
            run.reading = reading
            return reading

    def _seen(self, run: Run, sight: _Sight) -> Reading | None:
        try:
            return sight.look()
        except TooSlowError:
            text = run.spec.progress
            log.warning("job %d: --progress %r takes too long and is given up", run.id, text)
            return Reading(None if run.reading is None else run.reading.percent, TOO_SLOW)

    def _sight_of(self, run: Run) -> _Sight:
        sight = self._sights.get(run)
        if sight is None:
            report, output = self._report_of(run), self._output_of(run)
            # At its end two of us come, and both go by the one that is there first.
            sight = self._sights.setdefault(run, _Sight(report, output, _rule_of(run)))
        return sight

    def _report_of(self, run: Run) -> Growing:
        return self._engines[run.engine].workspace.report_of(run.id, run.attempt, WINDOW)


class _Sight:
    """What an attempt says, and where."""

    def __init__(self, report: Growing, output: Output, rule: Rule) -> None:
        self._report = report
        self._output = output
        self._printed = output.growing(WINDOW)
        self.reports = False
        """It has written into its `JOBD_PROGRESS`: from then on its output is not looked at."""
        self.late: Reading | None = None
        """What is to be told when it is due."""
        self.overran = False
        """The latest look was ended, since the rule had used up its time."""
        self.looking = threading.Lock()
        self._is_new = True
        self._rule = rule
        self._overrun = 0.0
        """Seconds of computing in all looks that were ended."""
        self._told = 0
        self._told_at = 0.0

    @property
    def stirs(self) -> bool:
        """It had something new at the last look, or has to be looked at again in any case."""
        return self._is_new or self.overran or self.late is not None

    @property
    def reads_output(self) -> bool:
        """Whether what is printed makes any difference."""
        return not (self.reports or self._rule is NONE)

    @property
    def is_by_users_rule(self) -> bool:
        return self._rule not in (AUTO, NONE)

    def forget(self) -> None:
        """Whatever it says now is news."""
        self._report.forget()
        self._printed.forget()

    def is_due(self) -> bool:
        return self._told < _FREELY or time.monotonic() - self._told_at >= _SPARSELY

    def told(self) -> None:
        self._told += 1
        self._told_at = time.monotonic()

    def look(self) -> Reading | None:
        """Raises: TooSlowError (once: the rule is given up)."""
        self.overran = False
        said = self._report.news()
        self._is_new = said is not None
        if said:
            self.reports = True
            return from_file(said)
        return self._read_output() if self.reads_output else None

    def _read_output(self) -> Reading | None:
        tail = self._printed.news()
        self._is_new = self._is_new or tail is not None
        if not tail:
            return None
        head = self._output.begin(HEAD) if wants_head(tail) else b""
        begin = time.thread_time()
        try:
            return from_output(tail, head, self._rule)
        except TooSlowError:
            self.overran = True
            self._overrun += time.thread_time() - begin
            if self._overrun >= PATIENCE / 2:
                self._rule = NONE
                raise
        # Most of the time went to other threads: it gets another chance.
        self._printed.forget()
        return None


def _is_under_way(run: Run) -> bool:
    """It has a process, of whose end this thread will be told."""
    return run.process is not None and run.ran.ended_at is None


def _alike(told: Reading | None, reading: Reading, *, messages: bool) -> bool:
    """`messages`: other words alone make a difference; a lost percentage always has some."""
    if told is None or told.percent is None or reading.percent is None:
        return told == reading
    same_words = told.message == reading.message or not (messages or reading.message)
    return int(told.percent) == int(reading.percent) and same_words


def _rule_of(run: Run) -> Rule:
    if run.reading is not None and run.reading.message == TOO_SLOW:
        return NONE  # an earlier daemon has given it up
    try:
        return compile_rule(run.spec.progress)
    except ValueError as error:  # another version of Python took it
        log.warning("job %d: --progress: %s", run.id, error)
        return NONE
