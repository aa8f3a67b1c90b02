"""Options of other queues that commands are given, `submit` aside, and what they are here."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from jobd.contract.states import FINISHED, State

_WHOLE: Final = "jobctl ls --format '{id} {state} {command}'"
_ALL: Final = "-n 0 (all of them, on a terminal, too)"
_ONE_FILE: Final = "leave it out: a job's stdout and stderr are one"

OPTIONS: Final[dict[str, dict[str, str]]] = {
    "ls": {
        **dict.fromkeys(("-l", "--long", "-w", "--wide", "--no-trunc"), _WHOLE),
        **dict.fromkeys(("-a", "--all"), _ALL),
        **dict.fromkeys(("-f", "-i", "--iterate", "--follow"), "jobctl watch"),
        **dict.fromkeys(("-o", "-O", "--output"), "--columns KEY,... or --format '{id} {name}'"),
        **dict.fromkeys(("-q", "--quiet"), "--ids"),
        **dict.fromkeys(("-r", "--running"), "--state running"),
        **dict.fromkeys(("-s", "--status", "--filter", "--states"), "--state STATE"),
        **dict.fromkeys(("-u", "--me", "--mine"), "--user LOGIN"),
        **dict.fromkeys(("-p", "--partition"), "--group G"),
        **dict.fromkeys(("-j", "--jobs", "--job"), "jobctl ls ID"),
        "-S": "--since WHEN",
        "--start": "jobctl show ID (says why it waits, and when it starts)",
    },
    "logs": {
        **dict.fromkeys(("-l", "--tail"), "-n LINES"),
        **dict.fromkeys(("--full", "-a", "--all"), "leave it out: without -n it is all of it"),
        **dict.fromkeys(("-e", "--stderr", "-o", "--stdout"), _ONE_FILE),
    },
    "stop": {
        # Of -KILL and -15 the parser tells the first character.
        **dict.fromkeys(("-9", "-f", "--force", "-K"), "--signal KILL"),
        "-T": "leave it out: TERM is what stop sends first",
        **dict.fromkeys(("-2", "-I"), "--signal INT"),
        **dict.fromkeys(("-1", "-s"), "--signal NAME"),
        "-a": "--all",
        "-u": "--user LOGIN",
    },
    "rm": {"-f": "--force", "-a": "--all"},
    "restart": {
        **dict.fromkeys(("-i", "--in-place"), "leave it out: the job keeps its id"),
        "--not-in-place": "jobctl submit --like ID",
        **dict.fromkeys(("-a", "--all-failed"), "--failed"),
        **dict.fromkeys(("-e", "--edit"), "jobctl edit ID, and then jobctl restart ID"),
    },
    "watch": {
        **dict.fromkeys(("-i", "--interval"), "leave it out: it is drawn again as things happen"),
    },
    "pause": {"-a": "--all", "-w": "--group G (what runs goes on)"},
    "resume": {"-a": "--all"},
    "status": {
        **dict.fromkeys(("-g", "--group", "-s", "--status"), "jobctl ls"),
    },
    "add": {**dict.fromkeys(("-p", "--parallel", "-w", "-j", "--slots"), "--workers N")},
    "workers": {**dict.fromkeys(("-n", "-j", "-w", "--workers"), "jobctl workers N")},
}
"""By command, and the name of the option."""


_STATES: Final = {
    **{f"--{state}": f"--state {state}" for state in State},
    "--finished": f"--state {','.join(FINISHED)}",
}
"""What a few commands have as an option, and all that select have as a filter."""


def of(command: str | None, name: str, known: Container[str]) -> str | None:
    """What is meant by an option that the command does not have, `known` being those that it has;
    None: nobody knows.
    """
    meant = OPTIONS.get(command or "", {}).get(name)
    return _STATES.get(name) if meant is None and "--state" in known else meant
