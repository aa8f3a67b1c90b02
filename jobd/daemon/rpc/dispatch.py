"""One request: decode it, may they ask that, hand it on, encode what is answered."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from jobd.contract import frames, wire
from jobd.contract.call import Call, Caller, RequestId, Role
from jobd.contract.errors import (
    BadRequest,
    InternalError,
    JobdError,
    NotPermitted,
    NotRunning,
    StoreFailed,
    VersionMismatch,
    shortage,
)
from jobd.contract.models import Request, View
from jobd.contract.version import PROTOCOL, VERSION
from jobd.daemon.rpc.access import check, check_kind
from jobd.daemon.rpc.attendance import Attendance, Attendee
from jobd.daemon.rpc.redaction import error_for_viewers
from jobd.system.failpoints import failpoint
from jobd.system.presence import HungUp
from jobd.system.rate_limit import RateLimit
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_REFUSALS_TOLD: Final = 20
"""Lines in a minute on one user who wants one thing that is refused."""
_FAULTS_TOLD: Final = 20
"""Lines in a minute on faults that one viewer meets."""

_TOO_LONG: Final = re.compile(
    r"Expected `(str|bytes|array|object)` of length <= (\d+) - at `\$.*?([a-z_]+)[^a-z_]*`"
)
_UNITS: Final = {"str": "characters", "bytes": "bytes"}

Handler = Callable[[Any, Call], View]
"""Takes the request that it answers, and who asks."""


class Dispatch:
    """Called by clients' threads. What is wrong with a request is its answer, no exception."""

    def __init__(
        self,
        handlers: Mapping[type[Request], Handler],
        for_viewers: Mapping[type[Request], Handler],
        timer: Timer,
    ) -> None:
        """`handlers`: what answers each request of `wire.REQUESTS`; `for_viewers`: what does so in
        their place where a viewer asks.
        """
        wire.make_decoders()
        self._handlers = handlers
        self._for_viewers = for_viewers
        self._refusals = RateLimit(log, timer, most=None, each=_REFUSALS_TOLD)
        self._faults = RateLimit(log, timer, each=_FAULTS_TOLD)
        self.attendance = Attendance()
        self._for_many: tuple[View, bytes] | None = None
        """The last answer that was for many, and its bytes."""
        self._closed = False

    def answer(
        self, payload: frames.Content, caller: Caller, attendee: Attendee | None = None
    ) -> bytes:
        """An encoded reply. It does not come back at all once the daemon is about to end.

        `attendee`: the connection that is answered, where it may be waited for. Raises: HungUp
        (the client has gone while the thread waited on its behalf).
        """
        try:
            answer = self._encoded(self._handle(payload, caller, attendee))
        except NotPermitted as error:
            # By what it says, who wanted what: a flood of one hides nothing else of the same user.
            self._refusals.warning("%s", error.message, by=error.message)
            answer = wire.encode_error(error)
        except JobdError as error:
            self._fall_silent_if_closed(error)
            if attendee is not None and isinstance(error, NotRunning):
                attendee.dismiss()
            answer = wire.encode_error(self._told(error, caller))
        except HungUp:
            raise
        except Exception as error:
            self._fall_silent_if_closed(error)
            log.exception("a request of %s failed", caller.user)
            answer = wire.encode_error(_unforeseen(error))
        failpoint("before-reply")
        return answer

    def note_refusal(self, caller: Caller, error: JobdError) -> None:
        """A request was refused before it was read."""
        user = caller.user
        self._refusals.warning("a request of %s was refused: %s", user, error.message, by=user)

    def close(self) -> None:
        """Requests that come from now on are for the next daemon; those under way are answered."""
        self._closed = True
        self._refusals.tell_left_out()
        self._faults.tell_left_out()

    def _handle(self, payload: frames.Content, caller: Caller, attendee: Attendee | None) -> View:
        envelope = _envelope(payload)
        if self._closed:
            _fall_silent()
        kind = wire.REQUESTS.get(envelope.name)
        if kind is None:
            raise _older(envelope) or BadRequest(f"unknown request {envelope.name[:40]!r}")
        check_kind(caller, kind)
        request = _decode(envelope, kind)
        check(caller, request)
        # Whoever only looks leaves nothing behind.
        made = b"" if request.only_looks else envelope.id
        request_id = RequestId.of(made, caller, envelope.name, envelope.body)
        if attendee is not None:
            attendee.asks(request)
        view = self._handler(kind, caller)(request, Call(caller, request_id))
        if attendee is not None:
            attendee.hears(view)
        return view

    def _encoded(self, view: View) -> bytes:
        known = self._for_many
        if known is not None and known[0] is view:
            return known[1]
        answer = wire.encode_reply(view)
        if view.is_for_many:
            self._for_many = view, answer
        return answer

    def _handler(self, kind: type[Request], caller: Caller) -> Handler:
        if caller.role is Role.VIEWER and kind in self._for_viewers:
            return self._for_viewers[kind]
        return self._handlers[kind]

    def _told(self, error: JobdError, caller: Caller) -> JobdError:
        """What a viewer is not told, the owner finds in the log."""
        if caller.role is not Role.VIEWER:
            return error
        told = error_for_viewers(error)
        if told is not error:
            self._faults.warning(
                "a request of %s failed: %s", caller.user, error.message, by=caller.user
            )
        return told

    def _fall_silent_if_closed(self, error: Exception) -> None:
        """What failed because the store was closed under it is for the next daemon to do; and
        whoever waits for what has not happened yet waits on.
        """
        known = isinstance(error, JobdError) and not isinstance(error, StoreFailed | NotRunning)
        if self._closed and not known:
            _fall_silent()


