"""The codec: one `bytes` goes in, one `bytes` comes out (msgpack).

A request is an `Envelope`, an answer a `Reply`. Errors are data in the reply. Any thread may call.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field
from msgspec.msgpack import Decoder, Encoder

from jobd.contract.errors import BY_NAME, BadRequest, InternalError, JobdError, Refused
from jobd.contract.frames import MAX_CONTENT, Content
from jobd.contract.models import BUNDLE, Bundle, Request, Submit, View
from jobd.contract.version import PROTOCOL, VERSION
from jobd.contract.wording import printable

V = TypeVar("V", bound=View)
S = TypeVar("S", bound=Struct)

MAX_MESSAGE: Final = 1000
"""Characters of an error."""
MAX_REQUEST_ID: Final = 64
"""Bytes; those of our client have 16."""
MAX_WAIT: Final = 3600.0
"""Seconds that a waiting request is held at most; the client then asks again. That a client is gone
the daemon hears from the kernel, so this is as good as for ever; a daemon that hangs is found so.
"""
_FEW: Final = 10 * BUNDLE
"""Commands that are read within a few milliseconds; more of them travel in bundles, which a daemon
of an earlier version does not know.
"""

REQUESTS: Final[dict[str, type[Request]]] = {
    kind.wire_name(): kind for kind in Request.__subclasses__()
}
"""All that the daemon answers to."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no message of ours."""
_NIL: Final = b"\xc0"
"""What msgpack writes for nothing."""


class Envelope(Struct, frozen=True, kw_only=True):
    """A request as it travels: its name, its content, and what sent it."""

    protocol: int
    version: str
    name: str
    body: Raw
    id: Annotated[bytes, Meta(max_length=MAX_REQUEST_ID)] = b""
    """Made by the client, unique for each changing request; the same one when it asks again."""


class WireError(Struct, frozen=True, kw_only=True):
    """An error as it travels: the name of its type in `errors.BY_NAME`, and its text."""

    kind: str
    message: str


class Reply(Struct, frozen=True, kw_only=True):
    """An answer as it travels: its content, or an error."""

    version: str
    body: Raw = field(default_factory=lambda: Raw(_NIL))
    """Nil where there is an error; an empty `Raw` would leave a hole in the message."""
    error: WireError | None = None


_encoder: Final = Encoder()
_envelope: Final = Decoder(Envelope)
_reply: Final = Decoder(Reply)
_decoders: Final[dict[type[Struct], Decoder[Any]]] = {}
_making: Final = threading.Lock()
"""msgspec 0.22 learns how a type is built when that is decoded for the first time, and lets other
threads use what it knows before it knows all of it: that ends the process. Types have parts in
common, so one decoder at a time is made, whatever it is for.
"""


def make_decoders() -> None:
    """All that a daemon needs, so that no client waits for them."""
    for kind in REQUESTS.values():
        _decoder(kind)
        _decoder(kind.about.reply)
    _decoder(Bundle)


def _decoder(kind: type[S]) -> Decoder[S]:
    """The one of this type; made when it is first needed: for all of them a client would wait 5 ms,
    and it needs two.
    """
    found = _decoders.get(kind)
    if found is None:
        with _making:
            found = _decoders.get(kind) or _decoders.setdefault(kind, Decoder(kind))
    return found


def encode(value: Struct) -> bytes:
    return _encoder.encode(value)


def decode(data: Content | Raw, kind: type[S]) -> S:
    """What `encode` has written of such a value. Raises: what is in UNREADABLE."""
    return _decoder(kind).decode(data)


def encode_request(request: Request, request_id: bytes = b"") -> bytes:
    """Raises: BadRequest (a text in it is not UTF-8)."""
    name = request.wire_name()
    try:
        body = Raw(_encoder.encode(request))
    except UnicodeEncodeError as error:
        raise BadRequest(f"{name}: {error.object[:40]!r} is not UTF-8") from None
    return _encoder.encode(
        Envelope(protocol=PROTOCOL, version=VERSION, name=name, body=body, id=request_id)
    )


def bundled(request: Submit) -> Submit:
    """The same, as it is to be sent: many commands in bundles."""
    every = request.commands
    if len(every) <= _FEW:
        return request
    pieces = (every[begin : begin + BUNDLE] for begin in range(0, len(every), BUNDLE))
    bundles = [encode(Bundle(commands=piece)) for piece in pieces]
    return msgspec.structs.replace(request, commands=[], bundles=bundles)


def decode_envelope(data: Content) -> Envelope:
    """Raises: what is in UNREADABLE."""
    return _envelope.decode(data)


def encode_reply(body: View) -> bytes:
    """Raises: Refused (no client would read so long an answer)."""
    answer = _encoder.encode(Reply(version=VERSION, body=Raw(_encoder.encode(body))))
    if len(answer) > MAX_CONTENT:
        raise Refused(
            f"the answer would have {len(answer):,} bytes, {MAX_CONTENT:,} are the most; "
            "ask for fewer jobs at a time"
        )
    return answer


def encode_error(error: JobdError) -> bytes:
    wire = WireError(kind=type(error).__name__, message=_fit(error.message))
    return _encoder.encode(Reply(version=VERSION, error=wire))


def _fit(message: str) -> str:
    """One line: it quotes what was asked for, and that may have been anything."""
    text = printable(message[: MAX_MESSAGE + 1])
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def decode_reply(data: Content, kind: type[V]) -> V:
    """The answer, or the error that it carries, raised.

    Raises: JobdError (whichever kind it names), and what is in UNREADABLE.
    """
    reply = _reply.decode(data)
    if reply.error is not None:
        # Whoever answers need not have seen to it.
        raise BY_NAME.get(reply.error.kind, InternalError)(_fit(reply.error.message))
    if bytes(reply.body) in (b"", _NIL):
        raise InternalError("the daemon's answer is empty")
    return decode(reply.body, kind)
