"""Shared options and parameter types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from jobctl.parsing.texts import as_bytes, as_shown, checked, file_name
from jobd.contract import durations
from jobd.contract.models import (
    LAST_ARRAY,
    MAX_ARRAY,
    MAX_BYTES,
    MAX_ID,
    MAX_PRIORITY,
    MAX_WORKERS,
    PRIORITIES,
    EngineOption,
    Group,
    Tag,
)
from jobd.contract.states import State
from jobd.contract.wording import closest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # click before 8.4 knows no parameter of it

R = TypeVar("R")

ALL: Final = "all"
"""As many workers as there are."""
_ARRAY_PATTERN: Final = r"(\d{1,10})(?:-(\d{1,10})(?::(\d{1,10}))?)?"
_LATEST_PATTERN: Final = r"last(?:(-array)|~(\d{1,4}))?"
_SELECTOR_PATTERN: Final = r"(\d{1,19})(?:-(\d{1,19}))?"


def parse_priority(text: str) -> int:
    """The number behind `high`, `regular`, `normal`, `low`, or an integer. Raises: ValueError."""
    if text.lower() in PRIORITIES:
        return PRIORITIES[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII) and abs(int(text)) <= MAX_PRIORITY:
        return int(text)
    raise ValueError(f"{text!r} is none of high, regular, low or an integer")


def _parse_priority_option(text: str) -> int:
    """To other queues -p is a partition. Raises: ValueError."""
    try:
        return parse_priority(text)
    except ValueError as error:
        near = closest(text.lower(), PRIORITIES)
        meant = f"; did you mean: {near}" if near else ""
        group = f"; for a group: --group {text}" if re.fullmatch(r"[A-Za-z][\w.-]*", text) else ""
        raise ValueError(f"{error}{meant}{group}") from None


def parse_states(text: str) -> list[State]:
    """States separated by commas. Raises: ValueError."""
    return [_state(word.strip().lower()) for word in text.split(",")]


def _state(word: str) -> State:
    try:
        return State(word)
    except ValueError as error:
        names = [state.value for state in State]
        meant = closest(word, names)
        hint = f"did you mean: {meant}" if meant else f"they are {', '.join(names)}"
        raise ValueError(f"{word!r} is no state; {hint}") from error


def _parse_signal(text: str) -> int:
    """Raises: ValueError."""
    from jobd.contract.signals import signal_number

    return signal_number(text)


def parse_percent(text: str) -> float:
    """`40`, `12.5` or `40%`. Raises: ValueError."""
    number = text.strip().removesuffix("%")
    if re.fullmatch(r"\d+(\.\d+)?", number, re.ASCII) and float(number) <= 100:
        return float(number)
    raise ValueError(f"{text!r} is no percentage from 0 to 100")


def parse_group(text: str) -> str:
    """The name of a group. Raises: ValueError."""
    try:
        return msgspec.convert(text, Group)
    except msgspec.ValidationError:
        raise ValueError(
            f"{text!r} is no name of a group: letters, digits and _.- (64 at most)"
        ) from None


def parse_share(text: str) -> int | str:
    """A number of workers, or `all`. Raises: ValueError."""
    if text.lower() == ALL:
        return ALL
    if re.fullmatch(r"\d{1,9}", text, re.ASCII) and int(text) <= MAX_WORKERS:
        return int(text)
    raise ValueError(f"{text!r} is no number of workers from 0 to {MAX_WORKERS}, nor all")


def limit_of(share: int | str) -> int | None:
    """A group's limit as the daemon takes it: None where there is none."""
    return None if isinstance(share, str) else share


def parse_tag(text: str) -> str:
    """One tag. Raises: ValueError."""
    try:
        return msgspec.convert(text, Tag)
    except msgspec.ValidationError:
        raise ValueError(f"{text!r} is no tag: no blanks, no commas, 64 characters") from None


def parse_engine_option(text: str) -> str:
    """Raises: ValueError."""
    try:
        return msgspec.convert(text, EngineOption)
    except msgspec.ValidationError:
        raise ValueError(f"{text!r} is no option in one word, such as --mem=8G") from None


def parse_codes(text: str) -> list[int]:
    """Exit codes separated by commas. Raises: ValueError."""
    words = [word.strip() for word in text.split(",")]
    if not all(
        re.fullmatch(r"\d{1,3}", word, re.ASCII) and 1 <= int(word) <= 255 for word in words
    ):
        raise ValueError(f"{text!r} are no exit codes from 1 to 255, separated by commas")
    return [int(word) for word in words]


def parse_array(text: str) -> list[tuple[int, int]]:
    """Inclusive ranges of `1-10`, `1,3,7-9` and `1-100:10`, in order. Raises: ValueError."""
    if "%" in text:
        raise ValueError("how many run at a time a group says: jobctl groups add G --workers N")
    found = sorted(span for piece in text.split(",") for span in _indexes(piece.strip(), text))
    merged: list[tuple[int, int]] = []
    for first, last in found:
        if merged and first <= merged[-1][1]:
            raise ValueError(f"index {first} comes twice in {text!r}")
        if merged and first == merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def _indexes(piece: str, text: str) -> list[tuple[int, int]]:
    match = re.fullmatch(_ARRAY_PATTERN, piece, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} are no indexes; write 1-10, 1,3,7-9 or 1-100:10")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if not (first <= last < 2**31 and step):
        raise ValueError(f"{piece!r} is no range of indexes; the lower one comes first")
    if (last - first) // step >= MAX_ARRAY:
        raise ValueError(f"{piece!r} is more than {MAX_ARRAY:,} indexes")
    if step == 1:
        return [(first, last)]
    return [(index, index) for index in range(first, last + 1, step)]