def _unforeseen(error: Exception) -> JobdError:
    lacks = shortage(error)
    if lacks is not None:
        return JobdError(f"jobd: {lacks}")
    return InternalError("internal error in the daemon; see: jobd log")


def _fall_silent() -> NoReturn:
    """The process is about to end. Its end, seen as such, is what lets a client ask the daemon
    that follows; any answer from here would be the wrong one.
    """
    while True:
        threading.Event().wait()


def _envelope(payload: frames.Content) -> wire.Envelope:
    """Raises: BadRequest, VersionMismatch (another protocol)."""
    try:
        envelope = wire.decode_envelope(payload)
    except wire.UNREADABLE as error:
        raise BadRequest(f"unreadable request: {error}") from None
    if envelope.protocol != PROTOCOL:
        raise VersionMismatch(
            f"jobctl {envelope.version} speaks protocol {envelope.protocol}, the running jobd "
            f"{VERSION} protocol {PROTOCOL}; replace the daemon, jobs go on: jobd restart"
        )
    return envelope


def _decode(envelope: wire.Envelope, kind: type[Request]) -> Request:
    try:
        return wire.decode(envelope.body, kind)
    except wire.UNREADABLE as error:
        raise _older(envelope) or BadRequest(f"{envelope.name}: {_plain(str(error))}") from None


def _plain(message: str) -> str:
    """What people may well do wrong is said in our own words."""
    long = _TOO_LONG.fullmatch(message)
    if long is None:
        return message
    kind, most, field = long[1], f"more than {int(long[2]):,}", long[3]
    if kind in _UNITS:
        return f"{field}: {most} {_UNITS[kind]}"
    return f"{field}: {most} in one request{'; name ranges (3-900)' if field == 'ids' else ''}"


def _older(envelope: wire.Envelope) -> VersionMismatch | None:
    """What another version of jobctl asks may be nothing wrong, but new."""
    if envelope.version == VERSION:
        return None
    return VersionMismatch(
        f"jobctl {envelope.version} asks for what the running jobd {VERSION} does not know; "
        "replace the daemon, jobs go on: jobd restart"
    )
