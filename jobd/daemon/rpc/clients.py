"""Who is let in: places, memory, a thread for each, and what is said of those who are not.

Before a byte is read the kernel has said who is at the other end.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
import traceback
from typing import Final

from jobd.contract.call import Caller, Role
from jobd.contract.peers import peer_of
from jobd.daemon.rpc.access import Access, Guest, login
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.daemon.rpc.protocol import Session, hang_up, say_busy, serve
from jobd.daemon.rpc.quota import Account, Memory, Quota, place_shares
from jobd.daemon.rpc.said_later import SaidLater
from jobd.system.presence import HangUps, Presence
from jobd.system.rate_limit import RateLimit
from jobd.system.timer import Timer
from jobd.system.turn import Turn

log = logging.getLogger(__name__)
_MAX_CLIENTS: Final = 1000
_OTHER_FILES: Final = 256
"""Descriptors that clients leave to the store and to jobs, beside what engines hold themselves."""
_KNOCKS_TOLD: Final = 10
"""Lines in a minute on one stranger; a flood of knocks costs no more."""
_TROUBLES_TOLD: Final = 20
"""Lines in a minute on one user who finds no place, or whose connection breaks."""


class _User(int):
    """A number that reads as its login, looked up only where it is read (by `SaidLater`)."""

    def __str__(self) -> str:
        return login(int(self))


class _Warnings:
    """What is said of clients. Each kind is spared by itself, so that none hides another."""

    def __init__(self, timer: Timer) -> None:
        self._later = SaidLater(log)
        self.knocks = RateLimit(self._later, timer, each=_KNOCKS_TOLD)
        self.crowding = RateLimit(self._later, timer, each=_TROUBLES_TOLD)
        self.breaks = RateLimit(self._later, timer, each=_TROUBLES_TOLD)

    def close(self) -> None:
        """The log then has all of it."""
        for warnings in (self.knocks, self.crowding, self.breaks):
            warnings.tell_left_out()
        self._later.close()


class Clients:
    """Called by the listener's thread, and by the thread of each client that it starts."""

    def __init__(
        self, dispatch: Dispatch, access: Access, timer: Timer, engines_files: int
    ) -> None:
        """`engines_files`: descriptors that they leave to the engines."""
        self._dispatch = dispatch
        self._access = access
        self.most = _places(resource.getrlimit(resource.RLIMIT_NOFILE)[0], engines_files)
        """Clients at a time."""
        self.places, self.memory = Quota(), Quota()
        self.hang_ups = HangUps()
        self._turns: dict[str, Turn] = {}
        """Of each viewer: who asks without end, and on many connections, is answered as slowly as
        on one, and leaves the others their time.
        """
        self._knocking = Turn()
        """So that those who knock without end leave the listener, and all others, some time: who is
        refused, and viewers, who may hang up before they have asked anything.
        """
        self._open_to_others = True
        self._others: set[socket.socket] = set()
        """Connections by the socket for others."""
        self._warnings = _Warnings(timer)

    def admit(self, sock: socket.socket, *, shared: bool) -> None:
        """Somebody has knocked. `shared`: at the socket for others."""
        try:
            self._let_in(sock, shared=shared)
        except Exception:  # noqa: BLE001 - it concerns one who knocked; without us nobody is heard
            self._warnings.breaks.warning(
                "a client could not be let in:\n%s", traceback.format_exc()
            )
            sock.close()

    def turn_away(self, sock: socket.socket, *, shared: bool) -> None:
        """There is nothing left to serve this one with."""
        # Others take an end without a word for a refusal.
        if shared and self._guest(sock, shared=shared) is not None:
            say_busy(sock)

    def close_to_others(self) -> None:
        """From any thread: whoever came in by the socket for others, or still does, is hung up."""
        self._open_to_others = False
        for sock in list(self._others):
            hang_up(sock)

    def close(self) -> None:
        """The log then has all that was to be said of them."""
        self._warnings.close()

    def note_unaccepted(self, error: OSError) -> None:
        """Somebody knocks, and no socket can be made of it."""
        self._warnings.crowding.warning("cannot accept a client: %s", error)

    def _let_in(self, sock: socket.socket, *, shared: bool) -> None:
        guest = self._guest(sock, shared=shared)
        if guest is None:
            sock.close()
            return
        uid, role = guest
        place = Account(self.places, place_shares(self.most, uid, role, shared=shared))
        if not place.take(1):
            with self._knocking.taken():
                self._warnings.crowding.warning(
                    "too many clients: %s was turned away", _User(uid), by=uid
                )
                say_busy(sock)
                sock.close()
            return
        if role is Role.VIEWER:
            with self._knocking.taken():
                self._start(sock, guest, place, shared=shared)
        else:
            self._start(sock, guest, place, shared=shared)

    def _start(self, sock: socket.socket, guest: Guest, place: Account, *, shared: bool) -> None:
        try:
            threading.Thread(
                target=self._serve_one, args=(sock, guest, place, shared), name="client",
                daemon=True,
            ).start()  # fmt: skip
        except RuntimeError:
            self._warnings.crowding.warning("no thread for a client")
            place.settle()
            say_busy(sock)
            sock.close()

    def _guest(self, sock: socket.socket, *, shared: bool) -> Guest | None:
        guest = self._access.guest(sock, shared=shared)
        if guest is None:
            with self._knocking.taken():
                uid = peer_of(sock).uid
                self._warnings.knocks.warning("user %s was refused", _User(uid), by=uid)
        return guest

    def _serve_one(
        self,
        sock: socket.socket,
        guest: Guest,
        place: Account,
        shared: bool,  # noqa: FBT001
    ) -> None:
        if not shared:
            self._serve(sock, guest, place)
            return
        self._others.add(sock)
        try:
            if not self._open_to_others:
                hang_up(sock)
            self._serve(sock, guest, place)
        finally:
            self._others.discard(sock)

    def _turn_of(self, caller: Caller) -> Turn | None:
        if caller.role is not Role.VIEWER:
            return None
        return self._turns.setdefault(caller.user, Turn())

    def _serve(self, sock: socket.socket, guest: Guest, place: Account) -> None:
        try:
            self._talk(sock, guest.caller())
        except Exception as error:  # noqa: BLE001 - whatever a client sends concerns it alone
            self._warnings.breaks.warning(
                "the connection of %s was ended: %.200s", _User(guest.uid), error, by=guest.uid
            )
        finally:
            place.settle()
            sock.close()

    def _talk(self, sock: socket.socket, caller: Caller) -> None:
        """Raises: whatever goes wrong with it."""
        memory = Memory(self.memory, caller)
        try:
            with self._dispatch.attendance.attendee() as attendee:
                turn = self._turn_of(caller)
                presence = Presence(sock, self.hang_ups)
                serve(sock, Session(self._dispatch, presence, caller, memory, attendee, turn))
        finally:
            memory.settle()


def _places(descriptors: int, engines_files: int) -> int:
    """How many clients at a time, where a process may have so many descriptors (getrlimit(2)), and
    engines hold some of them.
    """
    if descriptors == resource.RLIM_INFINITY:
        return _MAX_CLIENTS
    left = descriptors - engines_files
    return max(1, min(_MAX_CLIENTS, max(left // 3, left - _OTHER_FILES)))
