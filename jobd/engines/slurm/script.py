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
"""How it ended, while that is written; it is there from the start."""
END: Final = "end"
"""It is there when what is aside is whole: empty or, where no file can be made, that one renamed
(as all were in versions before).
"""
SAID: Final = "said"
"""What the shell says, of a signal above all."""
WRITTEN: Final = 117
"""Exit code of an attempt in a pack: how it ended stands in its end."""
AGAIN: Final = 118
"""Exit code: it was started here before, and is not again."""
NOT_SHARED: Final = 119
"""Exit code: the node does not have the shared directory."""
CANNOT: Final = b"cannot "
CODE: Final = b"code "

_TRAPPED: Final = (1, 2, 3, 10, 12, 13, 14, 15, 24, 25, 26, 27, 29, 30, *range(34, 65))
"""Signals that end what does not expect them. The others are a crash, or cannot be trapped."""
_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS_OWN: Final = frozenset(
    {
        b"BASHOPTS", b"EUID", b"HISTCMD", b"IFS", b"LINENO", b"OPTIND", b"PPID", b"RANDOM",
        b"SECONDS", b"SHELLOPTS", b"UID", b"_",
    }
)  # fmt: skip
"""Variables that a shell changes, or does not let change."""
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
        b"odd": b"".join(_odd(launch.environment)),
        b"umask": b"%03o" % launch.umask,
        b"trapped": b" ".join(b"%d" % number for number in _TRAPPED),
        b"start": START.encode(),
        b"begun": BEGUN.encode(),
        b"aside": ASIDE.encode(),
        b"end": END.encode(),
        b"said": SAID.encode(),
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
_jobd_shown=%(shown)s _jobd_came=
for _jobd_number in %(trapped)s; do
    trap '_jobd_came="$_jobd_came '$_jobd_number'"' $_jobd_number
done
umask 077
set -C
{ true >"$_jobd_folder/%(begun)s"; } 2>/dev/null || exit %(again)d
# Whoever deletes a folder takes away the script first, and a mark that was there before last.
[ -e "$_jobd_folder/%(start)s" ] || exit %(again)d
set +C
exec 2<>"$_jobd_folder/%(said)s"

finish() {
    {
        # What cannot be written is no reason for a shell to leave with another code.
        command times
        [ ! -s "$_jobd_output" ] || printf 'size %%s\\n' "$(wc -c <"$_jobd_output")"
        printf 'node %%s\\n' "$SLURMD_NODENAME"
        printf '%%s\\n' "$1"
    } 1<>"$_jobd_folder/%(aside)s" || return
    sync "$_jobd_folder/%(aside)s" "$_jobd_output"
    { true >"$_jobd_folder/%(end)s" ||
        mv -f "$_jobd_folder/%(aside)s" "$_jobd_folder/%(end)s"; } && _jobd_written=1
} 2>/dev/null
leave() {
    [ "$_jobd_pack$_jobd_written" != pack1 ] || exit %(written)d
    exit "$1"
}
# What, as it is; the same as a terminal may show it; and why.
cannot() {
    PATH=/usr/bin:/bin; export PATH
    %(told)s "$2: $3" >>"$_jobd_output"
    finish "%(cannot)s$1: $3"
    leave 126
}
look() {
    [ -e "$1" ] || cannot "$1" "$_jobd_shown" "not found"
    [ ! -d "$1" ] || cannot "$1" "$_jobd_shown" "is a directory"
    [ -x "$1" ] || cannot "$1" "$_jobd_shown" "permission denied"
}
look_for() {
    _jobd_denied=
    IFS=:; set -f
    for _jobd_directory in ${PATH-/usr/local/bin:/usr/bin:/bin}; do
        if [ -f "${_jobd_directory:-.}/$1" ]; then
            [ ! -x "${_jobd_directory:-.}/$1" ] || return 0
            _jobd_denied=1
        fi
    done
    [ -z "$_jobd_denied" ] || cannot "$1" "$_jobd_shown" "permission denied"
    cannot "$1" "$_jobd_shown" "not found"
}

[ -w "$_jobd_output" ] || cannot "output: $_jobd_output" output "cannot be written"
if [ %(nice)d != 0 ]; then
    # In an allocation this is a part of a shell that is called $$, and runs others, too.
    renice -n %(nice)d -p "$(exec sh -c 'echo $PPID')" >/dev/null 2>&1 ||
        cannot "nice %(nice)d" "nice %(nice)d" "permission denied"
fi
(
    exec 2>/dev/null
    # What has come since it was begun was meant for the command.
    for _jobd_number in $_jobd_came; do
        kill "-$_jobd_number" "$(exec sh -c 'echo $PPID')"
    done
    cd %(cwd)s || cannot %(cwd)s %(shown_cwd)s "directory: cannot be entered"
    [ -r "$_jobd_input" ] || cannot "stdin: $_jobd_input" stdin "cannot be read"
    [ -f "$_jobd_input" ] || [ -c "$_jobd_input" ] ||
        cannot "stdin: $_jobd_input" stdin "is no file"
    umask %(umask)s
    unset %(theirs)s
    %(exports)s
    set -- %(argv)s
    case $1 in
    */*) look "$1" ;;
    *) look_for "$1" ;;
    esac
    unset IFS; set +f
    trap 'cannot "$1" "$_jobd_shown" "cannot be executed, or its interpreter was not found"' EXIT
    exec %(odd)s"$@" <"$_jobd_input" >>"$_jobd_output" 2>&1
)
_jobd_code=$?
[ ! -e "$_jobd_folder/%(end)s" ] || { _jobd_written=1; leave 126; }
# A shell says of which signal a command has died, and nothing of one that exits with such a code.
read -r _jobd_said <"$_jobd_folder/%(said)s"
[ -z "$_jobd_said" ] || _jobd_signal=signal
finish "%(code)s$_jobd_code $_jobd_signal"
leave $_jobd_code
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
        b"trapped": b" ".join(b"%d" % number for number in _TRAPPED),
        b"looks": _LOOKS,
        b"seldom": _SELDOM,
        b"written": WRITTEN,
        b"again": AGAIN,
    }


_LOOKS: Final = 22
"""How often it is looked for the next attempt, in two seconds: on a shared directory nothing wakes
who waits. First often, since it mostly comes as soon as the end of the one before is known.
"""
_SELDOM: Final = 18
"""So many of them are the last ones, ten times a second."""
_PACK: Final = b"""\
pack=%(folder)s
trap : %(trapped)s
umask 077
exec 2>/dev/null
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
while :; do
    looks=%(looks)d
    until [ -f "$pack/$turn" ]; do
        [ -d "$pack" ] || exit "$left"
        [ "$looks" -gt 0 ] || leave "$left"
        # A file server is asked anew by whoever lists a directory.
        for entry in "$pack"/*; do :; done
        [ "$looks" -gt %(seldom)d ] && pause=0.05 || pause=0.1
        sleep $pause || { sleep 1; looks=$((looks - 9)); }
        looks=$((looks - 1))
    done
    (set -- pack; . "$pack/$turn")
    code=$?
    turn=$((turn + 1))
    case $code in
    %(written)d) ;;
    %(again)d) left=$code ;;
    *) leave "$code" ;;
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


def _odd(environment: Mapping[bytes, bytes]) -> Iterable[bytes]:
    """What no shell can set, as the functions that bash exports."""
    odd = {
        name: value
        for name, value in environment.items()
        if name in _SHELLS_OWN or not _NAME.fullmatch(name)
    }
    if odd:
        yield b"/usr/bin/env -- "
    for name, value in odd.items():
        yield quoted(b"%s=%s" % (name, value)) + b" "
