"""What people type who come from elsewhere, and what they mean: hints, which nobody acts on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Final

from jobctl.parsing.hint_lines import ID, ids, line, script, start, stopped
from jobd.contract.wording import closest

_IDS: Final = re.compile(r"[0-9][0-9,-]*|last.*|-")
_QUERY: Final = re.compile(
    r"(?:status=(?P<state>\w+))?\s*(?:group=(?P<group>[\w.-]+))?\s*"
    r"(?:order_by\s+(?P<key>\w+)(?:\s+(?P<way>asc|desc))?)?\s*(?:first\s+(?P<first>[0-9]+))?",
    re.ASCII,
)
"""The query language of pueue's `status`, as far as it has a counterpart."""
_STATES: Final = {
    "queued": "pending",
    "stashed": "pending",
    "running": "running",
    "paused": "running",
    "done": "completed,failed,stopped",
    "success": "completed",
    "failed": "failed",
    "killed": "stopped",
}
_KEYS: Final = {"start": "started_at", "end": "finished_at", "status": "state", "label": "name"}
_SIGNAL: Final = re.compile(r"--signal=(\w+)|-s?((?:SIG)?[A-Z][A-Z0-9+]+|[0-9]{1,2})")
_OF_AT: Final = re.compile(
    r"[-+0-9].*|(?:today|tomorrow|next|[ap]m|utc|noon|midnight|teatime|mon|tue|wed|thu|fri|sat|sun|"
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
)
"""What may stand behind a time of day in at(1), and belongs to it."""
_PART: Final = re.compile(r"[0-9]+[._\[]")
"""How other queues name a part of a job, or the host of its queue: `7_3`, `7[1]`, `7.host`."""
_ENDED: Final = "completed,failed,stopped"
_STOP: Final = ("kill", "cancel", "abort", "terminate", "qdel", "-k")
_SLURM: Final = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sstat")


def _same(name: str, *options: str) -> Callable[[Sequence[str]], str]:
    """The command of that name, with all that was written behind the other one."""
    return lambda rest: line(name, *options, *rest)


def _just(*words: str, program: str = "jobctl") -> Callable[[Sequence[str]], str]:
    """That, whatever was written behind it."""
    return lambda _: line(*words, program=program)


def _of_slurm(name: str) -> Callable[[Sequence[str]], str | None]:
    """That of one of its commands."""

    def meant(rest: Sequence[str]) -> str | None:
        from jobctl.parsing import slurm_hints

        return slurm_hints.COMMANDS[name](rest)

    return meant


def _stop(rest: Sequence[str]) -> str | None:
    """A signal is an option here: `kill -9 7`, `kill -s TERM 7`."""
    left, words, signal = list(rest), list[str](), ""
    while left:
        word = left.pop(0)
        found = _SIGNAL.fullmatch(word)
        is_number = word == "-n" and left and left[0].isdecimal()  # else -n is ours, a name
        if is_number or (word in ("-s", "--signal") and left):
            signal = left.pop(0)
        elif found is not None:
            signal = found[1] or found[2]
        else:
            words.append("--all" if word in ("all", "-a") else word)
    if not words or any(map(_PART.match, words)):
        words = [ID]
    return stopped(signal, words) if signal else line("stop", *words)


def _qsub(rest: Sequence[str]) -> str:
    """Its options mean one thing to PBS and another to Grid Engine: nobody reads them."""
    if rest and rest[0].startswith("-"):
        return line("submit", "--script", "FILE")
    return line("submit", *script(rest))


def _enqueue(rest: Sequence[str]) -> str:
    return line("start" if rest and all(map(_IDS.fullmatch, rest)) else "submit", *rest)


def _queue(rest: Sequence[str]) -> str:
    return line("submit", *rest) if rest else line("ls")


def _tail(rest: Sequence[str]) -> str:
    """`tail -20 7` is `logs -n 20 7`."""
    lines = [["-n", word[1:]] if re.fullmatch(r"-[0-9]+", word) else [word] for word in rest]
    return line("logs", *(word for words in lines for word in words))


def _show(rest: Sequence[str]) -> str:
    return line("show", *[word for word in rest if word not in ("show", "job")])


def _list(rest: Sequence[str]) -> str:
    """With nothing but the jobs: the options of ps, qstat and atq are about other things."""
    named = [word for word in rest if _IDS.fullmatch(word)]
    return line("ls", *named)


def _at(rest: Sequence[str]) -> str:
    """at(1) reads the command from its input, or `-f FILE`."""
    words, command = list(rest), []
    first = words[0] if words else ""
    if first == "-l":
        return line("ls")
    if first == "-c":
        return line("show", *ids(words[1:2]))
    if first in ("-d", "-r"):
        return line("stop", *ids(words[1:]))
    if "-f" in words[:-1]:
        place = words.index("-f")
        command = ["--script", words[place + 1]]
        del words[place : place + 2]
    when = _when(words)
    if when is None and not command and words[1:] and not _OF_AT.fullmatch(words[1].lower()):
        when, command = _when(words[:1]), words[1:]
    if when is None:
        when, command = ["--at", "TIME"], command if command[:1] == ["--script"] else []
    return line("submit", *when, *(command or ["COMMAND"]))


def _when(words: Sequence[str]) -> list[str] | None:
    """`18:00`, `now + 5 minutes`; empty: at once. None: some other time."""
    text = "".join(words)
    return [] if text == "now" else start(text)


