"""The group-commit writer: one thread, one transaction for everything that waits.

A caller hands in an action; the thread runs all that wait in the order in which they came, inside
one transaction, and commits once. Only then are the callers told, so what they acknowledge is on
disk, and one fsync serves them all; where that is slow and several come, it waits a moment for
more of them. `finally_do` runs last in every transaction: that is where free slots are filled, so
that the end of one job and the start of the next share one commit.

Memory that mirrors the disk is changed by actions too. Each such change leaves its undoing with
the `Undo` log; when a transaction fails, the log is played backwards, and memory is true again.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from jobd.contract.errors import JobdError, StoreFailed, StoreGone, shortage
from jobd.contract.wording import printable
from jobd.core.undo import Undo
from jobd.system.failpoints import failpoint

T = TypeVar("T")
_MAX_BATCH: Final = 256
"""Actions in one transaction at most, so that no caller waits for many others."""
_SLOW_S: Final = 0.002
"""A commit that takes so many seconds waits for its disk; now and then one does for the processor,
or has nothing to write: so all but one of the last few must have been slow.
"""
_LOOKED_AT: Final = 4
_GATHER: Final = 0.5
"""For so much of the time that a slow commit takes others may come to go with the next one."""
_LONGEST_GATHER_S: Final = 0.004

NO_SPACE: Final = "no space left on the disk of the database"
NOTHING_CHANGED: Final = "Nothing was changed"
"""By an action that could not be saved."""

log = logging.getLogger(__name__)


class _Item:
    __slots__ = ("action", "done", "error", "failed", "result")

    def __init__(
        self,
        action: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[JobdError], object],
    ) -> None:
        self.action = action
        self.done = done
        self.failed = failed
        self.result: Any = None
        self.error: JobdError | None = None

    def run(self) -> None:
        """A refusal comes before the action's first write, so it spoils nothing."""
        self.error = None
        try:
            self.result = self.action()
        except JobdError as error:
            self.error = error

    def tell(self) -> None:
        try:
            if self.error is None:
                self.done(self.result)
            else:
                self.failed(self.error)
        except Exception:
            log.exception("a caller could not be told the result of its action")


