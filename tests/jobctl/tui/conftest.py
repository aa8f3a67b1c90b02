import os

import pytest

from jobctl.render import text


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """The same machine, zone and times wherever the tests run."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 1.0, 1.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(text, "when", lambda at: "-" if at is None else "Mon 14:02")
    monkeypatch.setattr(text, "moment", lambda at: "-" if at is None else "2026-01-02 14:02:00")
