"""What people type who come from elsewhere, and what they mean: hints, which nobody acts on."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Final

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
_SIGNAL: Final = re.compile(r"-(?:s|n|-signal)?=?((?:SIG)?[A-Z][A-Z0-9+]*|[0-9]{1,2})")
_ENDED: Final = "completed,failed,stopped"
_KILL: Final = ("KILL", "9")
_STOP: Final = ("kill", "cancel", "scancel", "abort", "terminate", "qdel", "-k")


def _line(*words: str, program: str = "jobctl") -> str:
    """As it would be typed: one word stays one word."""
    return shlex.join([program, *words])


def _same(name: str, *options: str) -> Callable[[Sequence[str]], str]:
    """The command of that name, with all that was written behind the other one."""
    return lambda rest: _line(name, *options, *rest)


def _just(*words: str, program: str = "jobctl") -> Callable[[Sequence[str]], str]:
    """That, whatever was written behind it."""
    return lambda _: _line(*words, program=program)


def _stop(rest: Sequence[str]) -> str:
    """A signal is an option here: `kill -9 7`, `kill -s TERM 7`."""
    words = list(rest)
    if words[:1] in (["-s"], ["-n"]) and len(words) > 1:
        words[:2] = [f"-{words[1]}"]
    found = _SIGNAL.fullmatch(words[0]) if words else None
    words = ["--all" if word == "all" else word for word in words]
    if found is None:
        return _line("stop", *_filters(words))
    name = "KILL" if found[1] in _KILL else found[1].removeprefix("SIG")
    return _line("stop", "--signal", name, *words[1:])


def _sbatch(rest: Sequence[str]) -> str:
    """What it is given is a script, if it is a file; options before that in our words, as far as
    they have any.
    """
    from jobctl.parsing import slurm

    script = next((n for n, word in enumerate(rest) if _is_script(word, rest[:n])), None)
    if script is None:
        return _line("submit", *rest)
    ours = slurm.read(rest[:script]).ours
    return _line("submit", *ours, "--script", *rest[script:])


def _is_script(word: str, before: Sequence[str]) -> bool:
    """Whether it is that, and not the value of an option before it."""
    from jobctl.parsing import slurm

    is_first = slurm.read([*before, word]).ends_with_word
    return is_first and not word.startswith("-") and os.path.isfile(word)


def _enqueue(rest: Sequence[str]) -> str:
    return _line("start" if rest and all(map(_IDS.fullmatch, rest)) else "submit", *rest)


def _queue(rest: Sequence[str]) -> str:
    return _line("submit", *rest) if rest else _line("ls")


def _tail(rest: Sequence[str]) -> str:
    """`tail -20 7` is `logs -n 20 7`."""
    lines = [["-n", word[1:]] if re.fullmatch(r"-[0-9]+", word) else [word] for word in rest]
    return _line("logs", *(word for words in lines for word in words))


def _show(rest: Sequence[str]) -> str:
    """Also `scontrol show job 7`."""
    return _line("show", *[word for word in rest if word not in ("show", "job")])


def _scontrol(rest: Sequence[str]) -> str:
    """Its verbs, and what it shows: `scontrol hold 7`, `scontrol show partition`."""
    verb, what = [*rest, "", ""][:2]
    if verb in _OF_SCONTROL:
        return _line(_OF_SCONTROL[verb], *rest[1:])
    if verb == "update":
        return _update(rest[1:])
    if verb == "show" and what in ("partition", "partitions"):
        return _line("groups")
    if verb == "show" and what in ("node", "nodes", "config"):
        return _line("status", program="jobd")
    return _show(rest)


def _update(rest: Sequence[str]) -> str:
    """`jobctl edit 7 --time-limit 1h` for `JobId=7 TimeLimit=1:00:00`."""
    from jobctl.parsing import slurm

    given = dict(
        word.lower().split("=", 1)[:1] + word.split("=", 1)[1:] for word in rest if "=" in word
    )
    words = []
    for name, option in _OF_UPDATE.items():
        value = given.get(name)
        if value is not None:
            words += [option, (slurm.time_limit(value) or value) if name == "timelimit" else value]
    return _line("edit", given.get("jobid", "ID"), *(words or ["--priority", "high"]))


def _at(rest: Sequence[str]) -> str:
    """at(1) reads the command from its input."""
    return _line("submit", "--at", *(rest or ["18:00"]), *([] if rest[1:] else ["COMMAND"]))


def _first(rest: Sequence[str]) -> str:
    return _line("edit", *rest[-1:], "--priority", "high")


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
    return _line("ls", *options)


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


def _list(rest: Sequence[str]) -> str:
    """With the options of squeue."""
    return _line("ls", *_filters(rest))


def _filters(rest: Sequence[str]) -> list[str]:
    """`-u LOGIN`, `-t PENDING`, `-p GROUP`, `-j 7` of squeue and scancel in our words."""
    words: list[str] = []
    for word in (part for whole in rest for part in _parts(whole)):
        if word in ("-j", "--jobs", "-l", "-a"):
            continue
        if word in ("--me", "--mine"):
            words += ["--user", _login()]
        elif words[-1:] == ["--state"]:
            words.append(",".join(_SPOKEN.get(each, each) for each in word.lower().split(",")))
        else:
            words.append(_OF_SQUEUE.get(word, word))
    return words


def _parts(word: str) -> list[str]:
    """An option of theirs and its value: `--states=PD`."""
    name, equals, value = word.partition("=")
    return [name, value] if equals and name in (*_OF_SQUEUE, *_OF_SQUEUE.values()) else [word]


def _login() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return "LOGIN"


_OF_SQUEUE: Final = {
    "-u": "--user",
    "--users": "--user",
    "-p": "--group",
    "--partition": "--group",
    "-t": "--state",
    "--states": "--state",
    "--jobname": "--name",
}
_OF_SCONTROL: Final = {
    "hold": "hold",
    "uhold": "hold",
    "release": "start",
    "requeue": "restart",
    "suspend": "pause",
    "resume": "resume",
}
_OF_UPDATE: Final = {
    "timelimit": "--time-limit",
    "jobname": "--name",
    "name": "--name",
    "priority": "--priority",
    "partition": "--group",
    "starttime": "--at",
}
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

_MEANT: Final[dict[str, Callable[[Sequence[str]], str]]] = {
    **dict.fromkeys(_STOP, _stop),
    **dict.fromkeys(("add", "run", "batch"), _same("submit")),
    **dict.fromkeys(("sbatch", "qsub"), _sbatch),
    **dict.fromkeys(("list", "ps", "squeue", "qstat", "atq", "-l"), _list),
    **dict.fromkeys(("log", "cat", "tail", "-c", "output", "stdout", "stderr"), _tail),
    **dict.fromkeys(("follow", "attach", "-t"), _same("logs", "-f")),
    **dict.fromkeys(("info", "inspect", "sstat", "-i", "-s", "-p"), _show),
    "scontrol": _scontrol,
    "at": _at,
    "-o": _same("logs", "--path"),
    "stats": _just("top"),
    "enable": _just("install-service", program="jobd"),
    "disable": _just("uninstall-service", program="jobd"),
    **dict.fromkeys(("remove", "delete", "forget", "atrm", "-r"), _same("rm")),
    **dict.fromkeys(("clean", "prune", "-C"), _just("rm", "--finished")),
    **dict.fromkeys(("release", "unhold"), _same("start")),
    **dict.fromkeys(("requeue", "rerun", "retry", "redo"), _same("restart")),
    **dict.fromkeys(("switch", "urgent", "-u"), _first),
    **dict.fromkeys(("parallel", "slots", "-S"), _same("workers")),
    **dict.fromkeys(("group", "partitions", "sinfo"), _same("groups")),
    **dict.fromkeys(("suspend", "freeze"), _same("pause")),
    **dict.fromkeys(("continue", "unpause"), _same("resume")),
    "priority": lambda rest: _line("edit", *rest[:1], "--priority", *(rest[1:] or ["high"])),
    **dict.fromkeys(("daemon", "start-daemon", "up", "serve"), _just("start", program="jobd")),
    **{
        name: _just(name, program="jobd")
        for name in ("config", "check", "backup", "restore", "reload", "metrics", "install-service")
    },
    "sacct": lambda _: f"{_line('ls', '--state', _ENDED)}, or counted: {_line('history')}",
    "enqueue": _enqueue,
    "queue": _queue,
    "stash": _same("hold"),
    "srun": _same("submit", "--wait"),
    "-w": _same("wait"),
    "completions": _same("completion"),
    "reset": lambda _: f"{_line('stop', '--all')}, and then {_line('rm', '--finished')}",
    **dict.fromkeys(("shutdown", "-K"), _just("stop", program="jobd")),
}


def of(args: Sequence[str], commands: Sequence[str]) -> str | None:
    """A line that does what was probably meant; None: no idea."""
    word, rest = args[0], args[1:]
    if word in _MEANT:
        return _MEANT[word](rest)
    import shutil

    close = None if word.startswith("-") else closest(word, commands)
    if close is not None:
        return _line(close, *rest)
    return _line("submit", *args) if shutil.which(word) is not None else None


def is_known(word: str) -> bool:
    """Whether that is a command, or an option in its place, of another queue."""
    return word in _MEANT
