"""Lines for Slurm's commands that somebody typed behind `jobctl`: what does the same here.

Where a line does less than what was written, it says so; none is said that does something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from jobctl.parsing import slurm
from jobctl.parsing.hint_lines import ID, but, ids, line, login, script, start, stopped

Words = list[str]

# --- sbatch, srun -------------------------------------------------------------------------

_FLAGS_OF_SRUN: Final = (slurm.FLAGS - {"wait"}) | {
    "bcast", "compress", "disable-status", "exact", "immediate", "kill-on-bad-exit", "label",
    "multi-prog", "no-allocate", "overlap", "preserve-env", "pty", "quit-on-interrupt",
    "resv-ports", "send-libs", "unbuffered", "x11", "E", "I", "K", "l", "u", "X", "Z",
}  # fmt: skip
"""What may do without a value there (srun(1)); its --wait may not."""


def sbatch(rest: Sequence[str]) -> str:
    """What it is given is a script, if it is a file."""
    options, words = slurm.split(rest)
    read = slurm.Reader(slurm.SUGGESTED).read(options)
    if not words and rest and "-c" not in read.ours:
        words = ["--script", "FILE"]
    return line("submit", *read.ours, *script(words)) + but(read.left_out)


def srun(rest: Sequence[str]) -> str:
    """What it is given is a command."""
    options, words = slurm.split(rest, _FLAGS_OF_SRUN)
    read = slurm.Reader(slurm.SUGGESTED).read(options)
    return line("submit", "--wait", *read.ours, *(words or ["COMMAND"])) + but(read.left_out)


# --- squeue, scancel, sstat ---------------------------------------------------------------

_SHORT: Final = {
    "A": "account",
    "j": "jobs",
    "L": "licenses",
    "M": "clusters",
    "n": "name",
    "p": "partition",
    "q": "qos",
    "R": "reservation",
    "t": "states",
    "u": "users",
    "w": "nodelist",
}
_ALIKE: Final = {
    "job": "jobs",
    "jobname": "name",
    "me": "users",
    "names": "name",
    "state": "states",
    "user": "users",
}
"""Names for what Slurm keeps in one place."""
_FLAGS_OF_SQUEUE: Final = frozenset(
    {
        "all", "array", "array-unique", "federation", "help", "hide", "json", "local", "long", "me",
        "noconvert", "noheader", "priority", "sibling", "start", "steps", "usage", "verbose",
        "version", "yaml", "a", "h", "l", "P", "r", "s", "V", "v",
    }
)  # fmt: skip
_FLAGS_OF_SCANCEL: Final = frozenset(
    {
        "batch", "ctld", "full", "help", "hurry", "interactive", "me", "quiet", "usage", "verbose",
        "version", "b", "f", "H", "i", "Q", "V", "v",
    }
)  # fmt: skip
_NARROWS: Final = frozenset(
    {"account", "clusters", "licenses", "name", "nodelist", "qos", "reservation", "states", "wckey"}
)
"""Options that choose jobs and that may have no counterpart; others say how they are shown."""
_STATES: Final = {
    **dict.fromkeys(("pd", "pending", "rh", "requeue_hold", "rq", "requeued"), "pending"),
    **dict.fromkeys(("r", "running", "cg", "completing", "cf", "configuring"), "running"),
    **dict.fromkeys(("s", "suspended", "st", "stopped"), "running"),
    **dict.fromkeys(("cd", "completed"), "completed"),
    **dict.fromkeys(("f", "failed", "to", "timeout", "oom", "out_of_memory"), "failed"),
    **dict.fromkeys(("nf", "node_fail", "bf", "boot_fail", "dl", "deadline"), "failed"),
    **dict.fromkeys(("ca", "cancelled"), "stopped"),
}
"""Its states, in small letters, and what such a job is here (squeue(1))."""


def squeue(rest: Sequence[str]) -> str:
    """A list that is longer than what was asked for says so."""
    words: Words = []
    left_out: Words = []
    for name, value, written in _counting(slurm.options(rest, _SHORT, _FLAGS_OF_SQUEUE)):
        ours = _chosen(name, value)
        if ours is not None:
            words += ours
        elif _ALIKE.get(name, name) in _NARROWS and value != "all":
            left_out.append(written)
    return line("ls", *words) + but(left_out)


def scancel(rest: Sequence[str]) -> str | None:
    """Where one of its filters has no counterpart, more would be stopped: so none is said."""
    words: Words = []
    signal = ""
    found = slurm.options(rest, {**_SHORT, "s": "signal"}, _FLAGS_OF_SCANCEL)
    for name, value, _written in _counting(found):
        ours = _chosen(name, value)
        if name == "signal":
            signal = value
        elif ours is not None:
            words += ours
        elif name not in _FLAGS_OF_SCANCEL:
            return line("stop", ID)
    if not words or ID in words:
        words = [ID]
    return stopped(signal, words) if signal else line("stop", *words)


def sstat(rest: Sequence[str]) -> str:
    """Only of which job."""
    found = slurm.options(rest, {"j": "jobs"}, {"a", "n", "p", "P", "v", "V", "noheader"})
    named = [each.value for each in found if each.name in ("", "jobs")]
    return line("show", _one(named))


def _counting(found: Iterable[slurm.Option]) -> list[slurm.Option]:
    """Of an option given twice Slurm keeps the last; here each one would choose more jobs."""
    every = list(found)
    last = {_ALIKE.get(each.name, each.name): each for each in every}
    return [
        each for each in every
        if not each.name or last[_ALIKE.get(each.name, each.name)] is each
    ]  # fmt: skip


def _chosen(name: str, value: str) -> Words | None:
    """What chooses jobs, in our words; None: it has none, or chooses nothing."""
    if name == "me":
        return ["--user", login()]
    name = _ALIKE.get(name, name)
    if name in ("", "jobs"):
        return ids([value]) if value else []
    if name == "states":
        found = [_STATES.get(each) for each in value.lower().split(",")]
        states = [each for each in dict.fromkeys(found) if each]
        return ["--state", ",".join(states)] if all(found) else None
    option = {"users": "--user", "partition": "--group", "name": "--name"}.get(name)
    is_other = option == "--name" and set(value) & set(",*?[")  # a list there, a pattern here
    return [option, value] if option and value and not is_other else None


# --- scontrol -----------------------------------------------------------------------------

_VERBS: Final = {
    "hold": "hold",
    "uhold": "hold",
    "release": "start",
    "requeue": "restart",
    "suspend": "pause",
    "resume": "resume",
}
_SHOWN: Final = {
    "job": "ls",
    "jobs": "ls",
    "partition": "groups",
    "partitions": "groups",
}
_SHOWN_BY_DAEMON: Final = {"node": "status", "nodes": "status", "config": "config"}
_HOW_IT_SHOWS: Final = frozenset(
    {"-a", "--all", "-d", "--details", "-o", "--oneliner", "-Q", "--quiet", "-v", "--verbose"}
)
_FIELD: Final = re.compile(r"([A-Za-z]+)([+-]?)=(.*)", re.DOTALL)
_JOB: Final = ("job", "jobid")


def scontrol(rest: Sequence[str]) -> str | None:
    """Verbs that are about jobs, and what it shows; None: the others have no counterpart."""
    words = list(rest)
    while words and words[0] in _HOW_IT_SHOWS:
        del words[0]
    verb, *words = words or [""]
    if verb in _VERBS:
        return line(_VERBS[verb], *_named(words))
    if verb == "update":
        return _update(words)
    return _show(words) if verb == "show" and words else None


def _named(words: Iterable[str]) -> Words:
    """Jobs as it takes them: `7,8`, `job=7`, `jobname=x`."""
    found: Words = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name.lower() in ("name", "jobname"):
            return ["--name", value] if value else [ID]
        found.append(value if equals and name.lower() in _JOB else word)
    return ids(found)


def _one(words: Words) -> str:
    """For a command that takes a single job."""
    return words[0] if len(words) == 1 and words[0].isdecimal() else ID


def _show(words: Words) -> str | None:
    what, equals, value = words[0].lower().partition("=")
    if what in _SHOWN_BY_DAEMON:
        return line(_SHOWN_BY_DAEMON[what], program="jobd")
    which = [value] if equals else words[1:]
    if what in (*_JOB, "jobs") and which:
        return line("show", _one(which))
    return line(_SHOWN[what]) if what in _SHOWN else None


def _update(words: Words) -> str | None:
    """`jobctl edit 7 --time-limit 1h` for `JobId=7 TimeLimit=1:00:00`; None: it is about no job."""
    if len(words) > 1 and words[0].lower() in _JOB:
        words = [f"job={words[1]}", *words[2:]]
    job, changes, left_out = "", Words(), Words()
    for word in words:
        field = _FIELD.fullmatch(word)
        name = field[1].lower() if field else ""
        if field and name in _JOB:
            job = field[3]
        elif field and name in _FIELDS:
            changes += _FIELDS[name](field[2] + field[3])
        else:
            left_out.append(word)
    if not job:
        return None
    edit = line("edit", _one([job]), *changes)
    return edit + but(left_out) if changes else f"{edit} [OPTIONS]"


def _field(
    placeholder: Words, meant: Callable[[str], Words | None], nothing: Iterable[str] = ()
) -> Callable[[str], Words]:
    """What a value means; the placeholder where that has no counterpart.

    `nothing`: values that take away what there is.
    """
    none = [placeholder[0], "none"]
    return lambda value: none if value.lower() in nothing else meant(value) or placeholder


def _time_limit(value: str) -> Words | None:
    limit = slurm.time_limit(value)
    return None if limit is None else ["--time-limit", limit]


def _start(value: str) -> Words | None:
    return ["--delay", "none"] if value == "now" else start(value)


def _priority(value: str) -> Words | None:
    """0 holds a job there."""
    return ["--priority", value] if re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII) else None


def _text(option: str) -> Callable[[str], Words | None]:
    return lambda value: [option, value] if value else None


_NAME: Final = _field(["--name", "NAME"], _text("--name"))
_FIELDS: Final = {
    "timelimit": _field(
        ["--time-limit", "DURATION"], _time_limit, nothing=("unlimited", "infinite")
    ),
    "jobname": _NAME,
    "name": _NAME,
    "priority": _field(["--priority", "P"], _priority),
    "partition": _field(["--group", "G"], _text("--group")),
    "starttime": _field(["--at", "TIME"], _start),
    "dependency": _field(["--after", "SELECTOR"], slurm.dependency, nothing=("",)),
}
"""What it changes of a job, in small letters, and how `edit` is told."""

COMMANDS: Final[dict[str, Callable[[Sequence[str]], str | None]]] = {
    "sbatch": sbatch,
    "srun": srun,
    "squeue": squeue,
    "scancel": scancel,
    "sstat": sstat,
    "scontrol": scontrol,
}
