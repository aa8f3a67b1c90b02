"""Options of other queues that `submit` is given, and what they are here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Final

from jobctl.parsing import slurm

Meant = Callable[[str], str]
"""What is meant by an option with this value (empty: none was written): what to type instead, and
more about it, or else how it is here.
"""


def _is(option: str, placeholder: str = "") -> Meant:
    """That option with the same value."""
    return lambda value: _typed([option, value or placeholder] if placeholder else [option])


def _said(text: str) -> Meant:
    return lambda _: text


def _typed(words: Sequence[str]) -> str:
    """As it would be typed; a placeholder such as N needs no quotes."""
    return shlex.join([word for word in words if word])


def _slurm(name: str, usually: str) -> Meant:
    """As sbatch reads it; `usually`: what is said of a value that has no counterpart."""

    def meant(value: str) -> str:
        found = slurm.COUNTERPARTS[name](value) if value else None
        return usually if found is None else _typed(found)

    return meant


def _dependency(value: str) -> str:
    kind, _, jobs = value.partition(":")
    if kind == "singleton":
        return "a group of one worker: jobctl groups add NAME --workers 1, and --group NAME"
    if kind == "afternotok" and jobs:
        option = _typed(["--after-any", jobs.replace(":", ",")])
        return f"{option}, and a test in the command of how that ended"
    return _slurm("dependency", "--after 1,2 (all completed), or --after-any 1,2 (ended)")(value)


def _export(value: str) -> str:
    found = slurm.export(value)
    return _typed(found) if found else "--env K=V; what the shell exports a job gets without it"


def _to_slurm(option: str) -> str:
    """How a job asks Slurm itself, where its group runs there."""
    return f"in a group on Slurm: {_typed([f'--engine-option={option}'])}"


def _of_slurm(option: str, placeholder: str = "") -> Meant:
    """What has no counterpart in the queue, and one in an engine."""
    return lambda value: (
        f"there is no counterpart here; {_to_slurm(_with(option, value or placeholder))}"
    )


def _memory(option: str) -> Meant:
    return lambda value: (
        f"--slots N (memory is not counted yet), or {_to_slurm(_with(option, value or 'SIZE'))}"
    )


def _with(option: str, value: str) -> str:
    return f"{option}={value}" if value else option


def _directory_or_parent(value: str) -> str:
    """`-D` is a dependency to one queue, a directory to another."""
    if value and not re.fullmatch(r"[0-9,]+", value):
        return _is("--cwd", "DIR")(value)
    return _is("--after", "ID")(value)


def _on_failure(value: str) -> str:
    count = value.partition(":")[2]
    return _typed(["--retries", count if count.isdecimal() else "N"])


_DURATION: Final = re.compile(r"[0-9.]+[smhd]")
_WITHOUT: Final = _said("leave it out: submit does so anyway")
_KEPT: Final = _said("leave it out: what it prints is kept (jobctl logs ID)")
_MAIL: Final = _said("--notify [WHEN:]URL|COMMAND, such as failed:mailto://USER:PASSWORD@HOST")

OPTIONS: Final[dict[str, Meant]] = {
    "--job-name": _is("--name", "NAME"),
    "-J": _is("--name", "NAME"),
    "-L": _is("--name", "NAME"),
    "--label": _is("--name", "NAME"),
    "--unit": _is("--name", "NAME"),
    "--time": _slurm("time", "--time-limit DURATION, such as 1d"),
    "--timeout": _is("--time-limit", "DURATION"),
    "--chdir": _is("--cwd", "DIR"),
    "--workdir": _is("--cwd", "DIR"),
    "--working-directory": _is("--cwd", "DIR"),
    "--begin": lambda value: _slurm("begin", _is("--at", "TIME")(value))(value),
    "--on-calendar": _is("--at", "TIME"),
    "--on-active": _is("--delay", "DURATION"),
    "--dependency": _dependency,
    **dict.fromkeys(("--depends", "--depends-on"), _is("--after", "ID")),
    "-d": lambda value: f"--delay {value}" if _DURATION.fullmatch(value) else "--after last",
    "-D": _directory_or_parent,
    "--gres": _slurm("gres", "--gpus N"),
    "--gpus-per-node": _slurm("gres", "--gpus N"),
    "-G": _is("--gpus", "N"),
    "--cpus-per-task": _is("--slots", "N"),
    "--ntasks": _is("--slots", "N"),
    "--cpus": _is("--slots", "N"),
    "-N": _is("--slots", "N"),
    "--jobs": lambda value: f"jobctl workers {value or 'N'}",
    "-j": lambda value: f"jobctl workers {value or 'N'}",
    "--partition": _is("--group", "G"),
    "--export": _export,
    **dict.fromkeys(("--mem", "--memory", "-m"), _memory("--mem")),
    **{name: _memory(name) for name in ("--mem-per-cpu", "--mem-per-gpu")},
    "--wrap": _is("-c", "LINE"),
    **dict.fromkeys(("--mail-type", "--mail-user"), _MAIL),
    "--stashed": _is("--hold"),
    "--immediate": _said("-p high"),
    "--escape": _said("leave it out: quoting is exact without it"),
    "--follow": _is("--wait"),
    "-f": _is("--wait"),
    "--print-task-id": _said("leave it out: the id is what stdout has"),
    "--parsable": _said("leave it out: the id is what stdout has"),
    "--detach": _WITHOUT,
    **dict.fromkeys(("--output", "-o", "--error", "--open-mode"), _KEPT),
    **dict.fromkeys(("--account", "-A"), _of_slurm("--account", "NAME")),
    **{
        name: _of_slurm(name, placeholder)
        for name, placeholder in (
            ("--nodes", "N"),
            ("--nodelist", "NODES"),
            ("--exclude", "NODES"),
            ("--qos", "NAME"),
            ("--constraint", "FEATURES"),
            ("--reservation", "NAME"),
            ("--licenses", "NAMES"),
            ("--ntasks-per-node", "N"),
            ("--gpus-per-task", "N"),
        )
    },
    "-a": _slurm("array", "--array INDEXES"),
    "-H": _is("--hold"),
    "-W": _is("--wait"),
    "-E": _said("leave it out: a job's stdout and stderr are one"),
    "--exclusive": _said(
        f"--slots N, with as many as there are workers, or {_to_slurm('--exclusive')}"
    ),
    "--restart": _on_failure,
}
"""By the name of the option."""


def of(name: str, words: Sequence[str]) -> str | None:
    """What is meant by an option of other queues; `words`: the line in which it was written.

    None: it is none that is known.
    """
    meant = OPTIONS.get(name)
    return None if meant is None else meant(_value(name, words))


def _value(name: str, words: Sequence[str]) -> str:
    for number, word in enumerate(words):
        if word == name:
            behind = words[number + 1] if number + 1 < len(words) else ""
            return "" if behind.startswith("-") else behind
        if word.startswith(f"{name}=") or (len(name) == 2 and word.startswith(name)):
            return word.removeprefix(name).removeprefix("=")
    return ""


def cpus(line: bytes) -> str:
    """What is said of `-c LINE` beside a command: to other queues -c is a number of CPUs."""
    if re.fullmatch(rb"[0-9]{1,4}", line) is None:
        return ""
    return f"; for {line.decode()} CPUs: --slots {line.decode()}"


def doubts(words: Sequence[str]) -> list[str]:
    """What may have been meant otherwise in options that `submit` has, too: a line for each."""
    found: list[str] = []
    for option, value in _pairs(words):
        limit = slurm.time_limit(value)
        if option == "-t" and limit is not None:
            found.append(f"{value} is a tag; for a time limit: --time-limit {limit}")
        elif option == "-n" and value.isdecimal():
            found.append(f"{value} is the job's name; for so many workers: --slots {value}")
        elif option == "--time-limit" and value.isdecimal():
            found.append(f"the time limit is {value} seconds; for minutes: {value}m")
    return found


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Options with their values, of those that are doubtful."""
    found = []
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--time-limit" and equals:
            found.append((name, value))
        elif word in ("-t", "-n", "--time-limit"):
            found.append((word, words[number + 1] if number + 1 < len(words) else ""))
        elif word[:2] in ("-t", "-n"):
            found.append((word[:2], word[2:]))
    return found
