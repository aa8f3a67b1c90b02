"""The first minutes with the product, as a terminal shows them: played on a daemon of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
PLACE: Final = re.compile(
    r"(?<=^```console\n)\$ jobd start\n.*?(?=^```$)", re.MULTILINE | re.DOTALL
)
"""Where it stands in the README."""
SESSION: Final = (
    "jobd start",
    "jobctl submit -n fit ./train.sh --lr 0.1",
    "jobctl submit -n eval --after 1 ./eval.sh",
    "jobctl submit -n prep sort raw.csv -o sorted.csv",
    "jobctl wait 3",
    "jobctl ls",
    "cp ~/raw.csv . && jobctl restart 3",
    "jobctl wait --all",
    "jobctl status",
)
_TRAIN: Final = """#!/bin/sh
for n in 1 2 3 4; do echo "epoch $n/10 loss 0.$((9 - n))"; done
until [ -e go ]; do sleep 0.05; done
"""
_SIZE: Final = struct.pack("HHHH", 24, 80, 0, 0)
_MOST: Final = 60.0
"""Seconds that a command may take."""


def play() -> str:
    """Every command, and what it shows on a terminal of 80 columns."""
    with tempfile.TemporaryDirectory(prefix="jf-", dir="/tmp") as directory:
        home = Path(directory)
        work = home / "work"
        work.mkdir()
        _prepare(home, work)
        environment = {
            "HOME": directory,
            "JOBD_HOME": f"{directory}/jobd",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
        }
        try:
            return "".join(_told(line, work, environment) for line in SESSION)
        finally:
            subprocess.run(
                ["jobd", "stop", "--now"], env=environment, cwd=work, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip


def _prepare(home: Path, work: Path) -> None:
    (home / "raw.csv").write_text("2\n1\n")
    for name, text in (("train.sh", _TRAIN), ("eval.sh", "#!/bin/sh\necho accuracy 0.93\n")):
        (work / name).write_text(text)
        (work / name).chmod(0o755)


def _told(line: str, work: Path, environment: dict[str, str]) -> str:
    if line == "jobctl ls":
        _until_progress(work, environment)
    if line.endswith("--all"):
        (work / "go").touch()
    return f"$ {line}\n{_shown(line, work, environment)}"


def _until_progress(work: Path, environment: dict[str, str]) -> None:
    """The first job has printed by then how far it is."""
    end = time.monotonic() + _MOST
    while b'"progress": 40' not in _data(work, environment) and time.monotonic() < end:
        time.sleep(0.1)


def _data(work: Path, environment: dict[str, str]) -> bytes:
    show = ["jobctl", "show", "--json", "1"]
    return subprocess.run(show, env=environment, cwd=work, check=True, capture_output=True).stdout


def _shown(line: str, work: Path, environment: dict[str, str]) -> str:
    """On a terminal, whose line ends are its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, _SIZE)
    process = subprocess.Popen(
        ["/bin/sh", "-c", line], env=environment, cwd=work, stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while piece := _read(ours):
        shown += piece
    os.close(ours)
    process.wait(_MOST)
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """Empty: nobody has it open any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def shape(session: str) -> str:
    """Without what differs from one time to the next: figures, and how far columns are apart."""
    without = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?=\d\d:\d\d)", "", session)
    without = re.sub(r", \w+ left\b", "", without)
    without = re.sub(r"\d+([.:]\d+)*|[-.]\d+", "0", without)
    return "\n".join(" ".join(line.split()) for line in without.splitlines())


def main() -> None:
    session = play()
    if sys.argv[1:] == ["--write"]:
        text, times = PLACE.subn(lambda _: session, README.read_text("utf-8"))
        assert times == 1, "the README has no place for it"
        README.write_text(text, "utf-8")
    else:
        sys.stdout.write(session)


if __name__ == "__main__":
    shutil.which("jobctl", path=str(Path(sys.executable).parent)) or sys.exit("jobctl is not there")
    main()
