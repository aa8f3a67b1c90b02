import tempfile

import pytest


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """The same terminal wherever the tests run."""
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def temporary(home, monkeypatch, tmp_path_factory):
    """Reports of defects that a test provokes go with it: there is no state to put them into."""
    # Those of other tests, which pytest makes when the first of them asks for one, do not.
    tmp_path_factory.getbasetemp()
    monkeypatch.setattr(tempfile, "tempdir", str(home))
