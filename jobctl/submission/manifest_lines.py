"""On which line of a manifest a key stands: parsers of TOML and JSON do not tell.

Only asked for when something is wrong, and good for nothing but an error's text.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, Final

Path = tuple[str, ...]

_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_TOML_KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]++|"[^"]*"|'[^']*'|\s*+\.\s*)++)\s*=""")
"""Possessive: without, each further character of a word that is no key would double the time."""


def toml_line(text: str, path: Sequence[str], *, last: bool = False) -> int | None:
    """The line of a key or table (`last`: where it comes again), or of what it stands in."""
    lines = text.split("\n")
    found = _deepest(_toml_paths(lines), tuple(path), last=last)
    # What looks like a key inside of a long text is none: what stands before it is not whole.
    return next((line for line in found if _is_whole(lines[: line - 1])), None)


def json_line(text: str, path: Sequence[str], *, last: bool = False) -> int | None:
    """The line of a key (`last`: where it comes again), or of what it stands in."""
    found = _deepest(_json_paths(text), tuple(path), last=last)
    return next(iter(found), None)


def json_twice(text: str) -> Path:
    """The first key that comes twice in its object."""
    seen: set[Path] = set()
    for path, _ in _json_paths(text):
        if path in seen:
            return path
        seen.add(path)
    return ()


def _deepest(places: Iterator[tuple[Path, int]], path: Path, *, last: bool) -> list[int]:
    """Lines of the path, of what stands in it (`[a.b]` for `a`), then of what it stands in."""
    found: dict[float, list[int]] = {}
    for place, line in places:
        if place == path[: len(place)]:
            found.setdefault(len(place), []).append(line)
        elif place[: len(path)] == path:
            found.setdefault(len(path) - 0.5, []).append(line)
    if last and len(path) in found:
        found[len(path)].reverse()
    return [line for depth in sorted(found, reverse=True) for line in found[depth]]


def _toml_paths(lines: Sequence[str]) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("["):
            header = _parsed(line)
            if header is not None:
                table = _path_of(header)
                yield table, number
        elif key := _TOML_KEY.match(line):
            inner = _parsed(f"{key[1]} = 0")
            if inner is not None:
                yield table + _path_of(inner), number


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None


def _path_of(found: dict[str, Any]) -> Path:
    """`{"jobs": {"a": {}}}` is `("jobs", "a")`."""
    path: list[str] = []
    inner: object = found
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        path.append(key)
    return tuple(path)


def _is_whole(lines: Sequence[str]) -> bool:
    return _parsed("\n".join(lines)) is not None


def _json_paths(text: str) -> Iterator[tuple[Path, int]]:
    """Each key of each object; those inside of arrays are left out."""
    path: list[str | None] = []
    """The current key of each open object; None for an array."""
    word = ""
    line, at = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line, at = line + text.count("\n", at, token.start()), token.start()
        match token[0]:
            case "{":
                path.append("")
            case "[":
                path.append(None)
            case "}" | "]":
                del path[-1:]
            case ":" if path:
                path[-1] = json.loads(word)
                if None not in path:
                    yield tuple(key for key in path if key is not None), line
            case _:
                word = token[0]
