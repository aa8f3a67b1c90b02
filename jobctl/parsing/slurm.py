"""Options of Slurm's sbatch, as far as they have a counterpart: in our words, or not at all."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

Words = list[str]
"""Options of `submit` with their values, in the order in which they would be typed."""

_TIME: Final = r"(?:(\d{1,5})-)?(\d{1,7})(?::(\d{1,2}))?(?::(\d{1,2}))?"
_UNITS: Final = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
_LONG: Final = {
    "a": "array",
    "b": "begin",
    "c": "cpus-per-task",
    "D": "chdir",
    "d": "dependency",
    "G": "gpus",
    "H": "hold",
    "h": "help",
    "J": "job-name",
    "k": "no-kill",
    "n": "ntasks",
    "O": "overcommit",
    "p": "partition",
    "Q": "quiet",
    "s": "oversubscribe",
    "t": "time",
    "V": "version",
    "v": "verbose",
    "W": "wait",
}
"""Short options of sbatch that have a counterpart, or no value."""
FLAGS: Final = frozenset(
    {
        "contiguous", "exclusive", "get-user-env", "help", "hold", "ignore-pbs", "nice", "no-kill",
        "no-requeue", "overcommit", "oversubscribe", "parsable", "propagate", "quiet", "reboot",
        "requeue", "spread-job", "test-only", "usage", "use-min-nodes", "verbose", "version",
        "wait",
    }
)  # fmt: skip
"""Options that may do without a value: what stands behind them is not theirs (sbatch(1))."""
_CPUS: Final = ("ntasks", "cpus-per-task")
"""How many there are of the one, times the other, is what a job takes."""


def time_limit(text: str) -> str | None:
    """`1d` for `1-00:00:00`, `30m` for `30`; None: that is no time of Slurm's, or no limit."""
    found = re.fullmatch(_TIME, text, re.ASCII)
    if found is None:
        return None
    days, *rest = found.groups()
    one, two, three = (int(part) if part else 0 for part in rest)
    if days is not None or rest[2] is not None:
        hours, minutes, seconds = one, two, three
    else:
        hours, minutes, seconds = 0, one, two
    return _duration(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds)


def _duration(seconds: int) -> str | None:
    left, text = seconds, ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or None


def gpus(text: str) -> str | None:
    """How many: 2 for `gpu:2`, `gpu:a100:2`; 1 for `gpu`. None: it is about something else."""
    found = re.fullmatch(r"(?:gres[:/])?gpu(?::[A-Za-z_]\w*)?(?:[:=](\d{1,4}))?", text, re.ASCII)
    return None if found is None else found[1] or "1"


def dependency(text: str) -> Words | None:
    """`--after 1,2` for `afterok:1:2`; None where any part has no counterpart."""
    chosen: dict[str, list[str]] = {}
    for part in text.split(","):
        kind, *jobs = part.split(":")
        option = {"afterok": "--after", "afterany": "--after-any"}.get(kind)
        if option is None or not jobs or not all(job.isdecimal() for job in jobs):
            return None
        chosen.setdefault(option, []).extend(jobs)
    return [word for option, jobs in chosen.items() for word in (option, ",".join(jobs))]


def begin(text: str) -> Words | None:
    """`--delay 1h` for `now+1hour`, `--at` for a time of day or a date."""
    later = re.fullmatch(r"now\+(\d{1,9})(second|minute|hour|day|week)?s?", text, re.ASCII)
    if later is not None:
        count, unit = int(later[1]), _UNITS[later[2] or "second"]
        return ["--delay", f"{count * 7}d" if unit == "w" else f"{count}{unit}"]
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?|\d{4}-\d\d-\d\d(T[\d:]+)?", text, re.ASCII):
        return ["--at", text]
    return {"noon": ["--at", "12:00"], "midnight": ["--at", "00:00"]}.get(text)


def _limit(text: str) -> Words | None:
    limit = time_limit(text)
    return None if limit is None else ["--time-limit", limit]


def _gres(text: str) -> Words | None:
    count = gpus(text)
    return None if count is None else ["--gpus", count]


def _gpus(text: str) -> Words | None:
    """`2`, or `a100:2`."""
    found = re.fullmatch(r"(?:[A-Za-z_]\w*:)?(\d{1,4})", text, re.ASCII)
    return None if found is None else ["--gpus", found[1]]


def _same(option: str, pattern: str = r"(?s).+") -> Callable[[str], Words | None]:
    return lambda text: [option, text] if re.fullmatch(pattern, text, re.ASCII) else None


