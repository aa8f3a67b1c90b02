"""Options of Slurm's sbatch, as far as they have a counterpart: in our words, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

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
    "J": "job-name",
    "t": "time",
}
"""Short options of sbatch; others have no counterpart."""
_FLAGS: Final = frozenset({"requeue", "hold", "H", "nice", "no-requeue", "exclusive", "O", "s"})
"""Options that may do without a value: what stands behind them is not theirs."""


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


def _same(option: str, pattern: str = r"(?s).+") -> Callable[[str], Words | None]:
    return lambda text: [option, text] if re.fullmatch(pattern, text, re.ASCII) else None


def _array(text: str) -> Words | None:
    """Without how many of it may run at a time, which is a group's."""
    return _same("--array", r"[\d,:-]+")(text.partition("%")[0])


COUNTERPARTS: Final[dict[str, Callable[[str], Words | None]]] = {
    "time": _limit,
    "job-name": _same("--name"),
    "array": _array,
    "dependency": dependency,
    "gres": _gres,
    "gpus": _same("--gpus", r"\d{1,4}"),
    "cpus-per-task": _same("--slots", r"\d{1,4}"),
    "begin": begin,
    "chdir": _same("--cwd"),
    "nice": _same("--nice", r"-?\d{1,2}"),
    "requeue": lambda text: None if text else ["--requeue"],
    "hold": lambda text: None if text else ["--hold"],
}
"""By the long name, what a value of it means here."""


class Read(Struct, frozen=True):
    """Options of sbatch in our words, and as they stood there those that have none."""

    ours: Words
    left_out: list[str]
    ends_with_word: bool = False
    """The last of them is no option, nor the value of one."""


def read(words: Sequence[str]) -> Read:
    """What stands in a `#SBATCH` line."""
    ours: Words = []
    left_out: list[str] = []
    name = "-"
    for name, value, written in _options(words):
        if name == "array" and "%" in value:
            left_out.append(f"%{value.partition('%')[2]} of {written}")
        meant = COUNTERPARTS[name](value) if name in COUNTERPARTS else None
        if meant is None:
            left_out.append(written)
        else:
            ours += meant
    return Read(ours, left_out, not name)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Name, value, and both as they were written."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        elif word.startswith("-") and word != "-":
            name, value = _LONG.get(word[1], word[1]), word[2:].removeprefix("=")
            equals = value
        else:
            yield "", "", word
            continue
        if not equals and name not in _FLAGS and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
            word = f"{word} {value}"
        yield name, value, word
