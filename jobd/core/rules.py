"""How a job's output is read for progress: as common tools print it, not at all, or as a user says.

A user's regular expression is run by the daemon, again and again, over whatever the job prints;
Python's engine backtracks and holds the interpreter meanwhile. So a rule is taken only if it cannot
blow up: no repetition of something that itself varies (`(a+)+`), no reference back. Then it is
tried on lines of its own characters that grow as long as a line gets; what is slow is refused.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # the tree of a pattern is kept nowhere else
from typing import Any, Final

from msgspec import Struct

from jobd.core.forms import percent_of

__all__ = ["AUTO", "NONE", "Rule", "compile_rule"]

MAX_PATTERN: Final = 200
"""Characters."""
LONGEST: Final = 400
"""Characters from the begin of a line that a rule is run on."""
BUDGET: Final = 0.005
"""Seconds that a rule may take for a line of that length."""

_REPEATS: Final = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_FORBIDDEN: Final = {
    "GROUPREF": "a reference back to a group",
    "GROUPREF_EXISTS": "a condition on a group",
}
_TRIED: Final = (*"0 .a=%#/:-", "0a", "a 0 ", "0/0 ", "a: 0.0% ")
"""What fills lines, beside the characters of the pattern."""
_LENGTHS: Final = (4, 6, 9, 14, 21, 32, 48, 72, 108, 162, 243, LONGEST)
"""Characters of the lines that a rule is tried on."""
_HELP: Final = "write 'loss .* ([0-9.]+)%' or 'step ([0-9]+)/([0-9]+)'"


class Rule(Struct, frozen=True):
    text: str
    """As the user wrote it."""
    pattern: re.Pattern[str] | None = None
    done: int = 0
    """The group that has the percentage, or how many are done."""
    total: int = 0
    """The group that has how many there are; 0: `done` has a percentage."""

    def percent_in(self, line: str) -> float | None:
        """What the last match in a line says, from 0 to 100, or None."""
        match = None
        if self.pattern is not None:
            for match in self.pattern.finditer(line[:LONGEST]):  # noqa: B007 - the last one is wanted
                pass
        if match is None or match[self.done] is None:
            return None
        if not self.total:
            return percent_of(match[self.done])
        done, total = match[self.done], match[self.total]
        # Counts may be grouped: 1,234,567.
        return percent_of(done.replace(",", ""), total.replace(",", "")) if total else None


AUTO: Final = Rule("auto")
NONE: Final = Rule("none")


@lru_cache(maxsize=256)
def compile_rule(text: str) -> Rule:
    """`auto`, `none`, or a regular expression.

    Its one group is the percentage; or of its two groups the first is how many are done, and the
    second of how many; or they bear the names `percent`, or `done` and `total`. It is searched for
    in each of the last lines of output; the newest match counts.

    Raises: ValueError (not a regular expression, or not one that may be used; says why).
    """
    if text in ("auto", "none"):
        return AUTO if text == "auto" else NONE
    if len(text) > MAX_PATTERN:
        raise ValueError(f"the expression is longer than {MAX_PATTERN} characters")
    try:
        pattern = re.compile(text)
        tree = _parser.parse(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    done, total = _groups(pattern)
    _refuse_explosive(tree)
    _refuse_slow(pattern, tree)
    return Rule(text, pattern, done, total)


def _groups(pattern: re.Pattern[str]) -> tuple[int, int]:
    names = pattern.groupindex
    if "percent" in names:
        return names["percent"], 0
    if "done" in names and "total" in names:
        return names["done"], names["total"]
    if pattern.groups in (1, 2):
        return 1, 2 if pattern.groups == 2 else 0
    raise ValueError(
        "the expression needs one group (the percentage), two (n of m), or groups named percent,"
        f" or done and total; it has {pattern.groups or 'none'}: {_HELP}"
    )


def _nodes(tree: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - the tree has no types
    """Every operation in the tree with its argument, from the outside in."""
    for operation, argument in tree:
        yield str(operation), argument
        for inner in _inside(argument):
            yield from _nodes(inner)


def _inside(argument: Any) -> Iterator[Any]:  # noqa: ANN401 - the tree has no types
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _inside(part)


def _refuse_explosive(tree: Any) -> None:  # noqa: ANN401 - the tree has no types
    for operation, argument in _nodes(tree):
        if operation in _FORBIDDEN:
            raise ValueError(f"the expression has {_FORBIDDEN[operation]}: it might take for ever")
        if operation in _REPEATS and argument[1] > 1 and _varies(argument[2]):
            raise ValueError(
                "the expression repeats something that itself repeats or has alternatives, like"
                " '(a+)+': it might take for ever"
            )


def _varies(tree: Any) -> bool:  # noqa: ANN401 - the tree has no types
    return any(
        name == "BRANCH" or (name in _REPEATS and argument[0] != argument[1])
        for name, argument in _nodes(tree)
    )


def _refuse_slow(pattern: re.Pattern[str], tree: Any) -> None:  # noqa: ANN401 - no types
    """The length grows by halves: one that passed in time bounds how long the next can take."""
    own = "".join(_characters(tree))
    for length in _LENGTHS:
        for filling in dict.fromkeys([own or "0", *own, *_TRIED]):
            line = (filling * length)[: length - 1]
            if _seconds(pattern, line + "\0") > BUDGET:
                raise ValueError("the expression is too slow: use fewer of `.*` and the like")


def _characters(tree: Any) -> Iterator[str]:  # noqa: ANN401 - the tree has no types
    for operation, argument in _nodes(tree):
        if operation == "LITERAL":
            yield chr(argument)
        elif operation == "IN":
            yield from (chr(a) for name, a in argument if str(name) == "LITERAL")
            yield from (chr(a[0]) for name, a in argument if str(name) == "RANGE")


def _seconds(pattern: re.Pattern[str], line: str) -> float:
    """The fastest of a few tries: the machine may be busy with something else."""
    best = math.inf
    for _ in range(3):
        begin = time.thread_time()
        for _match in pattern.finditer(line):
            pass
        best = min(best, time.thread_time() - begin)
        if best <= BUDGET:
            break
    return best
