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
    r"restor|evaluat|validat|solv|upgrad|migrat|format|filter|enumerat|rescu)(?:ing|ed))"
)
_NOUN: Final = (
    r"(?:step|epoch|iter(?:ation)?|batch|file|item|task|test|chunk|frame|page|round|stage|"
    r"phase|job|image|sample|row|record|block|layer|trial|fold|episode|run|pass|shard|segment|"
    r"package|module|target|case|url|object|tile|seed|document|commit)(?:e?s)?"
)

_MEASURES: Final = re.compile(
    r"\b(?:cpu|gpu|mem|memory|load|usage|used|util\w*|acc|accuracy|cover|coverage|battery|swap|"
    r"idle|free|disk|loss|rate|ratio|compressed|deflated|similarity|score|precision|recall|"
    r"confidence|hits?|miss(?:es)?|errors?|humidity)\b",
    re.IGNORECASE,
)
"""Words of percentages that measure something else."""
_BAR_BEHIND: Final = re.compile(rf"(?:\|[0-9{_IN_BRACKETS}]*\|| ?\[[{_IN_BRACKETS}]*\])")
_COUNT_BEHIND: Final = re.compile(r" ?\([0-9]+/[0-9]+\)")
_COUNT_BEFORE: Final = re.compile(r"(?<![\w/.,-])[0-9]+/[0-9]+[ (:\[\]]*$")
_DOTS_BEFORE: Final = re.compile(r"[0-9]+K[ ,.]*\.[ ,.]*")
_JOBS_BEHIND: Final = re.compile(r" [0-9]+:[0-9]+=[0-9]+s")
_ARROW: Final = re.compile(r"[=-]{1,3}>")
"""`Read: 32 MiB ==> 45%`: how well it compresses."""
_SIZE: Final = r"[0-9.]+ ?[kKMGTP]?i?B"
_SIZES_BEFORE: Final = re.compile(rf"(?<![\w/.]){_SIZE} ?/ ?{_SIZE}(?:, ?| ?\()$")
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
    re.compile(r"([0-9]{1,12})/([0-9]{1,12})(?: +(?:done|completed?)\b| Test +#[0-9]| \[[=>]| ━)"),
    re.compile(
        r"(?:.{0,80}?(?:[\]:|>)-]|\b(?:INFO|DEBUG|NOTICE)) *)?"
        rf"(?:{_DOING} +(?:(?!in |on |at |by |for )\w+ +)?|{_NOUN})[ :#=\[(]*{_COUNT}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"{_DOING}(?: +(?!in |on |at |by |for )[\w-]+){{0,6}} *: *([0-9]{{1,12}})/([0-9]{{1,12}})$",
        re.IGNORECASE,
    ),
    re.compile(r"[━╸╺ ]+([0-9.]{1,12})/([0-9.]{1,12}) [kMGT]?i?B\b"),
    re.compile(
        rf"(?:\w[\w .:]{{0,60}} )?[|\[][{_IN_BRACKETS}]{{4,200}}[|\]] *"
        r"([0-9]{1,12})/([0-9]{1,12})(?![\w/.%]| *\|)"
    ),
)
"""ninja, docker, pacman; ctest, keras; words; mkfs; pip; cargo. All from the start of the line."""
_ALONE: Final = re.compile(r"([0-9]{1,12})/([0-9]{1,12})")
_VERDICT: Final = re.compile(
    r"(?:PASSED|FAILED|SKIPPED|XFAIL|XPASS|ERROR|[.sxXFE])(?: \([^()]*\))? +"
    r"\[ *([0-9]{1,12})/([0-9]{1,12})\]$"
)
"""pytest with `console_output_style = count`."""
_CURL_SIZE: Final = r" +[0-9.]+[kMGTP]?"
_CURL_TIME: Final = r" +[0-9:dhwmy-]+(?: [0-9]+h)?"
_CURL: Final = re.compile(
    rf"([0-9]{{1,3}}){_CURL_SIZE}(?: +[0-9]{{1,3}}{_CURL_SIZE}){{2}}{_CURL_SIZE * 2}"
    rf"{_CURL_TIME * 3}{_CURL_SIZE}"
)
"""A row of curl's meter; its header scrolls away."""
_TIME: Final = r"([0-9]{2,4}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)"
_AT: Final = re.compile(rf"(?:^|.* )time={_TIME} (?:bitrate|.*speed)=")
_DURATION: Final = re.compile(rf"^ *Duration: {_TIME},", re.MULTILINE)


def percent_in(line: str, *, last: bool = True) -> float | None:
    """How far (0 to 100) the line says that the job is, or None; `line` is free of escapes.

    `last`: nothing has been printed since; only then a number alone on its line counts.
    """
    matches = list(_PERCENT.finditer(line))
    for match in reversed(matches[-_TRIED:]):
        before, behind = line[: match.start()], line[match.end() :]
        if not (last or before or behind):
            return None
        if _certain(before, behind) or (len(matches) == 1 and _likely(before, behind)):
            percent = float(match[1].replace(",", "."))
            return percent if percent <= 100 else None
    return _counted(line, last=last)


def played_in(line: str, text: str) -> float | None:
    """How far ffmpeg is: the `time=` in its line, of the `Duration:` of its longest input."""
    at = _AT.match(line)
    lengths = [_seconds(match) for match in _DURATION.finditer(text)]
    if at is None or not lengths or max(lengths) == 0:
        return None
    percent = 100 * _seconds(at) / max(lengths)
    # The last frame may end a little behind the end.
    return round(min(percent, 100), 2) if percent < 101 else None


def _seconds(match: re.Match[str]) -> float:
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _certain(before: str, behind: str) -> bool:
    """A bar or a counter beside it, or it stands in brackets at an edge of the line."""
    near = before[-_NEAR:]
    return bool(
        _BAR_BEHIND.match(behind)
        or _COUNT_BEHIND.match(behind)
        or _bar_before(before.rstrip())
        or _DOTS_BEFORE.fullmatch(before)
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
    bar = bar.strip()
    return len(bar) >= 3 and not _ARROW.fullmatch(bar)


def _likely(before: str, behind: str) -> bool:
    """Words around it speak of progress, and none of something else that is measured."""
    if _MEASURES.search(before) or _MEASURES.match(behind.lstrip()):
        return False
    return bool(
        (not before and (_OPENING_BEHIND.match(behind) or _JOBS_BEHIND.match(behind)))
        or _SIZES_BEFORE.search(before[-_NEAR:])
        or _PACE_BEHIND.search(behind)
        or (_DOING_BEFORE.search(before[-_NEAR:]) and _PLAIN_BEHIND.match(behind))
    )


def _counted(line: str, *, last: bool) -> float | None:
    curl = _CURL.fullmatch(line)
    if curl is not None:
        return _share(curl[1], "100")
    match = (_ALONE.fullmatch(line) if last else None) or _VERDICT.search(line)
    if match is None:
        match = next(filter(None, (pattern.match(line) for pattern in _COUNTERS)), None)
    return None if match is None else _share(match[1], match[2])


def _share(done: str, total: str) -> float | None:
    try:
        share = 100 * float(done) / float(total)
    except (ValueError, ZeroDivisionError):
        return None
    return round(share, 2) if share <= 100 else None