def _array(text: str) -> Words | None:
    """Without how many of it may run at a time, which is a group's."""
    return _same("--array", r"[\d,:-]+")(text.partition("%")[0])


def export(text: str) -> Words | None:
    """`--env A=1` for `ALL,A=1`; nothing for `ALL`: what the shell exports a job gets anyway."""
    if text == "NONE":
        return ["--clean-env"]
    variables = [word for word in text.split(",") if word != "ALL"]
    if not all("=" in word for word in variables):
        return None
    return [word for variable in variables for word in ("--env", variable)]


def _flag(*ours: str) -> Callable[[str], Words | None]:
    return lambda text: None if text else [*ours]


Counterparts = Mapping[str, Callable[[str], Words | None]]
"""By the long name, what a value of it means here."""

COUNTERPARTS: Final[Counterparts] = {
    "time": _limit,
    "job-name": _same("--name"),
    "array": _array,
    "dependency": dependency,
    "gres": _gres,
    "gpus": _gpus,
    "gpus-per-node": _gpus,
    "begin": begin,
    "chdir": _same("--cwd"),
    "nice": _same("--nice", r"-?\d{1,2}"),
    "requeue": _flag("--requeue"),
    "hold": _flag("--hold"),
}
SUGGESTED: Final[Counterparts] = {
    "partition": _same("--group", r"\w[\w.-]*"),
    "wait": _flag("--wait"),
    "wrap": _same("-c"),
    "export": export,
    **dict.fromkeys(("parsable", "quiet", "verbose", "no-requeue"), _flag()),
}
"""What further is said to a person who typed a line, and not done for a script: it may name a group
that nobody has made, or is none of a job's options. What needs no option here is said by none.
"""


class Read(Struct, frozen=True):
    """Options of sbatch in our words, and as they stood there those that have none."""

    ours: Words
    left_out: list[str]


class Option(NamedTuple):
    """What was written, in its parts; a word that is no option has no name."""

    name: str
    value: str
    written: str


class Reader:
    """Reads what belongs to one job: the `#SBATCH` lines of a script, or a command line."""

    def __init__(self, further: Counterparts | None = None) -> None:
        self._counterparts = {**COUNTERPARTS, **(further or {})}
        self._cpus: dict[str, int] = {}

    def line(self, words: Sequence[str]) -> Read:
        """What stands in a `#SBATCH` line."""
        return self.read(options(words))

    def read(self, found: Iterable[Option]) -> Read:
        """In our words; slots once, as all that was read until now asks for them."""
        ours: Words = []
        left_out: list[str] = []
        before = dict(self._cpus)
        for name, value, written in found:
            if name in _CPUS and re.fullmatch(r"\d{1,4}", value, re.ASCII):
                self._cpus[name] = int(value)
                continue
            if name == "array" and "%" in value:
                left_out.append(f"%{value.partition('%')[2]} of {written}")
            counterpart = self._counterparts.get(name)
            meant = None if counterpart is None else counterpart(value)
            if meant is None:
                left_out.append(written)
            else:
                ours += meant
        if self._cpus != before:
            ours += ["--slots", str(math.prod(self._cpus.values()))]
        return Read(ours, left_out)


def options(
    words: Iterable[str], long: Mapping[str, str] = _LONG, flags: Container[str] = FLAGS
) -> Iterator[Option]:
    """Each option with its value, and each word that is neither.

    `long`: the names of short options; of others the letter is the name. `flags`: by the long name,
    what may do without a value.
    """
    rest = deque(words)
    while rest:
        yield _next(rest, long, flags)


def split(words: Sequence[str], flags: Container[str] = FLAGS) -> tuple[list[Option], list[str]]:
    """The options of a command line, and what stands behind them from the first word on."""
    found, rest = [], deque(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        if rest[0] == "--":
            rest.popleft()
            break
        found.append(_next(rest, _LONG, flags))
    return found, list(rest)


def _next(rest: deque[str], long: Mapping[str, str], flags: Container[str]) -> Option:
    word = rest.popleft()
    if word in ("-", "--") or not word.startswith("-"):
        return Option("", word, word)
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
    else:
        name, value = long.get(word[1], word[1]), word[2:].removeprefix("=")
        if name in flags and value and all(long.get(each, each) in flags for each in value):
            rest.appendleft(f"-{value}")  # several in one word, as getopt(3) has it
            word, value = word[:2], ""
        equals = value
    if not equals and name not in flags and rest and not rest[0].startswith("-"):
        value = rest.popleft()
        word = f"{word} {value}"
    return Option(name, value, word)
