"""What a person may have meant otherwise in a command that is being submitted, a line each.

A rule is a function of a `Case` that gives one line, or None. None of them refuses anything, and
none looks at more than the command and the first bytes of a file.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from jobctl.submission import executables
from jobctl.submission.environment import program_of
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Command

_MOST: Final = 3
"""Lines that are told of one submission: of many commands most say the same."""
_LOOKED_AT: Final = 100
"""Commands of one submission whose programs are looked for on the disk."""


class Case(Struct, frozen=True):
    """A command, and what it will find when it starts."""

    command: Command
    environment: Mapping[bytes, bytes]
    cwd: bytes
    shell: Callable[[], bytes]
    """The path of what runs shell lines; asked for only where that matters."""
    waits: bool = False
    """Whether a job that comes before it may make what is not there yet."""

    @property
    def line(self) -> bytes:
        """The shell line; empty where there is none."""
        return self.command.argv[0] if self.command.shell else b""

    @property
    def words(self) -> Sequence[bytes]:
        """The argv; empty where a shell makes it."""
        return [] if self.command.shell else self.command.argv

    @property
    def program(self) -> bytes | None:
        """The path of what is run first, where that is certain and it is there."""
        if self.command.script or self.waits:
            return None
        name = program_of(self.line) if self.command.shell else self.command.argv[0]
        if name is None:
            return None
        if b"/" in name:
            path = os.path.join(self.cwd, name)
            return path if os.path.exists(path) else None
        return self.found(name)

    def found(self, program: bytes) -> bytes | None:
        """Where it is in the job's `$PATH`."""
        from shutil import which

        path = self.environment.get(b"PATH", os.fsencode(os.defpath))
        found = which(os.fsdecode(program), path=os.fsdecode(path))
        return None if found is None else os.path.join(self.cwd, os.fsencode(found))

    @property
    def name(self) -> str:
        """What the program or script was called."""
        return os.fsdecode(self.line.split()[0] if self.command.shell else self.command.argv[0])


def shell(client: Client) -> bytes:
    """What runs shell lines, as far as we are told."""
    from jobd.contract.config import DaemonConfig

    try:
        settings = client.configuration().settings
    except JobdError:  # a viewer, or a daemon of an earlier version
        settings = []
    named = next((each.value for each in settings if each.key == "daemon.shell"), None)
    return os.fsencode(str(named or DaemonConfig().shell))


def of(cases: Iterable[Case]) -> list[str]:
    """The first few lines, each once."""
    found: dict[str, None] = {}
    for said in _all(cases):
        found[said] = None
        if len(found) == _MOST:
            break
    return list(found)


def _all(cases: Iterable[Case]) -> Iterator[str]:
    for number, case in enumerate(cases):
        for rule in OF_COMMANDS if number >= _LOOKED_AT else (*OF_COMMANDS, *OF_PROGRAMS):
            if (said := rule(case)) is not None:
                yield said


# --- shell lines --------------------------------------------------------------------------

_OWN: Final = rb"(/dev/(?:stdout|stderr|fd/[12])|/proc/self/fd/[12])(?![\w/.-])"
_EMPTIES: Final = (
    rb"(?<!>)>\|?[ \t]*[\"']?" + _OWN
    + rb"|\btee +(?!-[a-z]*a|--append)(?:[^|;&<>\n]{0,200} )?" + _OWN
)  # fmt: skip
"""`>`, `2>`, `&>` and `>|`, but not `>>`; and tee(1) without `-a`."""


def empties_output(case: Case) -> str | None:
    """`> /dev/stderr` opens a file, and truncates it. On a terminal that does no harm. A job's
    stdout and stderr are one file, and so all that it has printed before is gone (Linux opens the
    file anew, proc(5); O_TRUNC, open(2)).
    """
    line = case.line
    # Most lines name none: they are spared the search, and most calls the pattern itself.
    if not (b"/dev/" in line or b"/proc/" in line) or not (found := re.search(_EMPTIES, line)):
        return None
    if found[2]:
        name = os.fsdecode(found[2])
        return f"tee {name} empties the job's output; write tee -a {name}"
    name = os.fsdecode(found[1])
    number = 2 if name.endswith(("err", "2")) else 1
    return f"> {name} empties the job's output; write >&{number}"


_QUOTED: Final = rb"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|(?<!\S)#[^\n]*"
_BASH: Final = (
    (rb"(?:^|[;&|({!\n]|\b(?:then|do|else|if|while|until)\s)\s*source\s", "source", "write ."),
    (rb"(?:^|[;&|({!\n]|\b(?:then|do|else|if|while|until)\s)\s*\[\[\s", "[[", ""),
    (rb"(?:^|\s)[<>]\(", "<(...)", ""),
    (rb"(?<![<>&])&>>?", "&>", "write > FILE 2>&1"),
    (rb"<<<", "<<<", ""),
    (rb"\{\d+\.\.\d+\}", "{1..9}", "write $(seq 1 9)"),
)
"""What shells have that are no plain sh, by a pattern, and what to write instead."""
_PLAIN_SHELLS: Final = frozenset({"dash", "ash", "busybox", "posh", "yash", "sh"})


def is_for_another_shell(case: Case) -> str | None:
    """Bash's own words under a shell that takes them for something else, or for nothing."""
    line = case.line
    if not line or not any(sign in line for sign in (b"source", b"[[", b"(", b"&>", b"<<<", b"..")):
        return None
    bare = re.sub(_QUOTED, b"''", line)
    if re.search(rb"<<(?!<)", bare.replace(b"<<<", b"")):
        return None  # what stands in a here-document is no shell line
    for pattern, name, instead in _BASH:
        if re.search(pattern, bare):
            shell = os.fsdecode(case.shell())
            if os.path.basename(os.path.realpath(shell)) not in _PLAIN_SHELLS:
                return None
            way = f"{instead}, or give --shell bash" if instead else "give --shell bash"
            return f"{name} is not known to {shell}, which runs the line: {way}"
    return None


