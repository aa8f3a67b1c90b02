"""posix_spawn(3), as Python's library does not offer it. Standard library only."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_brief: Final = ctypes.PyDLL(None)
"""The same library, for what only writes into memory: other threads are not let run meanwhile. Each
time they are, this one may have to wait for its turn.
"""
_POSIX_SPAWN_SETPGROUP: Final = 0x02
_POSIX_SPAWN_SETSIGDEF: Final = 0x04
_POSIX_SPAWN_SETSIGMASK: Final = 0x08
_POSIX_SPAWN_SETSID: Final = 0x80
"""Of <spawn.h>, the same in glibc and musl."""


def _spawn_attributes(leads: int) -> ctypes.Array[ctypes.c_char]:
    """No signal blocked, none ignored (posix_spawnattr_init(3)). `leads`: the flag that gives it a
    session, or a process group, of its own.
    """
    attributes, signals = _room(512), _room(128)
    _libc.posix_spawnattr_init(attributes)
    _libc.sigemptyset(signals)
    _libc.posix_spawnattr_setsigmask(attributes, signals)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        _libc.sigaddset(signals, number)
    _libc.posix_spawnattr_setsigdefault(attributes, signals)
    flags = _POSIX_SPAWN_SETSIGDEF | _POSIX_SPAWN_SETSIGMASK | leads
    _libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags))
    return attributes


def _room(size: int) -> ctypes.Array[ctypes.c_char]:
    """For an opaque struct of the C library; more than any of them needs."""
    return ctypes.create_string_buffer(size)


_in_session: Final = _spawn_attributes(_POSIX_SPAWN_SETSID)
_in_group: Final = _spawn_attributes(_POSIX_SPAWN_SETPGROUP)


class _Actions:
    """What a new process does with its descriptors first of all (posix_spawn_file_actions_t)."""

    def __init__(self, stdin: int, output: int, errors: int, mark: int | None) -> None:
        self.room = _room(256)
        _brief.posix_spawn_file_actions_init(self.room)
        if mark is not None:
            # By its descriptor, since its name may be gone; what this opens is replaced at once.
            _brief.posix_spawn_file_actions_addopen(
                self.room, 0, b"/proc/self/fd/%d" % mark, os.O_WRONLY | os.O_TRUNC, 0
            )
        for descriptor, target in ((stdin, 0), (output, 1), (errors, 2)):
            _brief.posix_spawn_file_actions_adddup2(self.room, descriptor, target)

    def __del__(
        self, destroy: Callable[..., object] = _brief.posix_spawn_file_actions_destroy
    ) -> None:
        # As a default, since at the end of the interpreter names of the module are gone.
        destroy(self.room)


@functools.lru_cache(maxsize=64)
def _actions(stdin: int, output: int, errors: int, mark: int | None) -> _Actions:
    """They are only read, and numbers of descriptors come again and again."""
    return _Actions(stdin, output, errors, mark)


def spawn(
    program: bytes,
    argv: Sequence[bytes],
    environment: Mapping[bytes, bytes],
    stdin: int,
    output: int,
    mark: int,
) -> int:
    """posix_spawn(3) in a new session, with stdin and with stdout and stderr to `output`.

    The new process first of all empties the file `mark`: whoever finds it empty knows that there
    was one, though nobody may have lived to note its pid.

    Unlike `os.posix_spawn` it lets other threads run until the child has left its vfork: that
    is half of the time in which this interpreter would be held.

    Raises: OSError.
    """
    actions = _actions(stdin, output, output, mark)
    return _spawn(program, argv, environment, actions, _in_session)


def spawn_helper(
    program: bytes,
    argv: Sequence[bytes],
    environment: Mapping[bytes, bytes],
    stdin: int,
    output: int,
    errors: int,
) -> int:
    """As `spawn`, of a program that works for this process itself. It leads a process group and no
    session: if this process dies meanwhile, nobody takes the orphan for a job.

    Raises: OSError.
    """
    actions = _actions(stdin, output, errors, None)
    return _spawn(program, argv, environment, actions, _in_group)


def _spawn(
    program: bytes,
    argv: Sequence[bytes],
    environment: Mapping[bytes, bytes],
    actions: _Actions,
    attributes: ctypes.Array[ctypes.c_char],
) -> int:
    pid = ctypes.c_int()
    code = _libc.posix_spawn(
        ctypes.byref(pid),
        program,
        actions.room,
        attributes,
        (ctypes.c_char_p * (len(argv) + 1))(*argv),
        (ctypes.c_char_p * (len(environment) + 1))(*map(b"=".join, environment.items())),
    )
    if code:
        raise OSError(code, os.strerror(code))
    return pid.value
