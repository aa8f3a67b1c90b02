"""Threads of a pool that take one piece of work after the other; one more where none is free."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Crew(Generic[T]):
    """Any thread may call.

    What the pool is given is each thread's whole life, not a piece of work: it would make a future
    for each, with a condition to wait on. Nobody waits for these, and to make one costs more than
    to hand the work over.
    """

    def __init__(self, name: str, most: int, work: Callable[[T], object]) -> None:
        """`work` is called by a thread of the crew, of `most`, with each piece that was given."""
        self._name = name
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._work = work
        self._given: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._spare = 0
        """Threads that are free, less the pieces that wait for one."""
        self._size = 0
        self._closed = False

    def give(self, piece: T) -> None:
        """It is begun at once.

        Raises: RuntimeError (the machine gives no thread, or the crew is closed); nothing is taken.
        """
        with self._lock:
            if self._spare > 0 and not self._closed:
                self._spare -= 1
            else:
                self._enlarge()
        self._given.put(piece)

    def owe(self, piece: T) -> None:
        """It is begun as soon as a thread is free."""
        with self._lock:
            self._spare -= 1
        self._given.put(piece)

    def reinforce(self) -> None:
        """One more thread, if there is work that waits for one.

        Raises: as `give`.
        """
        with self._lock:
            if self._spare < 0:
                self._enlarge()
                self._spare += 1

    def close(self) -> None:
        """Nobody is waited for. What has not begun never will."""
        with self._lock:
            self._closed = True
            self._pool.shutdown(wait=False, cancel_futures=True)
            for _ in range(self._size):
                self._given.put(None)

    def _enlarge(self) -> None:
        if self._closed:
            raise RuntimeError("the crew is closed")
        # Where the machine gives no thread, the pool keeps a life for its next one: all are alike.
        self._pool.submit(self._run)
        self._size += 1

    def _run(self) -> None:
        while (piece := self._given.get()) is not None and not self._closed:
            try:
                self._work(piece)
            except Exception:
                log.exception("%s: a piece of work broke down", self._name)
            # Or it would keep what it has done until there is something else to do.
            del piece
            with self._lock:
                self._spare += 1
