"""What runs on a node: a few lines of POSIX shell around the command of an attempt.

They start it once, in its directory, with its environment, umask, input and output, survive the
signals that are meant for it, and write down how it ended: aside, synced, and then marked as whole.
Bytes are as they were given: every text goes through `quoted`. What a shell does by itself is not
left to a program: of a short job that is most of what it costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from jobd.contract.wording import printable
from jobd.engines.base import Launch

START: Final = "start"
"""The file in a folder that its node runs."""
BEGUN: Final = "begun"
"""The file in an attempt's folder that its node makes, once, before it starts the command: empty.
Where the daemon has made it, so that no node can, it is one more name of `START`, or a directory.
"""
ASIDE: Final = "end.new"
"""How it ended, while that is written; it is there from the start. Until then it has what the shell
says, of a signal above all.
"""
END: Final = "end"
"""It is there when what is aside is whole: empty or, where no file can be made, that one renamed
(as all were in versions before).
"""
WRITTEN: Final = 117
"""Exit code of an attempt in a pack: how it ended stands in its end."""
AGAIN: Final = 118
"""Exit code: it was started here before, and is not again."""
_UNREADABLE: Final = 2
"""Exit code of an allocation whose next attempt could not be read: it has not begun."""
NOT_SHARED: Final = 119
"""Exit code: the node does not have the shared directory."""
CANNOT: Final = b"cannot "
CODE: Final = b"code "

_TRAPPED: Final = (1, 2, 3, 10, 12, 13, 14, 15, 24, 25, 26, 27, 29, 30, *range(34, 65))
"""Signals that end what does not expect them. The others are a crash, or cannot be trapped."""
_TRAPS: Final = b"""\
for _jobd_number in %s; do
    trap '_jobd_came="$_jobd_came '$_jobd_number'"' $_jobd_number
done""" % b" ".join(b"%d" % number for number in _TRAPPED)
"""What comes for the command is noted, and ends no shell."""
_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS_OWN: Final = frozenset(
    {
        b"BASHOPTS", b"EUID", b"HISTCMD", b"IFS", b"LINENO", b"OPTIND", b"PPID", b"RANDOM",
        b"SECONDS", b"SHELLOPTS", b"UID", b"_",
    }
)  # fmt: skip
"""Variables that a shell changes, or does not let change."""
_KEPT_BY_SOME: Final = b"_"
"""One of them that bash alone changes, and leaves in the environment of whatever it starts."""
_NOT_THEIRS: Final = b"ENVIRONMENT HOME HOSTNAME LOGNAME OLDPWD PATH PWD SHLVL TMPDIR USER"
"""What is in the environment of the script, and comes from neither the job nor Slurm."""
_SLURMS: Final = (b"SLURM", b"CUDA_VISIBLE_DEVICES")
"""What begins so tells an attempt of its own allocation; this machine's devices are not there."""


class AttemptPaths(NamedTuple):
    """Where the files of an attempt are, as its node reaches them."""

    folder: bytes
    """Its own, private."""
    output: bytes
    program: bytes | None = None
    """Its script."""


def stub(paths: AttemptPaths) -> bytes:
    """What Slurm itself gets and keeps: nothing in it is anybody's secret."""
    return b"#!/bin/sh\n[ -r %(start)s ] || exit %(code)d\nexec /bin/sh %(start)s\n" % {
        b"start": quoted(paths.folder + b"/" + START.encode()),
        b"code": NOT_SHARED,
    }


def start_script(launch: Launch, paths: AttemptPaths) -> bytes:
    """It is `start` in the attempt's folder."""
    argv = launch.argv if paths.program is None else [paths.program, *launch.argv[1:]]
    values = {
        b"folder": quoted(paths.folder),
        b"output": quoted(paths.output),
        b"input": quoted(launch.stdin or b"/dev/null"),
        b"cwd": quoted(launch.cwd),
        b"argv": b" ".join(map(quoted, argv)),
        b"shown": _shown(argv[0]),
        b"shown_cwd": _shown(launch.cwd),
        b"exports": b"\n    ".join(_exports(launch)),
        b"exec": _execution(launch.environment),
        b"umask": b"%03o" % launch.umask,
        b"traps": _TRAPS,
        b"start": START.encode(),
        b"begun": BEGUN.encode(),
        b"aside": ASIDE.encode(),
        b"end": END.encode(),
        b"again": AGAIN,
        b"written": WRITTEN,
        b"nice": launch.nice,
        b"cannot": CANNOT,
        b"code": CODE,
        b"theirs": _NOT_THEIRS,
        # Viewers read the output, too, and are not to know what is a job's script or input.
        b"told": b":"
        if launch.stdin or launch.script
        else b"printf 'jobd: could not start: %s\\n'",
    }
    return _SCRIPT % values


