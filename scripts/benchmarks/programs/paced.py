"""A job that writes so many megabytes a second, and says how long that took it.

paced.py SECONDS RATE REPORT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

_BLOCK: Final = b"x" * 99 + b"\n"
_MEGABYTE: Final = _BLOCK * 10_000


def main(seconds: str, rate: str, report: str) -> None:
    """Write a megabyte as soon as its time has come, to standard output."""
    begun = time.perf_counter()
    for number in range(int(float(seconds) * int(rate))):
        time.sleep(max(0.0, begun + number / int(rate) - time.perf_counter()))
        sys.stdout.buffer.write(_MEGABYTE)
    sys.stdout.buffer.flush()
    Path(report).write_text(str(time.perf_counter() - begun), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
