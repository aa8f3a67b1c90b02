"""Who follows an output sleeps until something is written to it, or happens to its job; who watches
several, until something is written to one of them, or happens to any job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.notifier import Notifier
from jobd.outputs.watches import Watches
from jobd.outputs.workspace import Output
from jobd.store.reader import Reader
from jobd.system.presence import Sleepers
from jobd.system.write_watch import Watched, WriteWatch

log = logging.getLogger(__name__)
_FIRST_LOOK_S: Final = 0.005
_LOOK_EVERY_S: Final = 0.1
"""Seconds between two looks at an output that the kernel does not watch: at first, and at most."""
_BREATH_S: Final = 0.01
"""Seconds between two looks at what happened: a busy queue does not keep the thread at work."""
_EVENTS: Final = 1000
"""Events that are read to know whose they are; of more everybody is told."""
_LONG_S: Final = 3600.0
"""Seconds; as good as for ever."""


class Follower:
    """One request that waits; its client's thread calls, apart from `happened` and `written`."""

    def __init__(self, writes: WriteWatch, *, is_told: bool) -> None:
        """`is_told`: there is a thread that tells what happens to jobs."""
        self._watches = Watches(writes, self.written)
        self._is_told = is_told
        self._asleep = Sleepers()
        self._is_written = self._has_happened = False
        self._pause = _FIRST_LOOK_S

    def happened(self) -> None:
        """Something has happened to its job, or for who watches to any."""
        self._has_happened = True
        self._asleep.wake()

    def written(self) -> None:
        """Something has happened to one of its files."""
        self._is_written = True
        self._asleep.wake()

    def forget(self) -> None:
        """Before a look, which sees all that was told until now."""
        self._is_written = self._has_happened = False

    def wait(self, outputs: Sequence[Output], seconds: float) -> None:
        """Until there may be something new since `forget`, `seconds` at most.

        `outputs`: what is being written; of none of them, only its job can have news.
        """
        # These, and no others: a job may have gone on to its next attempt.
        found = self._watches.only(outputs)
        if Watched.SINCE_NOW in found:
            return
        if Watched.NOT in found or not self._is_told:
            # A file is not made yet, or the machine has no watch or thread left to give: then it
            # is looked at again and again, as long as that lasts.
            seconds = min(self._pause, seconds)
            self._pause = min(2 * self._pause, _LOOK_EVERY_S)
        self._asleep.sleep_until(lambda: self._is_written or self._has_happened, seconds)

    def gather(self, seconds: float) -> None:
        """Let more be written before it is read; not once something has happened to the job."""
        self._asleep.sleep_until(lambda: self._has_happened, seconds)

    def leave(self) -> None:
        self._watches.only([])


class Followers:
    """All who follow. Built once; a thread reads whose the events are while anybody follows."""

    def __init__(self, notifier: Notifier, reader: Reader, writes: WriteWatch) -> None:
        """`writes` is closed after this."""
        self._notifier = notifier
        self._reader = reader
        self._writes = writes
        self._lock = threading.Condition()
        self._by_job: dict[int | None, set[Follower]] = {}
        """None: those who want to hear of every job, and of the daemon."""
        self._seen = 0
        """The last event of which everybody was told."""
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Nobody is woken any more."""
        return self._closed.is_set()

    @contextmanager
    def follow(self, job: int | None) -> Iterator[Follower]:
        """What happens to the job from here on wakes; None: whatever happens at all."""
        with self._lock:
            follower = Follower(self._writes, is_told=self._started())
            if not self._by_job:
                # Whatever is behind it will be told; what is before, a look from now on sees.
                self._seen = self._notifier.last_event
            self._by_job.setdefault(job, set()).add(follower)
            self._lock.notify()
        try:
            yield follower
        finally:
            follower.leave()
            with self._lock:
                self._by_job[job].discard(follower)
                if not self._by_job[job]:
                    del self._by_job[job]

    def close(self) -> None:
        """Let everybody go, after one more look. The notifier is closed after this."""
        self._closed.set()
        with self._lock:
            self._lock.notify_all()
            for follower in self._all():
                follower.happened()

    # --- what happens to jobs -----------------------------------------------------------------

    def _started(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="followers", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._tell(*self._happened())
            except JobdError as error:
                log.warning("whose the news are cannot be read: %s", error)
                self._tell(None, self._notifier.last_event)
            except Exception:
                # Without this thread followers would hear of an end only when they ask again.
                log.exception("followers could not be told what happened")
                self._tell(None, self._notifier.last_event)
            self._closed.wait(_BREATH_S)

    def _happened(self) -> tuple[set[int | None] | None, int]:
        """Wait for events while anybody follows: whose they are (None: everybody's), and the last.

        Raises: JobdError (they cannot be read).
        """
        with self._lock:
            self._lock.wait_for(lambda: self._by_job or self._closed.is_set())
            seen = self._seen
        if self._closed.is_set() or not self._notifier.wait_event(seen, _LONG_S):
            return set(), seen
        newest = self._notifier.last_event
        found = self._reader.events(seen, [], _EVENTS)
        # Of some that are more than are read, or kept no more, nobody knows whose they were.
        is_whole = newest - seen <= len(found) < _EVENTS
        return ({event.job for event in found} if is_whole else None), newest

    def _tell(self, jobs: set[int | None] | None, newest: int) -> None:
        with self._lock:
            self._seen = newest
            for follower in self._all() if jobs is None else self._of(jobs | {None}):
                follower.happened()

    def _all(self) -> Iterator[Follower]:
        for followers in self._by_job.values():
            yield from followers

    def _of(self, jobs: set[int | None]) -> Iterator[Follower]:
        for job in jobs:
            yield from self._by_job.get(job, ())
