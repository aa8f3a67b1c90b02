"""Requests that are asked again: the same answer, and nothing done twice.

A changing request carries an id made by the client. Its answer is committed together with what it
did, so whoever lost the answer asks again under the same id and gets it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TypeVar

import msgspec

from jobd.contract.call import Call
from jobd.contract.models import Request, View
from jobd.store.settings import FORGET_REQUESTS_EVERY, Settings
from jobd.store.writer import Writer

V = TypeVar("V", bound=View)
R = TypeVar("R", bound=Request)


class Idempotency:
    """Called by clients' threads, but for `answered`.

    Promises that a request with an id is done once, however often it is sent.
    """

    def __init__(self, settings: Settings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer
        self._requests = itertools.count()
        self._busy: dict[bytes, threading.Event] = {}
        self._busy_lock = threading.Lock()

    def once(self, request_id: bytes, kind: type[V], action: Callable[[], V]) -> V:
        """Do it and remember the answer in the same commit; if it was done already, only answer."""

        def inside() -> V:
            known = self.answered(request_id, kind)
            if known is not None:
                return known
            answer = action()
            if request_id:
                self._settings.answer(request_id, msgspec.msgpack.encode(answer))
                if next(self._requests) % FORGET_REQUESTS_EVERY == 0:
                    self._settings.forget_requests()
            return answer

        return self._writer.call(inside)

    def as_one(self, handle: Callable[[R, Call], View]) -> Callable[[R, Call], View]:
        """Answers such requests in a single transaction each, which is all that `handle` needs."""

        @wraps(handle)
        def handled(request: R, call: Call) -> View:
            return self.once(call.id, request.about.reply, partial(handle, request, call))

        return handled

    def answered(self, request_id: bytes, kind: type[V]) -> V | None:
        """In a transaction: what was answered, if it was done already."""
        known = self._settings.answered(request_id) if request_id else None
        return None if known is None else msgspec.msgpack.decode(known, type=kind)

    @contextmanager
    def one_at_a_time(self, request_id: bytes) -> Iterator[None]:
        """A client that asks again while its first sending is still at work waits for that."""
        mine = threading.Event()
        while request_id:
            with self._busy_lock:
                other = self._busy.setdefault(request_id, mine)
            if other is mine:
                break
            other.wait()
        try:
            yield
        finally:
            with self._busy_lock:
                self._busy.pop(request_id, None)
            mine.set()
