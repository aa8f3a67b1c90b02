"""Text as it comes in: an argument is any bytes but NUL (execve(2)), and need not be UTF-8.

Python stands in for a byte that it cannot read with half a character (PEP 383), which no message
and no database takes. So a text is one of three things: what programs and file names get is exact
(`as_bytes`, `file_name`), what people only read is shown with U+FFFD as everywhere (`as_shown`),
and all else, which is compared or looked up, has to be whole (`checked`).
"""

from __future__ import annotations

import os
from typing import Final

_SHOWN: Final = 40
"""Characters of a wrong text in an error."""


def as_bytes(text: str) -> bytes:
    """Exactly what was written. Raises: ValueError (no program can be given that)."""
    if "\0" in text:
        raise ValueError("a NUL cannot be passed to a program")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(f"{shown(text)} is no text") from None


def file_name(text: str) -> str:
    """The same text. Raises: ValueError (no file can have that name; it may be a lost variable)."""
    if not text:
        raise ValueError("a name is needed; this one is empty")
    as_bytes(text)
    return text


def as_shown(text: str) -> str:
    """What is not UTF-8 in it as U+FFFD. Raises: ValueError (there is a NUL in it)."""
    return checked(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def checked(text: str) -> str:
    """The same text. Raises: ValueError (it is not UTF-8, or there is a NUL in it)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(text)} is not UTF-8") from None
    if "\0" in text:
        raise ValueError(f"there is a NUL in {shown(text)}")
    return text


def shown(value: object) -> str:
    """As Python writes it, not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
