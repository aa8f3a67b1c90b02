"""The forms in which common tools print how far they are, and nothing that only looks like one.

A wrong percentage is worse than none. So a number followed by `%` counts only where something
around it speaks of progress: a bar, `(12/34)`, `[ 37%]` at an edge, a rate, a time left, a word
such as "Downloading". A bare percentage counts where it is the whole of the last line. Everything
else (`df`, `top`, coverage tables, prose) does not. Counters (`[12/400]`, `Step 3/10`) likewise.

A counter that names a step (`Epoch 2/2`, `Installing 3 of 10`) is printed when that step begins: it
says how many are done before it. Of tools that are known to print it when a step is done (ninja,
ctest), of bars and amounts, and where the line says that the step is done or what came of it, it
counts in full.

Each form is a row of a table: its name, and a pattern that finds it in a line whose bars have been
shortened, so that no pattern has far to go. The first row that finds something has it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BLOCKS: Final = "█▓▒░━╸╺▏▎▍▌▋▊▉■"
_BAR: Final = "#=>" + _BLOCKS
_IN_BAR: Final = _BAR + ".*+<oO -"
_BOX: Final = rf"\[(?=[^][]*(?:[{_BAR}]{{2}}|   |\.\.\.|---|\*\*\*))[{_IN_BAR}]+\]"
_VERDICT: Final = r"(?-i:(?:^|[.sxXFE)]  |[.sxXFE]{3} |[A-Z]{2} ) *)"
"""What pytest says of the tests before it says how many of them have been run."""
_LONG: Final = re.compile(rf"([{_BAR} ._|:+*-])\1{{3,}}")
"""Runs of what bars are made of; three of a kind tell as much."""
_PERCENT: Final = (
    r"(?<![0-9A-Za-z_.,-])([0-9]{1,3}(?:\.[0-9]{1,10}|,[0-9]{1,2})?) ?%(?![0-9A-Za-z_%])"
)
_ANY_PERCENT: Final = re.compile(r"[0-9] ?%")
_ANY_COUNT: Final = re.compile(r"[0-9] ?(?:/| of ) ?[0-9]|--:--|[0-9]:[0-9]")
"""Times as well: curl has nothing else that could be looked for."""
_N: Final = r"([0-9]{1,12})"
_N_OF_M: Final = rf"{_N} ?(?:/| of ) ?{_N}(?![\w/%]|[.,:-][0-9])"
_SIZE: Final = r"[0-9.]{1,12} ?[kKMGTP]?i?B"
_SHORT: Final = r"[0-9.]{1,12}[kMGTP]?"
_DOING: Final = "\x01"
_DONE: Final = "\x02"
_UNIT: Final = "\x03"
_UNITS: Final = "\x04"
"""What stands in the place of such words (`downloading`; `downloaded`; `step`; `steps`) while the
forms are tried.
"""
_MARK: Final = f"{_DOING}{_DONE}{_UNIT}{_UNITS}"
_VERB: Final = f"[{_DOING}{_DONE}]"
_TO: Final = rf"(?: +(?:[{_MARK}]|(?!in |on |at |by |for )[\w-]{{1,30}}\b))"
"""A word of what is worked on, but none that begins a remark (`completed in 3/10 s`)."""
_BEFORE: Final = r"^(?:.{0,80}?(?:[\]:|>)-]|\b(?:INFO|DEBUG|NOTICE)) *)?"
"""What may stand before the words of a counter: a time, a name, a level."""
_BETWEEN: Final = r"[ :#=\[(]*"
_OVER: Final = (
    rf"(?:[^\w{_DOING}{_UNIT}]{{0,4}}{_DONE}|(?!.*[0-9] ?(?:/| of ) ?[0-9]).{{0,80}}?\b"
    r"(?:\w{0,20}(?:loss|acc|accuracy|error|score|reward|perplexity)|took|time|elapsed)"
    r"[ :=]{1,3}-?\.?[0-9])"
)
"""Behind the counter of a step: that it is done, or what came of it. Where there is another counter
(`Epoch [2/2], Step [100/600], Loss: 0.25`) it still goes on.
"""
_WORD: Final = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{3,14}(?![A-Za-z0-9_])")
_STEMS: Final = """
    load read render encod decod train index scann sync synchroniz verify check import export
    convert pars generat analyz analys hash updat fetch clon send sort merg simulat prepar test
    runn build compil link receiv resolv writ compress decompress transfer extract unpack pack
    install copy mov process count delet restor evaluat validat solv upgrad migrat format filter
    enumerat rescu download upload
"""
_ALSO: Final = "progress done copied verified complete completed finished"
_NOUNS: Final = """
    step epoch iter iteration batch file item task test chunk frame page round stage phase job image
    sample row record block layer trial fold episode run pass shard segment package module target
    case url object tile seed document commit