def parse_time_limit(text: str) -> float:
    """A duration that is longer than nothing. Raises: ValueError."""
    seconds = durations.parse(text)
    if not seconds:
        raise ValueError("a time limit is longer than nothing; leave it out for none")
    return seconds


def or_none(parse: Callable[[str], R], nothing: R) -> Callable[[str], R]:
    """The same parser, but `none` and an empty word clear what was there."""

    def parsed(text: str) -> R:
        return nothing if text.strip().lower() in ("", "none") else parse(text)

    return parsed


def parse_ids(words: Iterable[str]) -> list[tuple[int, int]]:
    """Inclusive ranges of `7`, `3-9` and `1,4,8-10`; each once. Raises: ValueError."""
    found: dict[tuple[int, int], None] = {}
    for word in words:
        for piece in word.split(","):
            found[_range_of(piece.strip(), word)] = None
    return list(found)


class Relative(int):
    """Of a single job, what stands in the place of its id until the daemon is asked for it."""


def _range_of(piece: str, word: str) -> tuple[int, int]:
    latest = re.fullmatch(_LATEST_PATTERN, piece, re.ASCII)
    if latest is not None:
        number = LAST_ARRAY if latest[1] else -1 - int(latest[2] or 0)
        return number, number
    match = re.fullmatch(_SELECTOR_PATTERN, piece, re.ASCII)
    if not match:
        raise ValueError(f"{word!r} is not a job id; write 7, 3-9, 1,4,8-10 or last")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= MAX_ID:
        what = "range of ids" if "-" in piece else "id"
        order = ", the lower one first" if "-" in piece else ""
        raise ValueError(f"{piece!r} is no {what}; they begin at 1{order}")
    return first, last


class Word(_ParamType):
    """A parameter type made of a parser that raises ValueError.

    `text`: how what was written becomes the text that is parsed.
    """

    def __init__(
        self, name: str, parse: Callable[[str], Any], text: Callable[[str], str] = checked
    ) -> None:
        self.name = name
        self._text = text
        self._parse = parse

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from jobctl.parsing import proposals

        del param
        return proposals.of(self.name, ctx, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 # as click has it
        if not isinstance(value, str):
            return value
        try:
            return self._parse(self._text(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def joined(ctx: click.Context, param: click.Parameter, values: tuple[list[Any], ...]) -> list[Any]:
    """All that an option has named that may be repeated, in one list."""
    del ctx, param
    return [item for value in values for item in value]


def _is_too_large(text: str) -> bool:
    """Python reads no more than some thousand digits."""
    digits = text.lstrip("0") if text.isdecimal() else ""
    return len(digits) > len(str(MAX_BYTES)) or int(digits or "0") > MAX_BYTES


class Number(click.IntRange):
    """A whole number within bounds; without an upper one, it fits into what is sent."""

    name = "n"

    def __init__(self, least: int, most: int = MAX_BYTES) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 # as click has it
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            if self.max == MAX_BYTES and _is_too_large(str(value)):
                self.fail(f"{value!r} is too large", param, ctx)
            most = "on" if self.max == MAX_BYTES else f"to {self.max}"
            bounds = f"from {self.min} {most}"
            self.fail(f"{value!r} is no number {bounds}", param, ctx)

    def _describe_range(self) -> str:
        """For the help: what merely fits into what is sent is no bound to whoever reads it."""
        return f"x>={self.min}" if self.max == MAX_BYTES else super()._describe_range()


def parse_key(text: str) -> str:
    """What makes a job the same as another. Raises: ValueError."""
    if not text:
        raise ValueError("a key is needed; an empty one would make all jobs the same")
    return text


def parse_id(text: str) -> int:
    """A single one. Raises: ValueError."""
    (found, *more) = parse_ids([text])
    if more or found[0] != found[1]:
        raise ValueError(f"{text!r} is more than one job, and only one is taken here, such as 7")
    if found[0] == LAST_ARRAY:
        raise ValueError(f"{text!r} means many jobs; only one is taken here, such as last")
    return Relative(found[0]) if found[0] < 0 else found[0]


TEXT = Word("text", str, as_shown)
"""Only read by people."""
KEY = Word("text", parse_key)
EXPRESSION = Word("expression", str)
PATH = Word("file", str, file_name)
DIRECTORY = Word("dir", str, file_name)
COMMAND = Word("command", str, str)
"""The words of a command, whatever they are."""
BYTES = Word("text", as_bytes, str)
"""For a program: nothing in it is changed."""
DURATION = Word("duration", durations.parse)
PRIORITY = Word("priority", _parse_priority_option)
SIGNAL = Word("signal", _parse_signal)
PERCENT = Word("percent", parse_percent)
JOB = Word("id", parse_id)
GROUP = Word("group", parse_group)
SHARE = Word("workers", parse_share)


def once(ctx: click.Context, param: click.Parameter, values: Sequence[R]) -> R | None:
    """The value of an option that narrows: the first of two would not count, and nobody hear of it.

    For an option that is `multiple`. Raises: click.UsageError.
    """
    if len(values) > 1:
        raise click.UsageError(f"give {param.opts[-1]} once", ctx)
    return values[0] if values else None


dry_run = click.option("--dry-run", is_flag=True, help="Only print the ids that it would act on.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