_SCRIPT: Final = b"""\
_jobd_folder=%(folder)s _jobd_output=%(output)s _jobd_input=%(input)s _jobd_pack=$1
_jobd_shown=%(shown)s
[ -n "$_jobd_pack" ] || {
    umask 077
    %(traps)s
}

_jobd_finish() {
    {
        # What cannot be written is no reason for a shell to leave with another code.
        command times
        printf 'before %%s\n' "$_jobd_before"
        [ ! -s "$_jobd_output" ] || printf 'size %%s\n' "$(wc -c <"$_jobd_output")"
        printf 'node %%s\n' "$SLURMD_NODENAME"
        printf '%%s\n' "$1"
    } 1<>"$_jobd_folder/%(aside)s" || return
    sync "$_jobd_folder/%(aside)s" "$_jobd_output"
    true >"$_jobd_folder/%(end)s" ||
        mv -f "$_jobd_folder/%(aside)s" "$_jobd_folder/%(end)s"
} 2>/dev/null
# What, as it is; the same as a terminal may show it; and why.
_jobd_cannot() {
    trap - EXIT
    PATH=/usr/bin:/bin; export PATH
    %(told)s "$2: $3" >>"$_jobd_output"
    _jobd_finish "%(cannot)s$1: $3"
    exit 126
}
_jobd_look() {
    [ -e "$1" ] || _jobd_cannot "$1" "$_jobd_shown" "not found"
    [ ! -d "$1" ] || _jobd_cannot "$1" "$_jobd_shown" "is a directory"
    [ -x "$1" ] || _jobd_cannot "$1" "$_jobd_shown" "permission denied"
}
_jobd_look_for() {
    _jobd_denied=
    IFS=:; set -f
    for _jobd_directory in ${PATH-/usr/local/bin:/usr/bin:/bin}; do
        if [ -f "${_jobd_directory:-.}/$1" ]; then
            [ ! -x "${_jobd_directory:-.}/$1" ] || return 0
            _jobd_denied=1
        fi
    done
    [ -z "$_jobd_denied" ] || _jobd_cannot "$1" "$_jobd_shown" "permission denied"
    _jobd_cannot "$1" "$_jobd_shown" "not found"
}
# In a part of the shell that is its own, and becomes the command.
_jobd_command() {
    exec 2>/dev/null
    [ -w "$_jobd_output" ] || _jobd_cannot "output: $_jobd_output" output "cannot be written"
    if [ %(nice)d != 0 ]; then
        # This part has a number of its own, which $$ is not.
        renice -n %(nice)d -p "$(exec sh -c 'echo $PPID')" >/dev/null ||
            _jobd_cannot "nice %(nice)d" "nice %(nice)d" "permission denied"
    fi
    # What has come since it was begun was meant for the command.
    for _jobd_number in $_jobd_came; do
        kill "-$_jobd_number" "$(exec sh -c 'echo $PPID')"
    done
    cd %(cwd)s || _jobd_cannot %(cwd)s %(shown_cwd)s "directory: cannot be entered"
    [ -r "$_jobd_input" ] || _jobd_cannot "stdin: $_jobd_input" stdin "cannot be read"
    [ -f "$_jobd_input" ] || [ -c "$_jobd_input" ] ||
        _jobd_cannot "stdin: $_jobd_input" stdin "is no file"
    umask %(umask)s
    unset %(theirs)s
    %(exports)s
    set -- %(argv)s
    case $1 in
    */*) _jobd_look "$1" ;;
    *) _jobd_look_for "$1" ;;
    esac
    unset IFS; set +f
    _jobd_what=$1
    trap '_jobd_cannot "$_jobd_what" "$_jobd_shown" \
        "cannot be executed, or its interpreter was not found"' EXIT
    %(exec)s <"$_jobd_input" >>"$_jobd_output" 2>&1
}
# It may be one of several that the same shell runs: what it leaves there is nobody else's.
_jobd_run() {
    _jobd_came= _jobd_before= _jobd_said=
    set -C
    { true >"$_jobd_folder/%(begun)s"; } 2>/dev/null || { set +C; return %(again)d; }
    set +C
    # Whoever deletes a folder takes away the script first, and a mark that was there before last.
    [ -e "$_jobd_folder/%(start)s" ] || return %(again)d
    command exec 2<>"$_jobd_folder/%(aside)s" && command times >&2
    (_jobd_command)
    _jobd_code=$?
    # A shell says of which signal a command has died, and nothing of one that exits with such a
    # code: behind what it says of the times, of which the second line is that of its children.
    { read -r _jobd_said; read -r _jobd_before; read -r _jobd_said; } <"$_jobd_folder/%(aside)s"
    exec 2>/dev/null
    if [ ! -e "$_jobd_folder/%(end)s" ]; then
        _jobd_finish "%(code)s$_jobd_code ${_jobd_said:+signal}" || return "$_jobd_code"
    fi
    [ -z "$_jobd_pack" ] || return %(written)d
    return "$_jobd_code"
}
_jobd_run
_jobd_left=$?
[ -n "$_jobd_pack" ] || exit "$_jobd_left"
"""


