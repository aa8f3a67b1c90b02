"""The clocks, in the unit of the store; and being told when somebody sets one."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from typing import Final

_TFD_CLOEXEC: Final = 0o2000000
_ABSTIME: Final = 1
_CANCEL_ON_SET: Final = 2
_TIME_ERROR: Final = 5
"""Of <sys/timex.h>."""
_NEVER: Final = 2**40
"""Seconds since the epoch."""


def now_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def boot_us() -> int:
    """Microseconds since boot, also those in which the machine slept; nobody sets this clock.

    For whatever must hold from one daemon to the next: no process outlives a boot.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def offset_us() -> int:
    """The wall clock less the time since boot, in microseconds: it moves when the clock is set."""
    return now_us() - boot_us()


def is_synchronised() -> bool:
    """Whether the kernel has been told that the wall clock is right (adjtimex(2)).

    On a machine that nobody synchronises it may be right all the same.
    """
    room = ctypes.create_string_buffer(512)  # a struct timex, its modes 0: nothing is set
    found: int = ctypes.CDLL(None).adjtimex(room)
    return 0 <= found < _TIME_ERROR


class ClockWatch:
    """Calls back from a thread of its own whenever the wall clock is set; sleeps otherwise.

    By a timer that the kernel then cancels (TFD_TIMER_CANCEL_ON_SET of timerfd_create(2)).
    """

    def __init__(self, was_set: Callable[[], object]) -> None:
        self._was_set = was_set
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._end_r, self._end_w = os.pipe2(os.O_CLOEXEC)

    def start(self) -> None:
        descriptor = self._libc.timerfd_create(time.CLOCK_REALTIME, _TFD_CLOEXEC)
        if descriptor >= 0:
            threading.Thread(
                target=self._run, args=(descriptor,), name="clock", daemon=True
            ).start()

    def close(self) -> None:
        os.close(self._end_w)

    def _run(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._end_r, select.POLLIN)
        while self._arm(descriptor):
            if any(ready == self._end_r for ready, _ in poll.poll()):
                break
            if _cancelled(descriptor):
                self._was_set()
        os.close(descriptor)
        os.close(self._end_r)

    def _arm(self, descriptor: int) -> bool:
        far = ctypes.create_string_buffer(struct.pack("4q", 0, 0, _NEVER, 0))
        done = self._libc.timerfd_settime(descriptor, _ABSTIME | _CANCEL_ON_SET, far, None)
        # ECANCELED: it was set since the last look, and the timer is armed all the same.
        return done == 0 or ctypes.get_errno() == errno.ECANCELED


def _cancelled(descriptor: int) -> bool:
    try:
        os.read(descriptor, 8)
    except OSError as error:
        return error.errno == errno.ECANCELED
    return False
