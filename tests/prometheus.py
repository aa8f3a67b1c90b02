"""Debian's Prometheus, for the tests that have it look at us."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_INSTALL = Path(__file__).parents[1] / "scripts/install-prometheus"
_PATIENCE_S = 280.0
"""More than the script takes; a test that takes 300 would end the whole run."""


@cache
def _lacks() -> str:
    """Why it cannot be had here; empty: it is there."""
    done = subprocess.run(
        [_INSTALL], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode == 77:
        return done.stderr.strip().splitlines()[-1]
    assert done.returncode == 0, done.stderr
    return ""


def program(name: str) -> str:
    """`prometheus` or `promtool`; the test is skipped where neither can be had."""
    if why := _lacks():
        pytest.skip(why)
    found = shutil.which(name)
    assert found is not None
    return found
