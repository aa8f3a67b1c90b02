"""Text files as people make them, also with editors of other systems."""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

from jobd.contract.errors import BadRequest

_OTHER: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""What no text in UTF-8 begins with."""
_LONG_NUMBER: Final = r"\d{500}"


def plain(content: bytes, name: str) -> bytes:
    """Without a byte order mark, and with the line ends of Unix where the first one is of DOS.

    A program, which has a NUL in it, stays as it is. Raises: BadRequest (it is UTF-16 or UTF-32).
    """
    if content.startswith(_OTHER):
        raise BadRequest(f"{name}, line 1: no UTF-8, but UTF-16 or UTF-32; save it as UTF-8")
    if b"\0" in content:
        return content
    content = content.removeprefix(codecs.BOM_UTF8)
    first, end, _ = content.partition(b"\n")
    return content.replace(b"\r\n", b"\n") if end and first.endswith(b"\r") else content


def text(content: bytes, name: str) -> str:
    """The same, decoded. Raises: BadRequest (it is not UTF-8; names the line)."""
    try:
        return plain(content, name).decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadRequest(f"{name}, line {line}: no UTF-8") from None


def toml(content: str, name: str) -> dict[str, Any]:
    """Its tables. Raises: BadRequest (it is no TOML; names the line where that can be told)."""
    import tomllib

    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{name}: no TOML: {error}") from None
    except RecursionError:
        raise BadRequest(f"{name}: nested too deeply") from None
    except ValueError:
        raise BadRequest(f"{name}{line_of_number(content)}: a number is too long") from None


def line_of_number(content: str) -> str:
    """`, line N` of the first number that Python refuses to read (sys.get_int_max_str_digits)."""
    found = re.search(_LONG_NUMBER, content)
    return "" if found is None else f", line {content.count(chr(10), 0, found.start()) + 1}"
