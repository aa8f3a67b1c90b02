"""What real tools printed into a file, as recorded by `record.py`; one JSON file a tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "captures"


class Sample(NamedTuple):
    tail: bytes
    """The end of the output at some moment."""
    percent: float | None
    """What the tool itself said there, found by the tool's own pattern in `tools.py`."""


class Capture(NamedTuple):
    name: str
    version: str
    command: str
    samples: list[Sample]
    head: bytes = b""
    """The begin of the output, where it is needed to understand the end."""

    def save(self) -> None:
        record = {
            "version": self.version,
            "command": self.command,
            **({"head": _text(self.head)} if self.head else {}),
            "samples": [{"percent": s.percent, "tail": _text(s.tail)} for s in self.samples],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (FOLDER / f"{self.name}.json").write_text(text + "\n", "utf-8")


def load(name: str) -> Capture:
    record = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    samples = [Sample(_bytes(s["tail"]), s["percent"]) for s in record["samples"]]
    head = _bytes(record.get("head", ""))
    return Capture(name, record["version"], record["command"], samples, head)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode("utf-8")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")
