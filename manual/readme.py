"""The README as it stands on the page of an index, away from the files that it links to."""

from __future__ import annotations

import configparser
import re
from typing import Final

_LINK: Final = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_CODE: Final = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
"""How what is no file of the source begins."""


def address_of(setup: str, version: str) -> str:
    """Before the names of files, by the text of setup.cfg; empty while no `Source` is declared."""
    found = configparser.ConfigParser()
    found.read_string(setup)
    lines = found.get("metadata", "project_urls", fallback="").splitlines()
    pairs = (line.partition("=") for line in lines)
    urls = {name.strip().casefold(): url.strip().rstrip("/") for name, _, url in pairs}
    return f"{urls['source']}/blob/v{version}/" if "source" in urls else ""


def standing_alone(text: str, address: str) -> str:
    """Links to files of the source begin with the address; without one they are plain text, so
    that none leads nowhere.
    """
    parts = _CODE.split(text)  # a block of code is every other one
    parts[::2] = [_LINK.sub(lambda link: _moved(link, address), part) for part in parts[::2]]
    return "".join(parts)


def _moved(link: re.Match[str], address: str) -> str:
    whole, text, target = link[0], link[1], link[2]
    if _ELSEWHERE.match(target):
        return whole
    if not address:
        return text
    return f"{whole[: -len(target) - 1]}{address}{target})"
