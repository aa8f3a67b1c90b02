"""What a job inherits from the shell it was submitted in: directory, environment, umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from jobd.contract.errors import WrongUsage
from jobd.contract.models import Command, Options
from jobd.contract.paths import JOB_VARIABLES

_CLEAN: Final = frozenset({b"HOME", b"LANG", b"LOGNAME", b"PATH", b"SHELL", b"TZ", b"USER"})
_NOT_INHERITED: Final = frozenset(name.encode() for name in JOB_VARIABLES)


def environment(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Without what belongs to the job we may be inside of."""
    return {key: value for key, value in environ.items() if key not in _NOT_INHERITED}


def clean(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What `--clean-env` leaves: who one is, where programs are, language and time zone."""
    return {
        key: value
        for key, value in environment(environ).items()
        if key in _CLEAN or key.startswith(b"LC_")
    }


def interpreter(text: str) -> bytes:
    """The absolute path of a shell, which may be named as in `$PATH`. Raises: ValueError."""
    import shutil

    found = shutil.which(text)
    if found is None:
        raise ValueError(f"{text!r} is no program that can be run")
    return os.fsencode(os.path.abspath(found))


def input_file(text: str) -> bytes:
    """The absolute path of a file to read from. Raises: ValueError, WrongUsage."""
    if text in ("", "-"):
        raise ValueError("the file is opened when the job starts, so it needs a name")
    path = os.fsencode(text)
    if not path.startswith(b"/"):
        path = os.path.join(directory(os.environb, "write an absolute path"), path)
    if _is_of_this_process(path):
        raise ValueError(
            f"{text!r} is another file to each process, and it is opened when the job starts; "
            "name the file itself"
        )
    return path


_OF_A_PROCESS: Final = (b"/proc/self", b"/proc/thread-self", b"/dev/tty")
_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7))."""


def _is_of_this_process(path: bytes) -> bool:
    """Whether the way to it leads through what is another thing to whoever opens it.

    So it is with `/dev/stdin`, `/dev/fd/3` and what a shell writes for `<(COMMAND)`: proc(5).
    """
    own = (*_OF_A_PROCESS, b"/proc/%d" % os.getpid())
    left, here = os.path.normpath(path).split(b"/")[1:], b"/"
    for _ in range(_MOST_LINKS):
        link = None
        while left and link is None:
            here = os.path.join(here, left.pop(0))
            if here in own:
                return True
            with suppress(OSError):
                link = os.readlink(here)
        if link is None:
            return False
        target = os.path.normpath(os.path.join(os.path.dirname(here), link, *left))
        left, here = target.split(b"/")[1:], b"/"
    return False


def directory(environ: Mapping[bytes, bytes], instead: str = "give one with --cwd") -> bytes:
    """The current directory as the shell named it, symlinks and all.

    `$PWD` is believed only where it leads to the same place. `instead`: what to do where there is
    none. Raises: WrongUsage (it is gone).
    """
    named = environ.get(b"PWD", b"")
    try:
        here = os.stat(".")
        if named.startswith(b"/") and os.path.samestat(os.stat(named), here):
            return of_every_process(named)
    except OSError:
        pass
    try:
        return os.getcwdb()
    except OSError as error:
        raise WrongUsage(f"the current directory is gone; {instead}") from error


def working_directory(environ: Mapping[bytes, bytes], wanted: str | None) -> bytes:
    """`--cwd`, made absolute, or the current directory. Raises: WrongUsage."""
    if wanted is None:
        return directory(environ)
    path = os.fsencode(wanted)
    if not path.startswith(b"/"):
        path = os.path.join(directory(environ, "write an absolute path"), path)
    if not os.path.isdir(path):
        raise WrongUsage(f"--cwd: {wanted} is not a directory")
    return of_every_process(path)


def of_every_process(path: bytes) -> bytes:
    """The same directory, also where its path (`/proc/self/cwd`) means another to the daemon."""
    return os.path.realpath(path) if _is_of_this_process(path) else path


def umask() -> int:
    """Read, where setting it to read it would race with other threads."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+:,./-"
"""A word of these says the same to a shell as to us."""
_RESERVED: Final = frozenset(
    b"alias bg bind break builtin caller case cd command compgen complete compopt continue coproc"
    b" declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi"
    b" for function getopts hash help history if in jobs kill let local logout mapfile popd printf"
    b" pushd pwd read readarray readonly return select set shift shopt source suspend test then"
    b" time times trap true type typeset ulimit umask unalias unset until wait while . : autoload"
    b" emulate foreach noglob print repeat setopt unsetopt whence zmodload zstyle".split()
)
"""What a shell may know by itself."""


def program_of(line: bytes) -> bytes | None:
    """The program that a shell line runs, where that is certain: nothing in it is syntax."""
    words = line.split()
    if not words or b"".join(words).translate(None, _PLAIN) or words[0] in _RESERVED:
        return None
    return words[0]


class Missing(Struct, frozen=True, kw_only=True):
    """What a job would not find if it started now, each once, as text."""

    programs: list[str] = []
    directories: list[str] = []
    files: dict[str, str] = {}
    """And what is wrong with each: one may be there, and be none to read from."""


def missing_of(
    command: Command, options: Options, environ: Mapping[bytes, bytes], cwd: bytes
) -> str | None:
    """The program of a command that would not be found when it starts, where that is certain."""
    if command.script or (command.shell and options.shell):
        # A shell of one's own may know more words than sh.
        return None
    first = command.argv[0]
    program = program_of(first) if command.shell else first
    return None if program is None else missing_program(program, environ, cwd)


def missing_input(options: Options) -> dict[str, str]:
    """The file that it would read from, and why a start could not open it; empty: it could."""
    if not options.stdin:
        return {}
    try:
        mode = os.stat(options.stdin).st_mode
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        why = "no such file" if gone else (error.strerror or str(error)).lower()
    else:
        if stat.S_ISREG(mode) or stat.S_ISCHR(mode):
            return {}
        why = "is a directory" if stat.S_ISDIR(mode) else "is no file"
    return {os.fsdecode(options.stdin): why}


def missing_program(program: bytes, environ: Mapping[bytes, bytes], cwd: bytes) -> str | None:
    """The name of a program that would not be found when the job starts, else None."""
    if b"/" in program:
        return None if os.path.exists(os.path.join(cwd, program)) else os.fsdecode(program)
    for folder in environ.get(b"PATH", os.fsencode(os.defpath)).split(b":"):
        if os.access(os.path.join(cwd, folder, program), os.X_OK):
            return None
    return os.fsdecode(program)