# --- words --------------------------------------------------------------------------------

_SIGNS: Final = frozenset(
    {b"|", b"||", b"&&", b">", b">>", b"<", b"2>", b"2>&1", b">&2", b"&>", b"&"}
)
_LINE: Final = 60
"""Bytes of a line that is repeated as it should be written."""
_TAKERS: Final = frozenset(
    b"expr test [ grep egrep fgrep rg ag awk cut tr sed join paste column sort find sh bash zsh"
    b" dash ksh fish ssh xargs parallel watch echo printf jobctl".split()
)
"""Programs to which such a word is an argument like any other."""


def is_no_pipe(case: Case) -> str | None:
    """A quoted `|` in an argv: what was meant for a shell reaches the program."""
    words = case.words
    sign = next((word for word in words[1:] if word in _SIGNS), None)
    if sign is None or os.path.basename(words[0]) in _TAKERS:
        return None
    from shlex import quote

    line = b" ".join(
        word if word in _SIGNS else os.fsencode(quote(os.fsdecode(word))) for word in words
    )
    shown = quote(os.fsdecode(line)) if len(line) <= _LINE else "LINE"
    return (
        f"{os.fsdecode(sign)!r} is an argument of {os.fsdecode(words[0])} here;"
        f" for a shell: jobctl submit -c {shown}"
    )


def is_a_line(case: Case) -> str | None:
    """Where a whole line stands for the program, no shell takes it apart."""
    words = case.words
    if not words or case.command.script or case.program is not None:
        return None
    if b"/" in words[0] or len(words[0].split()) < 2:  # a word is a program
        return None
    shown = os.fsdecode(b" ".join(words))
    from shlex import quote

    line = quote(shown) if len(shown) <= _LINE else "LINE"
    if len(words) > 1:
        what = "of several words the first one is the program"
    else:
        what = "after -- the whole word is taken as the program's name"
    return f"{what}; for a line: jobctl submit -c {line}"


# --- programs -----------------------------------------------------------------------------


def is_beside_path(case: Case) -> str | None:
    """A file of this directory, as a script is named to other queues: `train.py`, `job.sh`."""
    if case.command.script or case.waits or case.program is not None:
        return None
    name = program_of(case.line) if case.command.shell else case.words[0]
    if not name or b"/" in name or not os.path.isfile(os.path.join(case.cwd, name)):
        return None
    from shlex import quote

    shown = quote(os.fsdecode(name))
    how = executables.how_it_runs(os.path.join(case.cwd, name), shown, case.found)
    return f"{shown} is in this directory: write {how}" if how else None


def is_not_executable(case: Case) -> str | None:
    """Only a path can be one that is there and cannot be run."""
    path = case.program
    if path is None or "/" not in case.name:
        return None
    if os.path.isdir(path):
        return f"{case.name} is a directory"
    if os.access(path, os.X_OK):
        return None
    interpreter = executables.interpreter_of(path, case.found)
    instead = f"write {interpreter} {case.name}" if interpreter else f"chmod +x {case.name}"
    return f"{case.name} is not executable: {instead}"


def lacks_its_interpreter(case: Case) -> str | None:
    """A script that names none, or one that is not there."""
    head = _head(case)
    if not head or b"\0" in head or head.startswith(b"\x7fELF"):
        return None
    first = head.split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return f"{case.name} has no #! line: /bin/sh runs it"
    if first.endswith(b"\r"):
        from shlex import quote

        unix = f"sed -i 's/\\r$//' {quote(case.name)}"
        return f"{case.name} has line ends of DOS, so its interpreter is not found: {unix}"
    missing = _missing_interpreter(first[2:].split(), case)
    return None if missing is None else f"{case.name}: its interpreter {missing} is not there"


def _head(case: Case) -> bytes:
    """Of what can be run."""
    if case.command.script:
        return case.command.script[: executables.HEAD]
    path = case.program
    return executables.head(path) if path is not None and os.access(path, os.X_OK) else b""


def _missing_interpreter(words: Sequence[bytes], case: Case) -> str | None:
    if not words:
        return None
    if not os.path.exists(os.path.join(case.cwd, words[0])):
        return os.fsdecode(words[0])
    if os.path.basename(words[0]) == b"env" and len(words) == 2:
        return None if case.found(words[1]) else os.fsdecode(words[1])
    return None


OF_COMMANDS: Final[tuple[Callable[[Case], str | None], ...]] = (
    empties_output,
    is_for_another_shell,
    is_no_pipe,
)
"""Need no look at the disk, as a rule."""
OF_PROGRAMS: Final[tuple[Callable[[Case], str | None], ...]] = (
    is_a_line,
    is_beside_path,
    is_not_executable,
    lacks_its_interpreter,
)


# --- stdin --------------------------------------------------------------------------------


def of_unread_input() -> str | None:
    """Something is piped into `jobctl submit`, which hands nothing on.

    Told only where a shell with job control has started us and nothing else reads from there: in a
    script or a loop stdin is what that reads.
    """
    try:
        file = sys.stdin.fileno()
        mode = os.fstat(file).st_mode
        if os.getpgid(os.getppid()) == os.getpgrp():
            return None
        given = stat.S_ISFIFO(mode) or (
            stat.S_ISREG(mode) and os.lseek(file, 0, os.SEEK_CUR) == 0 and os.fstat(file).st_size
        )
    except (OSError, ValueError):
        return None
    if not given:
        return None
    return "the job does not get what stdin has: --stdin FILE, or a line that reads a file itself"
