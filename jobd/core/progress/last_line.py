"""From the last bytes of a job's output to the line that a person would see last.

Not a terminal: a carriage return or a jump of the cursor begins a new line, a backspace takes
back a character, colours and other escapes (ECMA-48) vanish. All patterns run in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

WINDOW: Final = 4096
"""Bytes from the end of the output that are looked at."""

_JUMP: Final = re.compile(r"\x1b(?:\[[0-9;]*[A-HSTdf]|[78DEM])")
"""Moves of the cursor: what is printed then stands elsewhere."""
_ESCAPE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*(?:[@-~]|\Z)"  # CSI: colours, erasing; maybe cut off
    r"|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[PX^_][^\x1b\r\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[ -/]*[0-~]"  # two characters and character sets
    r"|)"  # malformed: ESC alone goes
)
_INVISIBLE: Final[dict[int, str | None]] = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]),
    # Characters that turn text round (UAX #9).
    **dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]),
    0x09: " ",
}


def last_line(tail: bytes, limit: int = 200) -> str:
    """The last line with something on it, safe to print, of at most `limit` characters."""
    return next(last_lines(tail), "")[:limit].rstrip()


def last_lines(tail: bytes) -> Iterator[str]:
    """Lines with something on them, safe to print, the last one first."""
    tail = tail[-WINDOW:]
    text = tail.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ESCAPE.sub("", _JUMP.sub("\n", text))
    if "\b" in text:
        text = _take_back(text.rstrip("\b"))
    for line in reversed(text.splitlines()):
        visible = (line if line.isprintable() else line.translate(_INVISIBLE)).strip()
        if visible:
            yield visible


def _take_back(text: str) -> str:
    kept: list[str] = []
    for character in text:
        if character != "\b":
            kept.append(character)
        elif kept and kept[-1] not in "\r\n":
            kept.pop()
    return "".join(kept)