class Writer:
    """Any thread may call `post` and `call`; all actions are run by one thread of its own.

    Promises that who is told of an action's result is told after its commit.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        undo: Undo,
        check: Callable[[], object] = lambda: None,
        timed: Callable[[float], object] = lambda _: None,
    ) -> None:
        """`check` runs before each transaction; raises StoreGone where nothing can be saved.

        `timed` is told after each how many seconds it took.
        """
        self._db = connection
        self._undo = undo
        self._check = check
        self._timed = timed
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._closing = threading.Lock()
        """Held by who asks, so that nobody waits for an answer behind the end."""
        self._work: _Transactions | None = None

    @property
    def trouble(self) -> str | None:
        """Why the last transaction failed; None while all is well."""
        return None if self._work is None else self._work.trouble

    def start(
        self,
        finally_do: Callable[[], Callable[[], object]],
        in_trouble: Callable[[Exception], object] = lambda _: None,
        broken: Callable[[], object] = lambda: None,
        saved: Callable[[], object] = lambda: None,
    ) -> None:
        """Write from now on. Last of all, since what is called here may need all the others.

        `finally_do` runs inside each transaction; what it returns runs after the commit.
        `in_trouble`: called when a transaction has failed, so that what must not be dropped is
        tried again. `broken`: called when the thread cannot go on: memory may be untrue from then.
        `saved`: called after each commit, last of all.
        """
        then = _Then(finally_do, in_trouble, broken, saved)
        self._work = _Transactions(
            self._db, self._undo, self._check, self._timed, self._queue, then
        )
        self._thread = threading.Thread(target=self._work.run, name="writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what waits and end; later calls fail."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def post(
        self,
        action: Callable[[], T],
        done: Callable[[T], object] = lambda _: None,
        failed: Callable[[JobdError], object] = lambda _: None,
    ) -> None:
        """Run the action soon; `done` or `failed` is called by the writer after the commit."""
        self._queue.put(_Item(action, done, failed))

    def call(self, action: Callable[[], T]) -> T:
        """Run the action and wait until it is on disk.

        Raises: JobdError (refused by the action, or StoreFailed).
        """
        future: Future[T] = Future()
        with self._closing:
            if self._closed or self._thread is None or not self._thread.is_alive():
                raise StoreFailed("the daemon has closed its database; ask again")
            self.post(action, future.set_result, future.set_exception)
        return future.result()

    def rehearse(self, action: Callable[[], T]) -> T:
        """What the action would give; all that it does is taken back, on disk and in memory.

        Raises: what `call` does.
        """
        return self.call(partial(self._taken_back, action))

    def _taken_back(self, action: Callable[[], T]) -> T:
        mark = self._undo.mark
        self._db.execute("SAVEPOINT rehearsal")
        try:
            return action()
        finally:
            self._db.execute("ROLLBACK TO rehearsal")
            self._db.execute("RELEASE rehearsal")
            self._undo.play(mark)

    def nudge(self) -> None:
        """Let a transaction happen, for what `finally_do` has to do."""
        self.post(lambda: None)


class _Then(NamedTuple):
    """What follows: as `Writer.start` has it."""

    finally_do: Callable[[], Callable[[], object]]
    in_trouble: Callable[[Exception], object]
    broken: Callable[[], object]
    saved: Callable[[], object]


class _Transactions:
    """What the writer's thread does. It is complete when it begins."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        undo: Undo,
        check: Callable[[], object],
        timed: Callable[[float], object],
        waiting: queue.SimpleQueue[_Item | None],
        then: _Then,
    ) -> None:
        self._db = connection
        self._undo = undo
        self._check = check
        self._timed = timed
        self._waiting = waiting
        self._then = then
        self._took = deque([0.0] * _LOOKED_AT, _LOOKED_AT)
        """How many seconds each of the last commits has taken."""
        self._had_several = False
        """Whether more than one action went with it."""
        self.trouble: str | None = None
        """As `Writer.trouble`."""

    def run(self) -> None:
        try:
            while self._serve():
                pass
        except Exception:
            log.critical("the writer broke down", exc_info=True)
            self._then.broken()

    def _serve(self) -> bool:
        """One transaction, once there is something for it; False: it was the last.

        Nothing of it outlives the call: a plan of a million jobs would be kept until the next one.
        """
        are_queued = not self._waiting.empty()
        item = self._waiting.get()
        if item is None:
            return False
        if are_queued or self._had_several:
            self._let_others_come()
        batch, last = self._gather(item)
        self._had_several = len(batch) > 1
        if not self._commit(batch):
            for single in batch:
                self._commit_alone(single)
        return not last

    def _let_others_come(self) -> None:
        """Several want something of a slow disk, and were told together. Who of them comes back a
        moment after the first would wait for two of its commits.
        """
        usual = sorted(self._took)[1]
        if usual >= _SLOW_S:
            time.sleep(min(usual * _GATHER, _LONGEST_GATHER_S))

    def _gather(self, first: _Item) -> tuple[list[_Item], bool]:
        """All that waits now, and whether the end came with it."""
        batch = [first]
        # Nobody else takes from it.
        while len(batch) < _MAX_BATCH and not self._waiting.empty():
            item = self._waiting.get_nowait()
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _commit(self, batch: list[_Item]) -> bool:
        began = time.perf_counter()
        try:
            self._check()
            self._db.execute("BEGIN IMMEDIATE")
            for item in batch:
                item.run()
            afterwards = self._then.finally_do()
            failpoint("before-commit")
            ready = time.perf_counter()
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, memory must be true again
            self._take_back(error)
            return False
        failpoint("after-commit")
        now = time.perf_counter()
        self._took.append(now - ready)
        self._timed(now - began)
        self._undo.clear()
        self.trouble = None
        for item in batch:
            item.tell()
        # The next runs are handed over before `saved` wakes those who wait for an end: they would
        # take the interpreter.
        _follow(afterwards)
        _follow(self._then.saved)
        return True

    def _commit_alone(self, item: _Item) -> None:
        """An action must not suffer from its neighbours: each gets a transaction of its own."""
        try:
            self._check()
            self._db.execute("BEGIN IMMEDIATE")
            item.run()
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it is the caller's to know
            self._take_back(error)
            kind = StoreGone if isinstance(error, StoreGone) else StoreFailed
            item.error = kind(f"could not be saved: {_words(error)}. {NOTHING_CHANGED}")
        else:
            self._undo.clear()
        item.tell()
        _follow(self._then.saved)

    def _take_back(self, error: Exception) -> None:
        known, self.trouble = self.trouble, _words(error)
        if not isinstance(error, sqlite3.Error | JobdError):
            log.error("a transaction failed", exc_info=error)
        elif self.trouble != known:
            # Once: it is tried again and again until it is over.
            log.error("a transaction failed: %s", self.trouble)
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("the rollback failed")
        self._undo.play()
        if self._db.in_transaction:
            raise error
        self._then.in_trouble(error)


def _follow(step: Callable[[], object]) -> None:
    """What was committed stays so; the writer must live on whatever happens."""
    try:
        step()
    except Exception:
        log.exception("what follows a commit broke down")


def _words(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return NO_SPACE
    # The text may name the database, whose path may be of any bytes.
    return printable(shortage(error) or str(error) or type(error).__name__)
