"""The demo shows what it promises, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import wait_until

DEMO = Path(__file__).parents[1] / "scripts/demo"
pytestmark = pytest.mark.e2e


@pytest.fixture
def demo(
    home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """The demo as a terminal starts it: in a process group of its own. Its parameter, if it has
    one: so many times less work.
    """
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setenv("DEMO_EVERY", getattr(request, "param", "1"))
    output = (home / "output").open("w")
    process = subprocess.Popen(
        [DEMO], stdout=output, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    output.close()


def left_behind(home: Path) -> set[str]:
    return set(os.listdir(home)) - {"output"}


@pytest.mark.parametrize("demo", ["3"], indirect=True)
def test_it_runs_to_its_end(demo: subprocess.Popen[str], home: Path) -> None:
    code = demo.wait(120)
    told = (home / "output").read_text()
    assert code == 0, told
    assert set(re.findall(r"^job (\d) started", told, re.MULTILINE)[-2:]) == {"1", "2"}
    assert sorted(re.findall(r"^job (\d) completed", told, re.MULTILINE)) == list("12345")
    assert re.search(r"^job \d progress: \d+%", told, re.MULTILINE)
    assert told.count("\nverified ") == 5
    assert left_behind(home) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_cleans_up_when_interrupted(
    number: signal.Signals, demo: subprocess.Popen[str], home: Path
) -> None:
    output = home / "output"
    wait_until(lambda: "progress:" in output.read_text(), timeout=60)
    os.killpg(demo.pid, number)
    assert demo.wait(30) == 128 + number
    assert left_behind(home) == set()
