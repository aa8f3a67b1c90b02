"""Records anew what real tools print: `python -m tests.tools.record [NAME ...]`.

Runs each tool as jobd would (output to a file, no terminal, no input) and samples the end of the
file meanwhile. Needs the tools themselves: Debian's packages, and a virtual environment with those
of PyPI first in PATH, where `newpip` is a pip that is younger than `pip`. Some (apt) want root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobd.core.progress.recognition import HEAD, WINDOW, from_output, wants_head
from tests.tools.captures import Capture, Sample
from tests.tools.place import lay_out, serve
from tests.tools.tools import TOOLS, Tool

EVERY = 0.05
"""Seconds between two samples."""
PATIENCE = 40
"""Seconds that a tool may run."""
SAMPLES = 6
KEPT = 1500
"""Bytes of an output that says nothing."""
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ["HOME"],
    "LC_ALL": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
}


def main(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="record.") as folder:
        origin = Path(folder) / "origin"
        origin.mkdir()
        lay_out(origin)
        with serve(origin) as url:
            for tool in TOOLS:
                if wanted and tool.name not in wanted:
                    continue
                place = Path(folder) / "place"
                shutil.copytree(origin, place, copy_function=os.link)
                _record(tool, place, tool.command.replace("{url}", url))
                shutil.rmtree(place)


def _record(tool: Tool, place: Path, command: str) -> None:
    outputs = _outputs(command, place)
    head = outputs[-1][:HEAD] if tool.seconds else b""
    samples = [Sample(output[-WINDOW:], _said(tool, output[-WINDOW:])) for output in outputs]
    # Some erase what they have said before they say it anew, or sum up at the end.
    silences = sum(_read(s.tail, head) is None for s in samples if s.percent is not None)
    wrong = [s for s in samples if _wrong(s, head, silent=silences <= len(samples) / 3)]
    numbers = [sample.percent for sample in samples if sample.percent is not None]
    sys.stdout.write(f"{tool.name}: {len(samples)} samples, {numbers[:1]} to {numbers[-1:]}\n")
    for sample in wrong[:1]:
        sys.stdout.write(f"  WRONG {_read(sample.tail, head)}, not {sample.percent}\n")
        sys.stdout.write(f"  {sample.tail[-300:]!r}\n")
    few = _few(tool, samples, head)
    if few and not wrong:
        version = _version(tool.version, place) if tool.version else ""
        Capture(tool.name, version, tool.command, few, head).save()


def _outputs(command: str, place: Path) -> list[bytes]:
    """The output as it grew, each time that it had."""
    path = place.parent / "output"
    with path.open("wb") as output:
        process = subprocess.Popen(  # as a job is started
            ["sh", "-c", command],
            cwd=place,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    seen: list[bytes] = []
    deadline = time.monotonic() + PATIENCE
    ended = False
    while not ended:
        ended = process.poll() is not None
        now = path.read_bytes()
        if not seen or now != seen[-1]:
            seen.append(now)
        if not ended and time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(EVERY)
    return seen


def _said(tool: Tool, tail: bytes) -> float | None:
    return tool.said(tail.decode("utf-8", "replace")) if tool.shows else None


def _read(tail: bytes, head: bytes) -> float | None:
    reading = from_output(tail, head if wants_head(tail) else b"")
    return None if reading is None else reading.percent


def _wrong(sample: Sample, head: bytes, *, silent: bool) -> bool:
    read = _read(sample.tail, head)
    return read != sample.percent and not (silent and read is None)


def _few(tool: Tool, samples: list[Sample], head: bytes) -> list[Sample]:
    if not tool.shows:
        return [Sample(_text(samples[-1].tail[-KEPT:]), None)]
    telling = [s for s in samples if _read(s.tail, head) is not None]
    step = max(1, (len(telling) - 1) / (SAMPLES - 1))
    chosen = sorted({round(n * step) for n in range(SAMPLES)})
    return [_shortened(tool, telling[n], head) for n in chosen if n < len(telling)]


def _shortened(tool: Tool, sample: Sample, head: bytes) -> Sample:
    """As much of the tail as is needed to say and to read the same."""
    for size in (150, 300, 600, 1200, 2400):
        short = _text(sample.tail[-size:])
        if sample.percent == _said(tool, short) == _read(short, head):
            return Sample(short, sample.percent)
    return Sample(_text(sample.tail), sample.percent)


def _text(data: bytes) -> bytes:
    """Without what is left of a character that was cut."""
    return data.decode("utf-8", "ignore").encode()


def _version(command: str, place: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=place,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.strip() for line in (done.stdout or done.stderr).splitlines() if line.strip()]
    return lines[0].partition(" from ")[0][:80] if lines else "?"


if __name__ == "__main__":
    main(sys.argv[1:])
