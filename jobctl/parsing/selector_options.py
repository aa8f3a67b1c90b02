"""Which jobs a command is for: its words and the filters, the same ones everywhere."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, ParamSpec, TypeVar

import click
import msgspec

from jobctl.parsing.param_types import (
    Number,
    Word,
    once,
    parse_group,
    parse_ids,
    parse_states,
    parse_tag,
)
from jobctl.parsing.texts import as_shown, shown
from jobctl.parsing.times import check_span, parse_since
from jobd.contract.errors import JobdError
from jobd.contract.models import MAX_BYTES, MAX_NAME, Selector, User
from jobd.contract.states import UNFINISHED, State

P = ParamSpec("P")
R = TypeVar("R")


def _separated(parse: Callable[[str], R]) -> Callable[[str], list[R]]:
    return lambda text: [parse(word.strip()) for word in text.split(",")]


def _parse_pattern(text: str) -> str:
    if not text or len(text) > MAX_NAME:
        raise ValueError(f"a pattern has 1 to {MAX_NAME} characters, for example 'train*'")
    return text


def _parse_user(text: str) -> str:
    try:
        return msgspec.convert(text, User)
    except msgspec.ValidationError:
        raise ValueError(f"{as_shown(text)!r} is no login") from None


class _Filter(msgspec.Struct, frozen=True):
    """An option, and the field of `Selector` that it fills."""

    field: str
    names: tuple[str, ...]
    """The short one is that of `submit`, and means the same."""
    kind: Word
    metavar: str
    help: str
    several: bool = True

    def option(self, without: Iterable[str] = ()) -> Callable[[Any], Any]:
        return click.option(
            *(name for name in self.names if name not in without),
            f"only_{self.field}",
            type=self.kind,
            multiple=True,
            callback=None if self.several else once,
            metavar=self.metavar,
            help=self.help,
        )


FILTERS: Final = (
    _Filter(
        "states",
        ("--state",),
        Word("states", parse_states),
        "STATE,...",
        "Only in one of these states.",
    ),
    _Filter(
        "groups",
        ("-g", "--group"),
        Word("groups", _separated(parse_group)),
        "G,...",
        "Only of these groups.",
    ),
    _Filter(
        "tags",
        ("-t", "--tag"),
        Word("tags", _separated(parse_tag)),
        "TAG,...",
        "Only with one of these tags.",
    ),
    _Filter(
        "name",
        ("-n", "--name"),
        Word("pattern", _parse_pattern, as_shown),
        "GLOB",
        "Only jobs whose name matches, such as 'train*'.",
        several=False,
    ),
    _Filter(
        "command",
        ("--command",),
        Word("glob", _parse_pattern, as_shown),
        "GLOB",
        "Only jobs whose command matches, such as '*train.py*'.",
        several=False,
    ),
    _Filter(
        "since",
        ("--since",),
        Word("time", parse_since),
        "WHEN",
        "Only submitted in the last DURATION (2h), or since a TIME (18:00).",
        several=False,
    ),
    _Filter(
        "until",
        ("--until",),
        Word("time", parse_since),
        "WHEN",
        "Only submitted longer ago than a DURATION, or before a TIME.",
        several=False,
    ),
    _Filter(
        "ended_since",
        ("--ended-since",),
        Word("time", parse_since),
        "WHEN",
        "Only finished in the last DURATION, or since a TIME.",
        several=False,
    ),
    _Filter(
        "users",
        ("--user",),
        Word("users", _separated(_parse_user)),
        "USER,...",
        "Only jobs of these users.",
    ),
)
"""In the order of `--help`. Values of one are alternatives; different ones all have to hold."""


def _parse_count_or_name(text: str) -> int | str:
    if text.startswith("-") and text[1:].isdecimal():
        raise ValueError(f"{shown(text)} is no number from 0 on; for a name: --name={shown(text)}")
    if not text.isdecimal():
        return _parse_pattern(text)
    if not text.isascii() or int(text[:20]) > MAX_BYTES:
        raise ValueError(f"{shown(text)} is too large")
    return int(text)


_WORDS: Final = Word("selector", str, str)
"""They are read together, in `choose`."""
_COUNT_OR_NAME: Final = Word("n", _parse_count_or_name, as_shown)
_COUNTS: Final = {
    "limit": "At most N (0: all).",
    "last": "Only the last N.",
    "lines": "Only the last N lines.",
}
"""By the parameter of a command."""
_UNFINISHED: Final = ("--unfinished", UNFINISHED)
"""What else narrows: it is short for two states."""


def choose(
    words: Sequence[str], filters: dict[str, Any], *, everything: bool = False
) -> Selector | None:
    """What the words and filters (fields of `Selector`) select; None where `-` gave nothing.

    Raises: click.UsageError.
    """
    named = [piece for word in words for piece in (_stdin_words() if word == "-" else [word])]
    if words and not named:
        return None
    try:
        ids = parse_ids(named)
    except ValueError as error:
        from jobctl.parsing import hints

        if meant := hints.query(named):
            raise click.UsageError(f"did you mean: {meant}") from error
        raise click.UsageError(f"{error}{hints.selected(named)}") from error
    if ids and everything:
        raise click.UsageError("--all and single jobs exclude each other")
    return Selector(ids=ids, all=everything, **filters)


def _stdin_words() -> list[str]:
    try:
        return sys.stdin.read().replace(",", " ").split()
    except OSError as error:
        raise JobdError(f"cannot read stdin: {error.strerror}") from error


def narrowed(selector: Selector, states: Iterable[State]) -> Selector:
    """Only those in `states`, unless states or jobs were written.

    What was named one by one stays, so that it is told what is wrong with it.
    """
    if selector.states or selector.ids:
        return selector
    return msgspec.structs.replace(selector, states=list(states))


def only(selector: Selector | None, option: str, states: Sequence[State]) -> Selector | None:
    """Of what is selected those in `states`: what an option such as `--failed` is short for.

    Raises: click.UsageError (`--state` leaves none of them: an empty list would mean all).
    """
    if selector is None:
        return None
    left = [state for state in selector.states or states if state in states]
    if not left:
        written = ",".join(selector.states)
        raise click.UsageError(f"{option} and --state {written} exclude each other: no job is both")
    return msgspec.structs.replace(selector, states=left)


def must_name(selector: Selector | None, instead: str = "--all") -> Selector | None:
    """Nothing changes everything because nothing was named. Raises: click.UsageError."""
    if selector is not None and not selector.named:
        filters = ", ".join([*(found.names[-1] for found in FILTERS), _UNFINISHED[0]])
        raise click.UsageError(f"name jobs (7, 3-9, -), or write {instead} or a filter ({filters})")
    return selector


def selects(
    *, all_option: str = "", without: str = "", count: str = ""
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a command `selector` from its words, the filters and, where it changes, `--all`.

    `all_option`: which jobs `--all` means, where there is such an option.
    `without`: the field of a filter whose option means something else to this command.
    `count`: the parameter that gets a number, and the option of that name; `-n N` is short for it,
    and `-n` with a word is a name all the same.
    """
    filters = [found for found in FILTERS if found.field != without]

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **given: P.kwargs) -> R:
            words: Any = given.pop("words")
            everything = bool(given.pop("everything", False))
            chosen = _taken(filters, given)
            refuse_no_span(chosen.get("since"), chosen.get("until"))
            if count:
                short: Any = given.pop("count_or_name")
                long: Any = given[count]
                given[count] = _counted(short, long, count, chosen)
            unfinished = bool(given.pop("unfinished"))
            selector = choose(words, chosen, everything=everything)
            given["selector"] = only(selector, *_UNFINISHED) if unfinished else selector
            return function(*args, **given)

        result: Any = click.option(
            _UNFINISHED[0], is_flag=True, help="Only what is pending or running."
        )(wrapped)
        for found in reversed(filters):
            result = found.option(without=("-n",) if count else ())(result)
        if count:
            result = click.option(
                f"--{count}", count, type=Number(0), metavar="N", help=_COUNTS[count]
            )(result)
            result = click.option(
                "-n", "count_or_name", type=_COUNT_OR_NAME, metavar="N|GLOB", multiple=True,
                help=f"With a number --{count}, else --name.",
            )(result)  # fmt: skip
        if all_option:
            result = click.option("--all", "everything", is_flag=True, help=all_option)(result)
        return click.argument("words", nargs=-1, type=_WORDS, metavar="[SELECTOR]...")(result)  # type: ignore[no-any-return]

    return decorate


