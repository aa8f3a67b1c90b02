"""The README's own commands work, as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def block(heading: str) -> str:
    """The first shell block under a heading."""
    found = re.search(rf"^## {heading}\n.*?^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"no shell block under {heading}"
    return found[1]


@pytest.mark.e2e
def test_daily_use(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data/one").write_text("1\n")
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    trap = "trap 'jobd stop --now >/dev/null 2>&1' EXIT\n"
    done = subprocess.run(
        ["sh", "-eu", "-c", trap + block("Daily use")],
        cwd=home,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "data.tgz").exists()
    assert "data/one" in (home / "sums").read_text()
    assert "3 went well" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_first_commands_are_there() -> None:
    for name in re.findall(r"^(scripts/\w+)", README, re.MULTILINE):
        assert os.access(ROOT / name, os.X_OK), name


def test_every_path_of_the_map_exists() -> None:
    rows = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    assert rows
    for row in rows:
        first, *more = re.findall(r"`(.*?)`", row)
        for name in [first, *(str(Path(first).parent / beside) for beside in more)]:
            assert (ROOT / name).exists(), name


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / target).exists(), target
