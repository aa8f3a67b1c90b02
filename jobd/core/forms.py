"""The forms in which common tools print how far they are, and nothing that only looks like one.

A wrong percentage is worse than none. So a number followed by `%` counts only where something
around it speaks of progress: a bar, `(12/34)`, `[ 37%]` at an edge, a rate, a time left, a word
such as "Downloading". A bare percentage counts where it is the whole line. Everything else (`df`,
`top`, coverage tables, prose) does not. Counters (`[12/400]`, `Step 3/10`) likewise.

Patterns are tried at one place each, the text beside a number, so that time stays linear.
"""

from __future__ import annotations

import re
from typing import Final

_PERCENT: Final = re.compile(
    r"(?<![0-9A-Za-z_.,-])([0-9]{1,3}(?:\.[0-9]{1,10}|,[0-9]{1,2})?) ?%(?![0-9A-Za-z_%])"
)
_BAR: Final = "#=>█▓▒░━╸╺▏▎▍▌▋▊▉■"
_IN_BRACKETS: Final = _BAR + ".*+<oO -"
_NEAR: Final = 60
"""Characters before a number that are looked at."""
_TRIED: Final = 8
"""Percentages of one line that are looked at, from its end."""

_DOING: Final = (
    r"(?:progress|percent|done|copied|verified|"
    r"(?:down|up)load(?:ing|ed)?|complete[d]?|finished|(?:load|read|render|encod|decod|train|index|"
    r"scann|sync|synchroniz|verify|check|import|export|convert|pars|generat|analy[sz]|hash|updat|"
    r"fetch|clon|send|sort|merg|simulat|prepar|test|runn|build|compil|link|receiv|resolv|writ|"
    r"compress|decompress|transfer|extract|unpack|pack|install|copy|mov|process|count|delet|"
    r"restor|evaluat|validat|solv|upgrad|migrat|format|filter|enumerat)(?:ing|ed))"
)
_NOUN: Final = (
    r"(?:step|epoch|iter(?:ation)?|batch|file|item|task|test|chunk|frame|page|round|stage|"
    r"phase|job|image|sample|row|record|block|layer|trial|fold|episode|run|pass|shard|segment|"
    r"package|module|target|case|url|object|tile|seed|document|commit)(?:e?s)?"
)

_MEASURES: Final = re.compile(
    r"\b(?:cpu|gpu|mem|memory|load|usage|used|util\w*|acc|accuracy|cover|coverage|battery|swap|"
    r"idle|free|disk|loss|rate)\b",
    re.IGNORECASE,
)
"""Words of percentages that measure something else."""
_BAR_BEHIND: Final = re.compile(rf"(?:\|[0-9{_IN_BRACKETS}]*\|| ?\[[{_IN_BRACKETS}]*\])")
_COUNT_BEHIND: Final = re.compile(r" ?\([0-9]+/[0-9]+\)")
_COUNT_BEFORE: Final = re.compile(r"(?<![\w/.,-])[0-9]+/[0-9]+[ (:\]]*$")
_BOX_BEFORE: Final = re.compile(r"(?:^(?:\[\w+\] )?|  ?)\[ *$")
_EDGE_BEHIND: Final = re.compile(rf" *\](?: *\[[{_IN_BRACKETS}]*\])?$")
_OPENING_BEHIND: Final = re.compile(rf"$| ?\[| *{_DOING}\b| (?:[0-9]+ )?[-+] ", re.IGNORECASE)
_PACE_BEHIND: Final = re.compile(r"[KMGT]i?B/s|\bETA\b", re.IGNORECASE)
_DOING_BEFORE: Final = re.compile(
    rf"\b{_DOING}(?:[\]: .…(=-]*|\b.*(?:: *|\.\.\. *|… *|\())$", re.IGNORECASE
)
_PLAIN_BEHIND: Final = re.compile(rf" *(?:$|[^ A-Za-z]|of [0-9]|{_DOING}\b)", re.IGNORECASE)

_COUNT: Final = r"([0-9]{1,12}) ?(?:/| of ) ?([0-9]{1,12})(?![\w/%]|[.,:-][0-9])"
_COUNTERS: Final = (
    re.compile(r"(?:#[0-9]+ )?[\[(](?:[\w.-]+ )? *([0-9]{1,12}) ?/ ?([0-9]{1,12}) *[\])](?!\()"),
    re.compile(r"([0-9]{1,12})/([0-9]{1,12})(?:$| +(?:done|completed?)\b| \[[=>]| ━)"),
    re.compile(
        r"(?:.{0,80}?(?:[\]:|>)-]|\b(?:INFO|DEBUG|NOTICE)) *)?"
        rf"(?:{_DOING} +(?:(?!in |on |at |by |for )\w+ +)?|{_NOUN})[ :#=\[(]*{_COUNT}",
        re.IGNORECASE,
    ),
    re.compile(r"[━╸╺ ]+([0-9.]{1,12})/([0-9.]{1,12}) [kMGT]?i?B\b"),
)
"""ninja, docker, pacman; a script's own, keras; words; pip. All from the start of the line."""


def percent_in(line: str) -> float | None:
    """How far (0 to 100) the line says that the job is, or None; `line` is free of escapes."""
    matches = list(_PERCENT.finditer(line))
    for match in reversed(matches[-_TRIED:]):
        before, behind = line[: match.start()], line[match.end() :]
        if _certain(before, behind) or (len(matches) == 1 and _likely(before, behind)):
            percent = float(match[1].replace(",", "."))
            return percent if percent <= 100 else None
    return _counted(line)


def _certain(before: str, behind: str) -> bool:
    """A bar or a counter beside it, or it stands in brackets at an edge of the line."""
    near = before[-_NEAR:]
    return bool(
        _BAR_BEHIND.match(behind)
        or _COUNT_BEHIND.match(behind)
        or _bar_before(before.rstrip())
        or _COUNT_BEFORE.search(near)
        or (_BOX_BEFORE.search(near) and _EDGE_BEHIND.match(behind))
        or (_BOX_BEFORE.fullmatch(before) and behind.lstrip().startswith("]"))
        or (not before and behind.startswith(" ["))
    )


def _bar_before(before: str) -> bool:
    if before.endswith(("]", "|")):
        inside = before[:-1].rstrip(_IN_BRACKETS)
        return inside != before[:-1] and inside.endswith(("[", "|"))
    bar = before.rstrip(_BAR + " ")
    return before.endswith("..........") or (bool(before) and not bar) or _long(before[len(bar) :])


def _long(bar: str) -> bool:
    return len(bar.strip()) >= 3


def _likely(before: str, behind: str) -> bool:
    """Words around it speak of progress, and none of something else that is measured."""
    if _MEASURES.search(before) or _MEASURES.match(behind.lstrip()):
        return False
    return bool(
        (not before and _OPENING_BEHIND.match(behind))
        or _PACE_BEHIND.search(behind)
        or (_DOING_BEFORE.search(before[-_NEAR:]) and _PLAIN_BEHIND.match(behind))
    )


def _counted(line: str) -> float | None:
    for pattern in _COUNTERS:
        match = pattern.match(line)
        if match is not None:
            return _share(match[1], match[2])
    return None


def _share(done: str, total: str) -> float | None:
    try:
        share = 100 * float(done) / float(total)
    except (ValueError, ZeroDivisionError):
        return None
    return round(share, 2) if share <= 100 else None