def _counted(
    short: Sequence[int | str], long: int | None, name: str, chosen: dict[str, Any]
) -> int | None:
    """The number, of `-n` or the long option; a pattern behind `-n` goes where `--name` does.

    Raises: click.UsageError (two say the same).
    """
    globs = [value for value in short if isinstance(value, str)]
    numbers = [value for value in short if isinstance(value, int)]
    for kind, values in (("GLOB", globs), ("N", numbers)):
        if len(values) > 1:
            raise click.UsageError(f"give -n {kind} once")
    if globs and "name" in chosen:
        raise click.UsageError("-n GLOB and --name exclude each other")
    if numbers and long is not None:
        raise click.UsageError(f"-n N and --{name} exclude each other")
    if globs:
        chosen["name"] = globs[0]
    return numbers[0] if numbers else long


def refuse_no_span(since: float | None, until: float | None) -> None:
    """Two times between which nothing lies select nothing. Raises: click.UsageError."""
    try:
        check_span(since, until)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _taken(filters: Iterable[_Filter], given: dict[str, Any]) -> dict[str, Any]:
    """The fields that were written; they leave what was given."""
    found = {}
    for entry in filters:
        value = given.pop(f"only_{entry.field}")
        if entry.several:
            value = list(dict.fromkeys(chain.from_iterable(value)))
        if value or value == 0.0:
            found[entry.field] = value
    return found
