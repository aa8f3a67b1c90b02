"""Who waits for news on behalf of a client does so until there are some, or the client is gone.

A thread that waits reads no socket, so it does not see that its client has hung up or was killed.
The kernel does, and tells (EPOLLHUP of epoll_ctl(2)). So no client asks again and again to be known
to live, and one that waits costs nothing.

client's thread: serves → waits for the first time, its socket is watched → sleeps
listener's thread: the kernel says who has hung up → wakes whoever waits on behalf of those
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jobd.system.turn import stepping_aside


class HungUp(EOFError):  # noqa: N818 - named like the reason
    """Nobody is there any more to be answered."""


class HangUps:
    """The sockets of all clients on whose behalf somebody has waited. Readable (`fileno`) once one
    of these has hung up.
    """

    def __init__(self) -> None:
        """Raises: OSError."""
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        """Held from the kernel's word to what follows from it: the number of a socket that was
        closed may be another one's.
        """
        self._watched: dict[int, Presence] = {}
        self._closed = False

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch(self, presence: Presence) -> None:
        """Raises: OSError."""
        with self._lock:
            if not self._closed:
                # That it has hung up is told whatever is asked for, what it sends is not.
                self._epoll.register(presence.number, 0)
                self._watched[presence.number] = presence

    def forget(self, presence: Presence) -> None:
        """Before its socket is closed."""
        with self._lock:
            self._leave(presence.number)

    def tell(self) -> None:
        """Wake those who wait on behalf of whoever has hung up. The listener's thread calls."""
        with self._lock:
            gone = [self._leave(number) for number, _ in self._epoll.poll(0)]
        for presence in gone:
            if presence is not None:
                presence.end()

    def close(self) -> None:
        """Nobody is woken any more."""
        with self._lock:
            self._closed = True
            self._watched.clear()
            self._epoll.close()

    def __len__(self) -> int:
        return len(self._watched)

    def _leave(self, number: int) -> Presence | None:
        presence = self._watched.pop(number, None)
        if presence is not None:
            with suppress(OSError):  # it was closed all the same, and so it is no longer watched
                self._epoll.unregister(number)
        return presence


class Presence:
    """A client, as long as a thread of its own serves it; that thread calls, apart from `end`."""

    def __init__(self, sock: socket.socket, hang_ups: HangUps) -> None:
        self._sock = sock
        self._hang_ups = hang_ups
        self._is_watched = self._has_ended = False
        self._woken: threading.Event | None = None
        """What the thread waits for just now."""
        self.number = sock.fileno()

    @contextmanager
    def served(self) -> Iterator[None]:
        """What this thread waits for from here on, it does on behalf of the client."""
        _here.presence = self
        try:
            yield
        finally:
            _here.presence = None

    def leave(self) -> None:
        """The socket is about to be closed."""
        if self._is_watched:
            self._hang_ups.forget(self)

    def has_hung_up(self) -> bool:
        """Nobody is there to read an answer any more (POLLHUP of poll(2)). Whoever has only ended
        to send still is.
        """
        poll = select.poll()
        poll.register(self._sock, 0)
        return any(found & select.POLLHUP for _, found in poll.poll(0))

    def wait(self, woken: threading.Event, seconds: float) -> bool:
        """Whether it was set within that time. Raises: HungUp, OSError."""
        self._woken = woken
        try:
            if not self._is_watched:
                self._hang_ups.watch(self)
                self._is_watched = True
            # The client may have hung up just before that could have woken us.
            is_set = not self._has_ended and woken.wait(seconds)
        finally:
            self._woken = None
        if self._has_ended:
            raise HungUp("it has not waited for the answer")
        return is_set

    def end(self) -> None:
        """It has hung up. Another thread calls."""
        self._has_ended = True
        woken = self._woken
        if woken is not None:
            woken.set()


class _Here(threading.local):
    """Whom this thread serves."""

    presence: Presence | None = None


_here = _Here()


class Sleeper:
    """One thread that waits; it alone sleeps, and whoever likes wakes it, also before that."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def forget(self) -> None:
        """That it was woken."""
        self._woken.clear()

    def sleep(self, seconds: float) -> bool:
        """Until it is woken, `seconds` at most; whether it was. Those who take turns with this
        thread work meanwhile.

        Raises: HungUp (the client that this thread serves is gone), OSError.
        """
        presence = _here.presence
        with stepping_aside():
            if presence is None:
                return self._woken.wait(seconds)
            return presence.wait(self._woken, seconds)


class Sleepers:
    """Threads that wait for the same, each by itself: where the client of one goes, that one alone
    is woken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[Sleeper] = set()

    def __len__(self) -> int:
        return len(self._all)

    def sleep_until(self, has_come: Callable[[], bool], seconds: float) -> bool:
        """`seconds` at most; whether it has come. It is looked for whenever they are woken.

        Raises: HungUp (the client that this thread serves is gone), OSError.
        """
        until = time.monotonic() + seconds
        sleeper = Sleeper()
        with self._lock:
            self._all.add(sleeper)
        try:
            while not has_come():
                if not sleeper.sleep(until - time.monotonic()):
                    return has_come()
                sleeper.forget()
            return True
        finally:
            with self._lock:
                self._all.discard(sleeper)

    def wake(self) -> None:
        """What they wait for may have come. Any thread may call."""
        with self._lock:
            for sleeper in self._all:
                sleeper.wake()