def _first(rest: Sequence[str]) -> str:
    return line("edit", *(rest[-1:] or [ID]), "--priority", "high")


def _priority(rest: Sequence[str]) -> str:
    return line("edit", *(rest[:1] or [ID]), "--priority", *(rest[1:] or ["high"]))


def query(words: Sequence[str]) -> str | None:
    """`jobctl ls --state running` for pueue's `status=Running`; None: it is none of its queries."""
    text = " ".join(words)
    found = _QUERY.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    state = _STATES.get((found["state"] or "").lower())
    if found["state"] and state is None:
        return None
    options = ["--state", state] if state else []
    if found["group"]:
        options += ["--group", found["group"]]
    if found["key"]:
        key = _KEYS.get(found["key"], found["key"])
        options += ["--sort", f"-{key}" if found["way"] == "desc" else key]
    if found["first"]:
        options += ["-n", found["first"]]
    return line("ls", *options)


def selected(words: Sequence[str]) -> str:
    """What stands behind the error where one of these is no id, but might be something else."""
    for word in words:
        if word == "all":
            return "; all of them: --all (of ls, logs and watch: leave it out)"
        if word.lower() in _SPOKEN:
            return f"; those in that state: --state {_SPOKEN[word.lower()]}"
        if re.fullmatch(r"[A-Za-z_][\w.-]*", word) and not _IDS.fullmatch(word):
            return f"; by name: --name {word}, by group: --group {word}"
    return ""


_SPOKEN: Final = {
    **_STATES,
    **{state: state for state in ("pending", "completed", "stopped")},
    "r": "running",
    "pd": "pending",
    "cd": "completed",
    "f": "failed",
    "finished": "completed,failed,stopped",
    "cancelled": "stopped",
}
"""States as others call them."""

_MEANT: Final[dict[str, Callable[[Sequence[str]], str | None]]] = {
    **dict.fromkeys(_STOP, _stop),
    **dict.fromkeys(("add", "run", "batch"), _same("submit")),
    **{name: _of_slurm(name) for name in _SLURM},
    "qsub": _qsub,
    **dict.fromkeys(("list", "-l"), _same("ls")),
    **dict.fromkeys(("ps", "qstat", "atq"), _list),
    **dict.fromkeys(("log", "cat", "tail", "-c", "output", "stdout", "stderr"), _tail),
    **dict.fromkeys(("follow", "attach", "-t"), _same("logs", "-f")),
    **dict.fromkeys(("info", "inspect", "-i", "-s", "-p"), _show),
    "at": _at,
    "atrm": lambda rest: line("stop", *ids(rest)),
    "-o": _same("logs", "--path"),
    "stats": _just("top"),
    "enable": _just("install-service", program="jobd"),
    "disable": _just("uninstall-service", program="jobd"),
    **dict.fromkeys(("remove", "delete", "forget", "-r"), _same("rm")),
    **dict.fromkeys(("clean", "prune", "-C"), _just("rm", "--finished")),
    **dict.fromkeys(("release", "unhold"), _same("start")),
    **dict.fromkeys(("requeue", "rerun", "retry", "redo"), _same("restart")),
    **dict.fromkeys(("switch", "urgent", "-u"), _first),
    **dict.fromkeys(("parallel", "slots", "-S"), _same("workers")),
    **dict.fromkeys(("group", "partitions"), _same("groups")),
    "sinfo": _just("groups"),
    **dict.fromkeys(("suspend", "freeze"), _same("pause")),
    **dict.fromkeys(("continue", "unpause"), _same("resume")),
    "priority": _priority,
    **dict.fromkeys(("daemon", "start-daemon", "up", "serve"), _just("start", program="jobd")),
    **{
        name: _just(name, program="jobd")
        for name in ("config", "check", "backup", "restore", "reload", "metrics", "install-service")
    },
    "sacct": lambda _: f"{line('ls', '--state', _ENDED)}, or counted: {line('history')}",
    "enqueue": _enqueue,
    "queue": _queue,
    "stash": _same("hold"),
    "-w": _same("wait"),
    "completions": _same("completion"),
    "reset": lambda _: f"{line('stop', '--all')}, and then {line('rm', '--finished')}",
    **dict.fromkeys(("shutdown", "-K"), _just("stop", program="jobd")),
}


_CHOSEN: Final = (*_SLURM, "sacct", "reset")
"""What is told of these holds no option as it was written, and is not always a single line."""


def of(
    args: Sequence[str], commands: Sequence[str], takes: Callable[[str, list[str]], bool]
) -> str | None:
    """A line that does what was probably meant; None: no idea.

    `takes`: whether a command of ours knows the options among these words. Where it does not,
    what is told is how to see which ones it knows.
    """
    meant = _of(args, commands)
    if meant is None or args[0] in _CHOSEN:
        return meant
    program, name, *words = shlex.split(meant)
    return meant if program != "jobctl" or takes(name, words) else line(name, "--help")


def _of(args: Sequence[str], commands: Sequence[str]) -> str | None:
    word, rest = args[0], args[1:]
    if word in _MEANT:
        return _MEANT[word](rest)
    import shutil

    close = None if word.startswith("-") else closest(word, commands)
    if close is not None:
        return line(close, *rest)
    return line("submit", *args) if shutil.which(word) is not None else None


def is_known(word: str) -> bool:
    """Whether that is a command, or an option in its place, of another queue."""
    return word in _MEANT