def pack_script(folder: bytes, size: int) -> bytes:
    """It is `start` in the folder of an allocation, and runs so many attempts, one after another.

    They lie beside it by their turns. It ends when none has come for a while, when its folder is
    gone, and behind one that could not write down its end: then with the exit code of that. It ends
    with `AGAIN` where it has passed over one that was started before: 0 would speak for that, too.
    """
    return _PACK % {
        b"folder": quoted(folder),
        b"size": size,
        b"unreadable": _UNREADABLE,
        b"traps": _TRAPS,
        b"looks": _LOOKS,
        b"second": _LOOKS - 1,
        b"written": WRITTEN,
        b"again": AGAIN,
    }


_LOOKS: Final = 6
"""How often it is looked for the next attempt, in two seconds: on a shared directory nothing wakes
who waits. Seldom, since each pause costs as much as a short command; the next one mostly comes
within the first, or the machine is busy.
"""
_PACK: Final = b"""\
pack=%(folder)s
umask 077
exec 2>/dev/null
%(traps)s
# One that is handed over is a file, and whoever leaves makes a directory of that name: one of the
# two comes first.
leave() {
    if mkdir "$pack/$turn"; then
        rm -rf "$pack"
        exit "$1"
    fi
    [ -f "$pack/$turn" ] || exit "$1"
}
turn=1 left=0
set -- pack
while :; do
    looks=%(looks)d
    until [ -f "$pack/$turn" ]; do
        [ -d "$pack" ] || exit "$left"
        [ "$looks" -gt 0 ] || leave "$left"
        # A file server is asked anew by whoever lists a directory.
        for entry in "$pack"/*; do :; done
        case $looks in
        %(looks)d) pause=0.1 ;;
        %(second)d) pause=0.2 ;;
        *) pause=0.4 ;;
        esac
        sleep $pause || { sleep 1; looks=$((looks - 2)); }
        looks=$((looks - 1))
    done
    _jobd_left=%(unreadable)d
    command . "$pack/$turn"
    turn=$((turn + 1))
    case $_jobd_left in
    %(written)d) ;;
    %(again)d) left=$_jobd_left ;;
    *) leave "$_jobd_left" ;;
    esac
    [ "$turn" -le %(size)d ] || leave "$left"
done
"""


def _shown(text: bytes) -> bytes:
    """As it may stand in an output, which goes to a terminal."""
    return quoted(printable(text.decode("utf-8", "replace")).encode())


def quoted(text: bytes) -> bytes:
    return b"'%s'" % text.replace(b"'", b"'\\''")


def _exports(launch: Launch) -> Iterable[bytes]:
    """Neither secret nor too long for a command line: they stand in a private file."""
    for name, value in launch.environment.items():
        if _NAME.fullmatch(name) and name not in _SHELLS_OWN and not name.startswith(_SLURMS):
            yield b"export %s=%s" % (name, quoted(value))


def _execution(environment: Mapping[bytes, bytes]) -> bytes:
    """How the command takes the place of the shell: by `env`, where no shell can set what is odd.

    That is one program more, so the variable that every interactive bash leaves is exported by the
    shells that keep it.
    """
    odd = {
        name: value
        for name, value in environment.items()
        if name in _SHELLS_OWN or not _NAME.fullmatch(name)
    }
    if not odd:
        return b'exec "$@"'
    given = b" ".join(quoted(b"%s=%s" % one) for one in odd.items())
    by_env = b'exec /usr/bin/env -- %s "$@"' % given
    if odd.keys() != {_KEPT_BY_SOME}:
        return by_env
    kept = b'export _=%s; exec "$@"' % quoted(odd[_KEPT_BY_SOME])
    return b'if _=jobd; : other; [ "$_" = jobd ]; then %s; else %s; fi' % (kept, by_env)
