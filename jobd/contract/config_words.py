"""What is wrong with a value of `config.toml`, in words of the file and not of a library."""

from __future__ import annotations

import re
from typing import Final

_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]+)`")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`(?: (>=|<=) (\S+)| of length (>=|<=) (\d+))?")
_ENUM: Final = re.compile(r"Invalid enum value (.+)")
_TYPES: Final = {
    "int": "a whole number, such as 4",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": 'a list, such as ["a", "b"]',
    "object": "a table",
}
_LIMITS: Final = {">=": "at least", "<=": "at most"}


def in_words(message: str) -> str:
    """`[daemon] workers: must be a whole number, such as 4`, of what msgspec says of it.

    What it is not known to say stays as it is, behind the key.
    """
    found = _PLACE.search(message)
    path = re.sub(r"^(groups|engine)\[\.\.\.\]", r"\1.NAME", found[1]) if found else ""
    what = _PLACE.sub("", message)
    unknown = _UNKNOWN.fullmatch(what)
    if unknown is not None:
        return f"{_table(path)} has no key {unknown[1]}" if path else f"there is no {unknown[1]}"
    return f"{_key(path)}: {_what(what)}" if path else _what(what)


def what_is_wrong(message: str) -> str:
    """`must be a whole number, such as 4`, of what msgspec says of a single value."""
    return _what(_PLACE.sub("", message))


def _table(path: str) -> str:
    return f"[{re.sub(r'^notify.*', '[notify]', path)}]"


def _key(path: str) -> str:
    """`daemon.workers` is `[daemon] workers`; of a table itself there is no key."""
    table, _, key = re.sub(r"\[(\d+|\.\.\.)\]$", "", path).rpartition(".")
    if table in {"", "groups", "engine"}:
        return _table(path)
    return f"{_table(table)} {key}"


def _what(message: str) -> str:
    expected, enum = _EXPECTED.match(message), _ENUM.fullmatch(message)
    if enum is not None:
        return f"{enum[1]} is none of its values"
    if expected is None:
        return message.replace("Expected text", "must be text")
    kinds, way, bound, length_way, length = expected.groups()
    if length_way == ">=":
        return "must not be empty"
    if length_way is not None:
        return f"must have at most {length} {'entries' if kinds == 'array' else 'characters'}"
    told = " or ".join(_TYPES.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")
    return f"must be {told}" if way is None else f"must be {_LIMITS[way]} {bound}"
