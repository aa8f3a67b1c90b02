"""Durations as people write them: `90`, `90s`, `0.5s`, `15m`, `1h30m`, `2d`, `1:30:00`."""

from __future__ import annotations

import math
import re
from typing import Final

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PLAIN: Final = r"\d+(\.\d+)?"
_CLOCK: Final = r"(?:(\d+):(?=[0-5]?\d:))?(\d+):([0-5]?\d(?:\.\d+)?)"
_PARTS: Final = (
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?"
)
_MOST: Final = 10 * 365 * 86400


def parse(text: str) -> float:
    """Seconds. Raises: ValueError (says what is accepted)."""
    seconds = _parse(text.strip())
    if seconds is None:
        raise ValueError(f"{text!r} is no duration; write 90, 0.5s, 15m, 1h30m, 2d or 1:30:00")
    if seconds > _MOST:
        raise ValueError(f"{text!r} is more than ten years")
    return seconds


def _parse(text: str) -> float | None:
    if re.fullmatch(_PLAIN, text):
        return float(text)
    if clock := re.fullmatch(_CLOCK, text):
        hours, minutes, seconds = clock.groups(default="0")
        return float(hours) * 3600 + float(minutes) * 60 + float(seconds)
    parts = re.fullmatch(_PARTS, text)
    if not text or parts is None:
        return None
    return sum(
        float(number) * _UNITS[unit]
        for number, unit in zip(parts.groups(default="0"), "dhms", strict=True)
    )


def text(seconds: float) -> str:
    """Two units at most: 41s, 2m10s, 3h05m, 2d4h; `?` where it is no number of seconds."""
    if not math.isfinite(seconds):
        return "?"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"
