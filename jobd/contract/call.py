"""Who asks, and under which id: what the daemon knows of a request beside the request itself."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What somebody else may do: look, or do all that the owner may."""

    VIEWER = "viewer"
    ADMIN = "admin"


class Caller(Struct, frozen=True):
    """Who is at the other end of a connection, and as what."""

    user: str
    """The login; the number where there is none."""
    role: Role


class Call(Struct, frozen=True):
    """One request that was let in; it goes with the request to whatever answers that."""

    caller: Caller
    id: bytes = b""
    """Made by the client, the same one when it asks again; empty: it may be done twice."""

    @property
    def user(self) -> str:
        """The login of whoever asks, as events have it."""
        return self.caller.user
