"""Who asks, and under which id: what the daemon knows of a request beside the request itself."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from msgspec import Raw, Struct
from msgspec.structs import replace

_DIGEST: Final = 16
"""Bytes."""
_GROUP: Final = b"group"


class Role(StrEnum):
    """What somebody else may do: look, or do all that the owner may."""

    VIEWER = "viewer"
    ADMIN = "admin"


class Caller(Struct, frozen=True):
    """Who is at the other end of a connection, and as what."""

    user: str
    """The login; the number where there is none."""
    role: Role


class RequestId(Struct, frozen=True):
    """Under which a change is done once, however often it is asked for."""

    made: bytes = b""
    """By the client, the same one when it asks again; empty: it may be done twice."""
    bound: bytes = b""
    """To whoever asks, and what for: a digest. Whoever comes with the same id and is somebody else,
    or wants something else, is not answered what another was.
    """
    part: bytes = b""
    """Of a change that is done, and answered for, in several transactions."""

    @classmethod
    def of(cls, made: bytes, caller: Caller, name: str, body: bytes | Raw) -> RequestId:
        """`name`: of the request, `body`: all of it, as it came."""
        if not made:
            return cls()
        digest = hashlib.blake2b(f"{caller.user}\0{name}\0".encode(), digest_size=_DIGEST)
        digest.update(body)
        return cls(made, digest.digest())

    def __bool__(self) -> bool:
        return bool(self.made)

    @property
    def key(self) -> bytes:
        """What its answer is kept under."""
        return self.made + self.part

    @property
    def first_keys(self) -> tuple[bytes, ...]:
        """One of these is there once any part of it was done."""
        return self.made, self.slice(0).key, self.group.key

    def slice(self, number: int) -> RequestId:
        """Of a mass change; counted from 0."""
        return replace(self, part=number.to_bytes(4, "big"))

    @property
    def group(self) -> RequestId:
        """What is done to a group, beside its jobs."""
        return replace(self, part=_GROUP)


class Call(Struct, frozen=True):
    """One request that was let in; it goes with the request to whatever answers that."""

    caller: Caller
    id: RequestId = RequestId()

    @property
    def user(self) -> str:
        """The login of whoever asks, as events have it."""
        return self.caller.user
