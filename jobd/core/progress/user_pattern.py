"""How a job's output is read for progress: as common tools print it, not at all, or as a user says.

A user's regular expression is run by the daemon, again and again, over whatever the job prints.
Python's own engine backtracks, holds the interpreter meanwhile and cannot be ended. So a rule is
read as `re` reads it, and run by the engine of `regex`, which has a time limit and lets other
threads run: see `Rule.newest`. What is bound to be slow is refused before: a repetition of
something that itself varies (`(a+)+`), a reference back, and what takes long on lines of its own
characters that grow as long as a line gets.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # the tree of a pattern is kept nowhere else
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from jobd.core.progress.patterns import percent_of

if TYPE_CHECKING:
    import regex  # only jobs with rules of their own pay for it

__all__ = ["AUTO", "NONE", "PATIENCE", "Rule", "TooSlowError", "compile_rule"]

MAX_PATTERN: Final = 200
"""Characters."""
LONGEST: Final = 400
"""Characters from the begin of a line that a rule is run on."""
PATIENCE: Final = 0.2
"""Seconds of computing that a rule may take for the lines of one look."""
BUDGET: Final = 0.02
"""Seconds of computing that it may take for each of the lines that it is tried on."""
_TRIAL: Final = 1.0
"""Seconds of computing for all of these. What was slow on none of them by then is taken."""

_MOST_WRITTEN: Final = 10 * LONGEST
"""Operations of an expression that is written out; `regex` takes memory for each."""
_REPEATS: Final = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_FORBIDDEN: Final = {
    "GROUPREF": "a reference back to a group",
    "GROUPREF_EXISTS": "a condition on a group",
}
_TRIED: Final = (*"0 .a=%#/:-", "0a", "a 0 ", "0/0 ", "a: 0.0% ")
"""What fills lines, beside the characters of the pattern."""
_LENGTHS: Final = (4, 6, 9, 14, 21, 32, 48, 72, 108, 162, 243, LONGEST)
"""Characters of the lines that a rule is tried on."""
_PIECE: Final = re.compile(
    r"\\N\{[^}]*\}|\\."  # a character by its name, any other escape
    r"|\(\?#[^)]*\)"  # a comment
    r"|\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\}"  # a repetition
    r"|(?P<brace>\{)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])",
    re.DOTALL,
)
"""What a brace or bracket can be a part of in an expression."""
_OPENING: Final = re.compile(r"(\\.)|\[", re.DOTALL)
_HELP: Final = "write 'loss .* ([0-9.]+)%' or 'step ([0-9]+)/([0-9]+)'"


class TooSlowError(Exception):
    """A rule was ended, its time being over.

    The engine counts what all threads compute, by clock(3): beside busy ones it had less itself.
    """


class Rule(Struct, frozen=True):
    """How the progress of a job is read off its output, as its user asked for."""

    text: str
    """As the user wrote it."""
    pattern: regex.Pattern[str] | None = None
    done: int = 0
    """The group that has the percentage, or how many are done."""
    total: int = 0
    """The group that has how many there are; 0: `done` has a percentage."""

    def newest(self, lines: Iterable[str]) -> float | None:
        """What the first of the lines that says something says, from 0 to 100, or None.

        Any thread may call; others run meanwhile. Raises: TooSlowError.
        """
        begin = time.thread_time()
        for line in lines:
            left = max(0.0, PATIENCE - (time.thread_time() - begin))
            try:
                percent = self._percent_in(line, left)
            except TimeoutError:
                raise TooSlowError(self.text) from None
            if percent is not None:
                return percent
        return None

    def _percent_in(self, line: str, limit: float) -> float | None:
        """What the last match says.

        Raises: TimeoutError (the process has computed for `limit` seconds).
        """
        match = None
        if self.pattern is not None:
            found = self.pattern.finditer(line[:LONGEST], timeout=limit)
            for match in found:  # noqa: B007 - the last one is wanted
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
        done, total = _groups(re.compile(text))
        tree = _parser.parse(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    _refuse_explosive(tree)
    _refuse_endless(tree)
    pattern = _compile(text, tree)
    _refuse_slow(pattern, tree)
    return Rule(text, pattern, done, total)


def _compile(text: str, tree: Any) -> regex.Pattern[str]:  # noqa: ANN401 - the tree has no types
    """Raises: ValueError (it cannot be put so that both read the same)."""
    import regex

    plain = _PIECE.sub(_plainly, text)
    try:
        if repr(_parser.parse(plain)) != repr(tree):
            raise ValueError("the expression is ambiguous: leave out its comments")
        return regex.compile(plain, regex.VERSION0)
    except (re.error, regex.error, RecursionError) as error:
        raise ValueError(f"not a regular expression that can be used here: {error}") from None


def _plainly(piece: re.Match[str]) -> str:
    """`regex` takes `x{e}` for "about x" and `[[:alpha:]]` for a class; `re` takes them as text."""
    if piece["brace"]:
        return r"\{"
    if not piece["set"]:
        return piece[0]
    return "[" + _OPENING.sub(lambda found: found[1] or r"\[", piece[0][1:])


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


def _refuse_endless(tree: Any) -> None:  # noqa: ANN401 - the tree has no types
    """Such a one fits no line, and `regex` would write out all that it repeats."""
    for operation, argument in _nodes(tree):
        if operation in _REPEATS and argument[0] * max(1, argument[2].getwidth()[0]) > LONGEST:
            raise ValueError(
                f"the expression repeats something so often that it takes more than {LONGEST}"
                " characters, and no more of a line is looked at"
            )
    if _written_out(tree) > _MOST_WRITTEN:
        raise ValueError("the expression repeats repetitions so often that it becomes too large")


def _written_out(tree: Any) -> int:  # noqa: ANN401 - the tree has no types
    """How many operations there are once each repetition is written out as often as it must fit:
    one within the other they multiply, also of what takes no character.
    """
    total = 0
    for operation, argument in tree:
        inside = sum(map(_written_out, _inside(argument)))
        often = max(1, argument[0]) if str(operation) in _REPEATS else 1
        total += 1 + often * inside
    return total


def _varies(tree: Any) -> bool:  # noqa: ANN401 - the tree has no types
    return any(
        name == "BRANCH" or (name in _REPEATS and argument[0] != argument[1])
        for name, argument in _nodes(tree)
    )


def _refuse_slow(pattern: regex.Pattern[str], tree: Any) -> None:  # noqa: ANN401 - no types
    """The length grows by halves: what is slow on short lines need not be tried on long ones."""
    begin = time.thread_time()
    for line in _lines_for(tree):
        if _seconds(pattern, line) > BUDGET:
            raise ValueError("the expression is too slow: use fewer of `.*` and the like")
        if time.thread_time() - begin > _TRIAL:
            return


def _lines_for(tree: Any) -> Iterator[str]:  # noqa: ANN401 - the tree has no types
    """Each also with what the expression may end in: without it an engine may see at once that
    nothing fits.
    """
    own = "".join(_characters(tree))
    for length in _LENGTHS:
        for filling in dict.fromkeys([own or "0", *own, *_TRIED]):
            for end in dict.fromkeys(["\0", "\0" + 3 * own[-1:]]):
                yield (filling * length)[: length - len(end)] + end


def _characters(tree: Any) -> Iterator[str]:  # noqa: ANN401 - the tree has no types
    for operation, argument in _nodes(tree):
        if operation == "LITERAL":
            yield chr(argument)
        elif operation == "IN":
            yield from (chr(a) for name, a in argument if str(name) == "LITERAL")
            yield from (chr(a[0]) for name, a in argument if str(name) == "RANGE")


def _seconds(pattern: regex.Pattern[str], line: str) -> float:
    """The fastest of a few tries: the machine may be busy with something else."""
    best = math.inf
    for _ in range(3):
        begin = time.thread_time()
        with suppress(TimeoutError):
            for _match in pattern.finditer(line, timeout=PATIENCE):
                pass
        best = min(best, time.thread_time() - begin)
        if best <= BUDGET:
            break
    return best
