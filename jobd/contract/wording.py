"""Words: what somebody probably meant who typed one that does not exist; one or several; and how
what others wrote is put into a sentence of ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

NAMED: Final = 10
"""Jobs that a message names one by one."""
_LIKENESS: Final = 0.75
"""Of two words, as `difflib` has it: of four letters three are in their order."""
_READ: Final = 1000
"""Characters of a message."""


def closest(word: str, words: Iterable[str]) -> str | None:
    """The one of the words that begins like it, or else is one or two slips of the fingers away;
    None: none is, and a guess would mislead.
    """
    import difflib

    known = list(words)
    bare = word.lstrip("-")
    begun = [name for name in known if bare and name.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    # Without the dashes, which all options have in common.
    names = {name.lstrip("-"): name for name in reversed(begun or known)}
    found = difflib.get_close_matches(bare, names, n=1, cutoff=_LIKENESS)
    return names[found[0]] if found else None


def no_option(word: str, options: Iterable[str]) -> str:
    """The whole message: `no option --prio; did you mean: --priority`."""
    meant = closest(word, [name for name in options if name.startswith("--")])
    return f"no option {word}{f'; did you mean: {meant}' if meant else ''}"


def counted(count: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listed(jobs: Sequence[int]) -> str:
    """`3, 4, 7`; of more than are named the first, and that there are others."""
    return ", ".join(map(str, jobs[:NAMED])) + (", …" if len(jobs) > NAMED else "")


def instant(seconds: float) -> str:
    """A time in words of the daemon, `2026-12-24T18:00:00Z`; `seconds`: since the epoch."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


INSTANT: Final = r"(?a)(?<![\w'\"])\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|\+00:00)(?![\w'\"])"
"""Finds one in such words, for the reader's zone to be put in; what is quoted somebody else wrote
so.
"""


def shortened(message: str) -> str:
    """A message that quotes more than anybody reads keeps its begin and its end."""
    if len(message) <= _READ:
        return message
    return f"{message[: _READ // 2]} … {message[-_READ // 4 :]}"


# --- what others wrote ------------------------------------------------------------------------


REPLACEMENT: Final = "\ufffd"
"""What is not UTF-8, to people."""
_UNDECODED: Final = range(0xDC80, 0xDD00)
"""What Python makes of a byte of a file name that is not UTF-8 (PEP 383)."""


class _Escapes(dict[int, int | str]):
    """A table for `str.translate`; it is asked for each character of a text."""

    def __missing__(self, code: int) -> int | str:
        char = chr(code)
        if code in _UNDECODED:
            return REPLACEMENT
        return code if char.isprintable() else char.encode("unicode_escape").decode()


class _JsonEscapes(dict[int, int | str]):
    """The same for a line of JSON that is encoded already."""

    def __missing__(self, code: int) -> int | str:
        char = chr(code)
        if char.isprintable():
            return code
        units = char.encode("utf-16-be", "surrogatepass")
        pairs = (units[at : at + 2] for at in range(0, len(units), 2))
        return "".join(f"\\u{pair.hex()}" for pair in pairs)


_ESCAPES: Final = _Escapes()
_JSON_ESCAPES: Final = _JsonEscapes()


def printable(text: str) -> str:
    """On one line, and nothing in it that a terminal would take for an order.

    Letters and signs of all scripts stay. What is none of them stands there as Python writes it
    (`\\x1b`, `\\n`, `\\u202e`): control characters (C0, DEL, C1), line and paragraph separators,
    marks that turn the direction of what follows, everything else that has no width or no glyph,
    blanks other than the space, and what is not (yet) a character. So it is for U+200D, too, which
    makes one emoji of two: how wide that is, no two terminals agree. A byte of a file name that is
    not UTF-8 is U+FFFD.
    """
    return text if text.isprintable() else text.translate(_ESCAPES)


def printable_json(encoded: str) -> str:
    """JSON of the same value, with the characters that `printable` shows as escapes as escapes;
    line breaks between its values stay.
    """
    # To translate takes a call for each character: only lines that need it pay for that.
    return "\n".join(
        [
            line if line.isprintable() else line.translate(_JSON_ESCAPES)
            for line in encoded.split("\n")
        ]
    )