"""
_MARKS: Final[dict[str, str]] = {
    **{noun + end: _UNITS for noun in _NOUNS.split() for end in ("s", "es")},
    **dict.fromkeys(_NOUNS.split(), _UNIT),
    **{stem + "ing": _DOING for stem in _STEMS.split()},
    **{stem + "ed": _DONE for stem in _STEMS.split()},
    **dict.fromkeys(_ALSO.split(), _DONE),
}
_MEASURES: Final = re.compile(
    r"\b(?:cpu|gpu|mem|memory|load|usage|used|util\w*|acc|accuracy|cover|coverage|battery|swap|"
    r"idle|free|disk|loss|rate|ratio|deflated|similarity|score|precision|recall|"
    r"confidence|hits?|miss(?:es)?|errors?|humidity|correct|passed|succe\w*)\b",
    re.IGNORECASE,
)
"""Words of percentages that measure something else."""


class Form(NamedTuple):
    """One way in which tools print their progress."""

    name: str
    """Who prints it so."""
    pattern: re.Pattern[str]
    """Its one group is the percentage; or its two groups are how many are done, and of how many."""
    announces: bool = False
    """The first of two groups is the step that begins, not the one that is done."""


_Found = tuple[Form, re.Match[str]]


def _form(name: str, pattern: str, *, announces: bool = False) -> Form:
    return Form(name, re.compile(pattern, re.IGNORECASE), announces)


SURE: Final = (
    _form("tqdm", rf"{_PERCENT}\|(?=[^|]*(?:[{_BAR}]|   ))[{_BAR}0-9 ]*\|"),
    _form("wget's bar", rf"{_PERCENT} ?{_BOX}"),
    _form("pv, own bars in brackets", rf"(?:{_BOX}|\|(?=[^|]*[{_BAR}])[{_IN_BAR}]+\|) *{_PERCENT}"),
    _form("rich", rf"[{_BLOCKS}]{{3}}[{_BLOCKS} ]*{_PERCENT}"),
    _form("curl -#", rf"^[#=>]+ *{_PERCENT}$"),
    _form("wget's dots", rf"^[0-9]+K[ ,.]*\.[ ,.]*{_PERCENT}"),
    _form("pytest", rf"{_VERDICT}\[ *{_PERCENT} *\]$"),
    _form("cmake, pytest-xdist", rf"^(?:\[\w+\] )?\[ *{_PERCENT} *\]"),
    _form("apt's install bar", rf"\[ *{_PERCENT} *\] *{_BOX}$"),
    _form("apt update", rf"^{_PERCENT} \[[0-9A-Z]"),
)
"""A percentage with something beside it that nothing but progress has."""

LIKELY: Final = (
    _form("git, progressbar2", rf"(?:^|: *){_PERCENT} ?\([0-9]+(?:/| of )[0-9]+\)"),
    _form("alive-progress, pacman", rf"(?<![\w/.,-])[0-9]+/[0-9]+[ (:\[\]]*{_PERCENT}"),
    _form("7z", rf"^{_PERCENT} (?:[0-9]+ )?[-+] "),
    _form("parallel", rf"^{_PERCENT} [0-9]+:[0-9]+=[0-9]+s"),
    _form("rclone", rf"(?<![\w/.]){_SIZE} ?/ ?{_SIZE}(?:, ?| ?\(){_PERCENT}"),
    _form("rsync, scp, aria2", rf"{_PERCENT}.*(?:[KMGT]i?B/s|\bETA\b)"),
    _form("a percentage before words", rf"^{_PERCENT} *{_VERB}"),
    _form(
        "a percentage behind words",
        rf"{_VERB}(?:[\]: .…(=-]*|[^,;|]{{0,60}}(?::|\.\.\.|…|\() *){_PERCENT}"
        rf"(?= *(?:$|[^ A-Za-z]|of [0-9]|{_VERB}))",
    ),
)
"""The only percentage of its line, which has no word of something else that is measured."""

COUNTERS: Final = (
    _form(
        "curl",
        rf"^([0-9]{{1,3}}) +{_SHORT}(?: +[0-9]{{1,3}} +{_SHORT}){{2}}(?: +{_SHORT}){{2}}"
        rf"(?: +[0-9:dhwmy-]+(?: [0-9]+h)?){{3}} +{_SHORT}$",
    ),
    _form(
        "docker",
        rf"^(?:#[0-9]+ +\[(?:[\w.-]+ )?|\[[\w.-]+ ) *{_N} ?/ ?{_N} *\](?= |$)",
        announces=True,
    ),
    _form(
        "ninja's own words",
        rf"^\[{_N}/{_N}\] {_DOING} (?:[\w/+-]+ )?(?:static |shared )?"
        rf"(?:{_UNIT} |(?:executable|library|source)\b)",
    ),
    _form(
        "apk, pacman, yarn",
        rf"^[\[(] *{_N} ?/ ?{_N} *[\])][^\w{_DOING}{_DONE}{_UNIT}]{{1,8}}(?:{_DOING}|{_UNIT} )",
        announces=True,
    ),
    _form("ninja", rf"^[\[(] *{_N} ?/ ?{_N} *[\])](?= |$)"),
    _form("ctest", rf"^{_N}/{_N} +{_UNIT} +#[0-9]"),
    _form("keras", rf"^{_N}/{_N} (?:\[[=>]|━)"),
    _form("own counters", rf"^{_N}/{_N} +{_DONE}"),
    _form("own counters of what begins", rf"^{_N}/{_N} +{_DOING}", announces=True),
    _form("pip", r"^[━╸╺ ]+([0-9.]{1,12})/([0-9.]{1,12}) [kMGT]?i?B\b"),
    _form(
        "cargo, progress",
        rf"^[\w .:{_MARK}]*[|\[][{_IN_BAR}]{{3,}}[|\]] *{_N}/{_N}(?![\w/.%]| *\|)",
    ),
    _form("pytest's counts", rf"{_VERDICT}\[ *{_N}/{_N}\]$"),
    _form(
        "steps that are done",
        rf"{_BEFORE}(?:{_DOING}{_TO}? *|{_UNIT}){_BETWEEN}{_N_OF_M}{_OVER}",
    ),
    _form(
        "steps that begin",
        rf"{_BEFORE}(?:{_DOING}{_TO}? *|{_UNIT}){_BETWEEN}{_N_OF_M}",
        announces=True,
    ),
    _form(
        "pip raw, amounts behind words",
        rf"{_BEFORE}(?:{_DONE}{_TO}? *|{_UNITS}){_BETWEEN}{_N_OF_M}",
    ),
)

ALONE: Final = (
    _form("a percentage alone", rf"^{_PERCENT}$"),
    _form("a counter alone", rf"^{_N}/{_N}$"),
)
"""On the very last line only."""

_TIME: Final = r"([0-9]{2,4}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)"
_AT: Final = re.compile(rf"(?:^| )time={_TIME} (?:bitrate|.*speed)=")
_DURATION: Final = re.compile(rf"^ *Duration: {_TIME},", re.MULTILINE)


def percent_in(line: str, *, last: bool = True) -> float | None:
    """How far (0 to 100) the line says that the job is, or None; `line` is free of escapes.

    `last`: nothing has been printed since; only then a number alone on its line counts.
    """
    line = _WORD.sub(_mark, _LONG.sub(r"\1\1\1", line))
    found = _found(line, last=last)
    if found is None:
        return None
    form, (first, *total) = found[0], found[1].groups()
    return percent_of(str(max(int(first) - 1, 0)) if form.announces else first, *total)


def percent_of(done: str, total: str = "100") -> float | None:
    """How far that is, or None if it is no number from 0 to 100."""
    try:
        share = 100 * float(done.replace(",", ".")) / float(total)
    except (ValueError, ZeroDivisionError):
        return None
    return round(share, 2) if 0 <= share <= 100 else None


def played_in(line: str, text: str) -> float | None:
    """How far ffmpeg is: the `time=` in its line, of the `Duration:` of its longest input."""
    at = _AT.search(line)
    lengths = [_seconds(match) for match in _DURATION.finditer(text)]
    if at is None or not lengths or max(lengths) == 0:
        return None
    # The last frame may end a little behind the end.
    share = 100 * _seconds(at) / max(lengths)
    return round(min(share, 100), 2) if share < 101 else None


def _mark(word: re.Match[str]) -> str:
    return _MARKS.get(word[0].lower(), word[0])


def _found(line: str, *, last: bool) -> _Found | None:
    percents = len(_ANY_PERCENT.findall(line))
    found = _first(SURE, line) if percents else None
    if found is None and percents == 1:
        found = _unmeasured(line)
    if found is None and _ANY_COUNT.search(line):
        found = _first(COUNTERS, line)
    return found or (_first(ALONE, line) if last else None)


def _unmeasured(line: str) -> _Found | None:
    found = _first(LIKELY, line)
    if found is None:
        return None
    before, behind = line[: found[1].start(1)], line[found[1].end(1) :]
    measured = _MEASURES.search(before) or _MEASURES.match(behind.lstrip(" %"))
    return None if measured else found


def _first(forms: tuple[Form, ...], line: str) -> _Found | None:
    for form in forms:
        match = form.pattern.search(line)
        if match is not None:
            return form, match
    return None


def _seconds(match: re.Match[str]) -> float:
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])
