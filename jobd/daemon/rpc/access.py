"""Who may do what: the daemon's own user and root all, others what `[access]` says.

The owner's socket lies in a private directory. Others come through a second socket, `[access]
socket`, which everybody can reach; the kernel says who is at its other end (SO_PEERCRED and
SO_PEERGROUPS of socket(7)), before a byte is read. An *admin* may do all that the owner may, and so
can run commands as the daemon's user; a *viewer* sees jobs, output and history. Who may ask for
what is decided here; what is left out of a viewer's answers, in `jobd.daemon.queries.redaction`.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import time
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from msgspec import Struct

from jobd.contract.access import AccessConfig
from jobd.contract.call import Caller, Role
from jobd.contract.errors import NotPermitted
from jobd.contract.models import Request
from jobd.contract.peers import peer_of, stands_for_others
from jobd.system.peer_groups import peer_groups

_REMEMBERED_S: Final = 60.0
"""Seconds for which a user's login is not looked up again; that may be a call over a network."""
_MANY: Final = 1024
"""Users that are remembered."""


OWNER: Final = Role.ADMIN


class Guest(NamedTuple):
    """Somebody who may come in, as the kernel knows them."""

    uid: int
    role: Role

    def caller(self) -> Caller:
        """With the login, which may have to be asked for over a network: not in the listener's
        thread, where all others wait.
        """
        return Caller(login(self.uid), self.role)


class Access:
    """Who may come in, and as what, by `[access]`. The listener's thread calls it: it asks nobody
    but the kernel.
    """

    def __init__(self, config: AccessConfig) -> None:
        self._known = _known(config)

    def go_by(self, config: AccessConfig) -> None:
        """From now on. Called by whoever reloads it: names are looked up."""
        self._known = _known(config)

    def guest(self, sock: socket.socket, *, shared: bool) -> Guest | None:
        """Who it is, by the kernel's word; None: somebody who may not come in.

        `shared`: through the second socket.
        """
        _, uid, gid = peer_of(sock)
        if shared and stands_for_others(uid):
            return None
        role = self.role(uid, {gid, *peer_groups(sock)} if shared else None)
        return None if role is None else Guest(uid, role)

    def role(self, uid: int, gids: set[int] | None) -> Role | None:
        """`gids` None: at the owner's own socket, where nobody else is let in."""
        if uid in (0, os.geteuid()):
            return OWNER
        if gids is None:
            return None
        known = self._known
        if known.admins.holds(uid, gids):
            return Role.ADMIN
        return Role.VIEWER if known.viewers.holds(uid, gids) else None


class _Numbers(Struct, frozen=True):
    """Users and groups, as the kernel knows them."""

    uids: frozenset[int]
    gids: frozenset[int]

    def holds(self, uid: int, gids: set[int]) -> bool:
        return uid in self.uids or not self.gids.isdisjoint(gids)


class _Known(Struct, frozen=True):
    """What a configuration says, in numbers."""

    admins: _Numbers
    viewers: _Numbers


def _known(config: AccessConfig) -> _Known:
    return _Known(_numbers(config.admins), _numbers(config.viewers))


def _numbers(names: list[str]) -> _Numbers:
    """Names were checked when the configuration was read; one that is gone since lets nobody in."""
    uids, gids = set(), set()
    for name in names:
        try:
            if name.startswith("@"):
                gids.add(grp.getgrnam(name[1:]).gr_gid)
            else:
                uids.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return _Numbers(frozenset(uids), frozenset(gids))


def check_kind(caller: Caller, kind: type[Request]) -> None:
    """Before anything of the request but its name is looked at.

    Raises: NotPermitted (it is one by which a viewer sees nothing).
    """
    if caller.role is Role.VIEWER and not kind.about.viewer:
        _only_for_admins(caller, kind)


def check(caller: Caller, request: Request) -> None:
    """Raises: NotPermitted (a viewer wants more than to see)."""
    if caller.role is Role.ADMIN:
        return
    if not (request.about.viewer and request.only_looks):
        _only_for_admins(caller, type(request))
    if request.confidential:
        raise NotPermitted(
            f"not permitted: {caller.user} is a viewer here, and may not see {request.confidential}"
        )


def _only_for_admins(caller: Caller, kind: type[Request]) -> NoReturn:
    raise NotPermitted(
        f"not permitted: {caller.user} is a viewer here, and may not change anything "
        f"({kind.wire_name()})"
    )


def login(uid: int) -> str:
    """Of the last minute: whoever knocks again and again causes no look at the users each time."""
    return _login(uid, _period())


@lru_cache(_MANY)
def _login(uid: int, _: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _period() -> int:
    return int(time.monotonic() / _REMEMBERED_S)
