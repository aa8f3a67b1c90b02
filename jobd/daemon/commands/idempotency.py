"""Requests that are asked again: the same answer, and nothing done twice.

A changing request carries an id made by the client. Its answer is committed together with what it
did, so whoever lost the answer asks again under the same id and gets it. Nobody else does: with the
answer stands whose it is, and to what.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from jobd.contract import wire
from jobd.contract.call import Call, RequestId
from jobd.contract.errors import BadRequest
from jobd.contract.models import Request, View
from jobd.store.settings import FORGET_REQUESTS_EVERY, Settings
from jobd.store.writer import Writer

V = TypeVar("V", bound=View)
R = TypeVar("R", bound=Request)


class _Answer(Struct, frozen=True, array_like=True):
    """As it is kept. Those of earlier versions are the reply alone, which is no array."""

    bound: bytes
    reply: Raw


_answers: Final = msgspec.msgpack.Decoder(_Answer)
_ARRAY: Final = b"\x92"
"""What msgpack writes before two values."""


class Idempotency:
    """Called by clients' threads, but for `answered`.

    Promises that a request with an id is done once, however often it is sent; another request, or
    anybody else's, under the same id is refused (BadRequest) and changes nothing.
    """

    def __init__(self, settings: Settings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer
        self._requests = itertools.count()
        self._busy: dict[bytes, threading.Event] = {}
        self._busy_lock = threading.Lock()

    def once(self, request_id: RequestId, kind: type[V], action: Callable[[], V]) -> V:
        """Do it and remember the answer in the same commit; if it was done already, only answer."""

        def inside() -> V:
            known = self.answered(request_id, kind)
            if known is not None:
                return known
            answer = action()
            if request_id:
                kept = _Answer(request_id.bound, Raw(wire.encode(answer)))
                self._settings.answer(request_id.key, wire.encode(kept))
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

    def knows(self, request_id: RequestId) -> bool:
        """Whether it was done already, or a part of it. Called by clients' threads."""
        keys = (request_id.key, *request_id.first_keys)
        return bool(request_id) and self._writer.call(lambda: bool(self._settings.answered(*keys)))

    def answered(self, request_id: RequestId, kind: type[V]) -> V | None:
        """In a transaction: what was answered, if it was done already."""
        if not request_id:
            return None
        found = self._settings.answered(request_id.key, *request_id.first_keys)
        for other in found.values():
            _own(other, request_id)
        kept = found.get(request_id.key)
        return None if kept is None else self.read(kept, request_id, kind)

    def read(self, kept: bytes, request_id: RequestId, kind: type[V]) -> V:
        """What is kept of an answer. Raises: BadRequest (it is another's, or to something else)."""
        try:
            return wire.decode(_own(kept, request_id), kind)
        except wire.UNREADABLE as error:
            # An earlier version has answered, and did not say what.
            raise _taken() from error

    @contextmanager
    def one_at_a_time(self, request_id: RequestId) -> Iterator[None]:
        """A client that asks again while its first sending is still at work waits for that."""
        mine = threading.Event()
        while request_id:
            with self._busy_lock:
                other = self._busy.setdefault(request_id.made, mine)
            if other is mine:
                break
            other.wait()
        try:
            yield
        finally:
            with self._busy_lock:
                self._busy.pop(request_id.made, None)
            mine.set()


def _own(kept: bytes, request_id: RequestId) -> bytes | Raw:
    """The reply, if it is one to this request. Raises: BadRequest."""
    if not kept.startswith(_ARRAY):
        return kept
    answer = _answers.decode(kept)
    if answer.bound != request_id.bound:
        raise _taken()
    return answer.reply


def _taken() -> BadRequest:
    return BadRequest(
        "id: another request was sent under it, or somebody else's; each request needs an id of "
        "its own, made at random"
    )
