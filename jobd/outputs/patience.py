"""Looks at files for those who cannot wait for a file server that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

T = TypeVar("T")

_PATIENCE_S: Final = 0.5
"""For clients, who wait for it."""


class Patience:
    """One look at a time, each by a thread of its own: one that hangs keeps no second one hanging.

    Any thread may ask. Promises an answer within twice its time, a second unless told otherwise.
    """

    def __init__(self, seconds: float = _PATIENCE_S) -> None:
        """`seconds`: how long whoever asks waits for an answer, and before it for others."""
        self._seconds = seconds
        self._looking = threading.Lock()

    def of(self, look: Callable[[], T]) -> T | None:
        """What `look` gives; None: no answer comes, or there is no thread for it just now.

        Raises: what `look` raises.
        """
        if not self._looking.acquire(timeout=self._seconds):
            return None
        answer: Future[T] = Future()
        try:
            threading.Thread(
                target=self._look, args=[look, answer], name="look", daemon=True
            ).start()
        except RuntimeError:
            self._looking.release()
            return None
        try:
            return answer.result(self._seconds)
        except TimeoutError:
            return None

    def _look(self, look: Callable[[], T], answer: Future[T]) -> None:
        try:
            answer.set_result(look())
        except BaseException as error:  # noqa: BLE001 - whoever asks gets it
            answer.set_exception(error)
        finally:
            self._looking.release()
