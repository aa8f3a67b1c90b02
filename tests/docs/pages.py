"""The pages of docs/ and the README as tests read them: their fences, in order.

What stands in `<!-- sh … -->` is run with the rest of its page and not shown: it makes what the
page takes for granted, and looks at what has come of it. `<!-- not run: WHY -->` stands before a
fence that would change the machine, or needs another one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    str(file.relative_to(ROOT)): file.read_text("utf-8")
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
_FENCE: Final = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$"
    r"|^<!-- sh\n(?P<unseen>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)


class Fence(NamedTuple):
    """`why`: the reason for which it is not run."""

    language: str
    text: str
    why: str | None


def fences(page: str) -> list[Fence]:
    """Also those that are not shown, as `sh`."""
    return [
        Fence("sh", found["unseen"], None)
        if found["unseen"] is not None
        else Fence(found["language"], found["text"], found["why"])
        for found in _FENCE.finditer(PAGES[page])
    ]
