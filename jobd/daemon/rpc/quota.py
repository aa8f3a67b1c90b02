"""How much there is of something, and how much of it everybody may have."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from jobd.contract.call import Caller, Role
from jobd.contract.frames import MAX_FRAME, SMALL

MEMORY: Final = 4 * MAX_FRAME
"""Bytes of all requests and answers that are under way at the same time, without small ones."""
_MEMORY_EACH: Final = 2 * MAX_FRAME
_MEMORY_OF_VIEWERS: Final = 2 * MAX_FRAME
_MEMORY_OF_A_VIEWER: Final = MAX_FRAME
"""The largest answer fits into it."""
_PLACES_OF_A_VIEWER: Final = 16
"""Who only looks needs few; each of them may keep a thread of the daemon busy."""
UNWEIGHED: Final = 4 * 1024
"""Bytes of a request that nobody need be asked for."""
_READ: Final = 36
"""Bytes of memory that one of a request becomes at most: a pair of numbers is three on the way."""

Shares = Mapping[str, int]
"""Out of which shares something is taken, and how large each of them is in all."""


class Quota:
    """Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}

    def take(self, shares: Shares, amount: int) -> bool:
        """So much out of each of the shares, or nothing where one of them has not so much left."""
        with self._lock:
            taken = {share: self._taken.get(share, 0) + amount for share in shares}
            if any(taken[share] > most for share, most in shares.items()):
                return False
            self._taken |= taken
            return True

    def give_back(self, shares: Shares, amount: int) -> None:
        with self._lock:
            for share in shares:
                self._taken[share] -= amount
                if not self._taken[share]:
                    del self._taken[share]

    def taken(self, share: str) -> int:
        with self._lock:
            return self._taken.get(share, 0)


class Account:
    """What one client has taken. One thread at a time may call."""

    def __init__(self, quota: Quota, shares: Shares) -> None:
        self._quota = quota
        self._shares = shares
        self._amount = 0

    def take(self, amount: int) -> bool:
        """Whether it may have so much more."""
        if not self._quota.take(self._shares, amount):
            return False
        self._amount += amount
        return True

    def settle(self) -> None:
        """Give all of it back."""
        amount, self._amount = self._amount, 0
        if amount:
            self._quota.give_back(self._shares, amount)


class Memory(Account):
    """Bytes of messages of one client; small ones are as many as there are places."""

    def __init__(self, quota: Quota, caller: Caller) -> None:
        super().__init__(quota, _memory(caller))
        self._sees = caller.role is Role.VIEWER

    def take(self, amount: int) -> bool:
        """For an answer of so many bytes."""
        return amount <= SMALL or super().take(amount)

    def take_request(self, length: int) -> bool:
        """For a request of so many bytes. That of a viewer counts as what it becomes when it is
        read: a list of short numbers, which stays in memory for as long as it is answered.
        """
        if not self._sees:
            return self.take(length)
        return length <= UNWEIGHED or super().take(length * _READ)


def _memory(caller: Caller) -> Shares:
    mine = f"user {caller.user}"
    if caller.role is Role.VIEWER:
        return {"all": MEMORY, "viewers": _MEMORY_OF_VIEWERS, mine: _MEMORY_OF_A_VIEWER}
    return {"all": MEMORY, mine: _MEMORY_EACH}


def place_shares(most: int, uid: int, role: Role, *, shared: bool) -> Shares:
    """Out of which a client has its place; there are `most` of them.

    Those who come through the second socket (`shared`) cannot keep the owner out, viewers not the
    admins, and no viewer the others.
    """
    if not shared:
        return {"all": most}
    guests = max(1, most // 2)
    if role is not Role.VIEWER:
        return {"all": most, "guests": guests}
    return {
        "all": most,
        "guests": guests,
        "viewers": max(1, guests * 3 // 4),
        f"user {uid}": max(1, min(_PLACES_OF_A_VIEWER, guests // 4)),
    }
