"""The table `[access]` of `config.toml`: others who may use a daemon."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import msgspec
from msgspec import Struct, field


class AccessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[access]`: others who may use this daemon, through a socket of their own.

    Names are logins, and groups with an @ before them: `["anna", "@staff"]`.
    """

    socket: str = ""
    """Absolute path of a socket for other users; empty: there is none."""
    viewers: list[str] = field(default_factory=list)
    """Who may look: logins, and groups with an `@`."""
    admins: list[str] = field(default_factory=list)
    """Who may do all, and so run commands as you."""

    @property
    def socket_path(self) -> Path | None:
        """Where others come in; None: nowhere."""
        return Path(self.socket) if self.socket else None

    def check(self) -> None:
        """Raises: msgspec.ValidationError (no socket, or no such user or group)."""
        if (self.viewers or self.admins) and not self.socket:
            raise msgspec.ValidationError(
                "others need a socket to come in by - at `$.access.socket`"
            )
        if self.socket and not os.path.isabs(self.socket):
            raise msgspec.ValidationError("an absolute path is needed - at `$.access.socket`")
        for key, names in (("viewers", self.viewers), ("admins", self.admins)):
            for name in names:
                if not _exists(name):
                    what = "group" if name.startswith("@") else "user"
                    named = name.removeprefix("@")
                    raise msgspec.ValidationError(
                        f"there is no {what} {named!r} - at `$.access.{key}`"
                    )


def _exists(name: str) -> bool:
    try:
        if name.startswith("@"):
            grp.getgrnam(name[1:])
        else:
            pwd.getpwnam(name)
    except KeyError:
        return False
    return True
