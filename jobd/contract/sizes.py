"""Sizes as people write them: `4096`, `64kB`, `50MB`, `1.5GiB`."""

from __future__ import annotations

import re
from typing import Final

_PATTERN: Final = r"(\d{1,19}(?:\.\d{1,6})?)\s?(?:([kmgt]i?)?b)?"
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}
_MOST: Final = 2**62


def parse(text: str) -> int:
    """Bytes; kB is 1,000 and KiB is 1,024 of them. Raises: ValueError (says what is accepted)."""
    found = re.fullmatch(_PATTERN, text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is no size; write 4096, 64kB, 50MB or 1.5GiB")
    size = round(float(found[1]) * _unit(found[2])) if found[2] else int(float(found[1]))
    if size > _MOST:
        raise ValueError(f"{text!r} is more than four exbibytes")
    return size


def _unit(name: str) -> int:
    return int((1024 if name[1:] else 1000) ** _POWERS[name[0].lower()])


def text(size: float) -> str:
    """`512 B`, `41 kB`, `8 MB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
