"""Who is at the other end of a Unix socket, by the kernel's word, and whom a client may speak to.

Of a socket that was connected to, SO_PEERCRED of unix(7) names who called listen(2) on it: whoever
has put it there, and whatever its path leads through. A client asks before it sends a byte, since
what it sends is its whole environment.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final, NamedTuple

from jobd.contract.errors import NotPermitted
from jobd.contract.ownership import NotOurs, login, open_owned

CONNECT_WITHIN_S: Final = 15.0
"""Seconds until whoever listens, and takes no connection, is no longer waited for (connect(2))."""
_EVERYBODY: Final = 2**32 - 1
"""Numbers that a map of all users has (user_namespaces(7))."""
_OVERFLOW: Final = 65534
"""DEFAULT_OVERFLOWUID of <linux/highuid.h>, where /proc does not say that it is another."""


class Peer(NamedTuple):
    """Numbers as our own namespaces have them; `pid` 0: a process that ours do not show."""

    pid: int
    uid: int
    gid: int

    def is_ours(self) -> bool:
        """Whether it is a process of our own user or of root."""
        return self.uid == 0 or (self.uid == os.geteuid() and _is_mapped(self.uid))


def peer_of(sock: socket.socket) -> Peer:
    """Raises: OSError (nobody: it is not connected)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    peer = Peer(*struct.unpack("iII", raw))
    if peer.uid == _EVERYBODY:
        sock.getpeername()
    return peer


def connected(address: str) -> socket.socket:
    """A socket connected to this address; who listens there is not asked yet.

    Raises: OSError (BlockingIOError: no connection was taken for CONNECT_WITHIN_S).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(CONNECT_WITHIN_S))
        sock.connect(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(0.0))
    except BaseException:
        sock.close()
        raise
    return sock


def refuse_stranger(peer: Peer, where: Path, owner: int | None = None, why: str = "") -> None:
    """Nobody is spoken to but our own user, root and `owner`; `why`: what keeps that one unknown.

    Raises: NotPermitted (names who listens at `where`, and the way out).
    """
    if peer.is_ours():
        return
    refuse_unknown(peer, where)
    if peer.uid == owner:
        return
    found = f"not permitted: {named(peer.uid)} listens at {where}, so nothing was sent: "
    if owner is not None:
        raise NotPermitted(
            f"{found}only {named(owner)}, root and you yourself may listen there; name somebody "
            "else with: jobctl --owner USER ..."
        )
    raise NotPermitted(
        f"{found}{why or 'only root and you yourself may listen there'}. If that is the daemon "
        f"that you mean: JOBD_SOCKET={where} jobctl --owner {_word(peer.uid)} ..."
    )


def refuse_led(path: Path) -> None:
    """A daemon of our own is spoken to only where we or root have put it: by a link or a directory
    of somebody else it would be another one than is meant.

    Raises: NotOurs (nothing was sent), OSError (it is gone).
    """
    try:
        os.close(open_owned(path, os.O_PATH))
    except NotOurs as error:
        raise NotOurs(f"{error.message}; {path} leads there, so nothing was sent") from error


def refuse_unknown(peer: Peer, where: Path) -> None:
    """Raises: NotPermitted (it may be anybody)."""
    if not peer.is_ours() and stands_for_others(peer.uid):
        raise NotPermitted(
            f"not permitted: who listens at {where} cannot be told from inside this user "
            "namespace, so nothing was sent; ask from outside of it"
        )


def named(uid: int) -> str:
    """A user, for people: `user anna (1004)`."""
    found = login(uid)
    return f"user {found}" if found.startswith("number ") else f"user {found} ({uid})"


def _word(uid: int) -> str:
    return login(uid).removeprefix("number ")


def stands_for_others(uid: int) -> bool:
    """Whether this may be anybody: in a namespace that does not have all users, the kernel shows
    one and the same number for all who are missing (user_namespaces(7)).
    """
    return uid == _overflow() and all(count < _EVERYBODY for _, count in _map())


def sees_everybody() -> bool:
    """Whether our user namespace has all users, so that root in it is root everywhere."""
    return any(count == _EVERYBODY for _, count in _map())


def _is_mapped(uid: int) -> bool:
    return any(first <= uid < first + count for first, count in _map())


def _map() -> list[tuple[int, int]]:
    """The users of our namespace: the first number and how many, a range each."""
    try:
        with open("/proc/self/uid_map", "rb") as file:
            rows = [line.split() for line in file]
        return [(int(row[0]), int(row[2])) for row in rows]
    except FileNotFoundError:
        return [(0, _EVERYBODY)]  # a kernel without such namespaces
    except OSError:
        return []  # no descriptor left: nobody can be told from others


def _overflow() -> int:
    try:
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            return int(file.read())
    except OSError:
        return _OVERFLOW


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
