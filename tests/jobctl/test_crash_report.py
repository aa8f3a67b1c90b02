"""Where the traceback of a defect is written, and where not."""

import os
import stat
import tempfile

import pytest

from jobctl import cli
from jobctl import crash_report as crashlog


@pytest.fixture
def temporary(home, monkeypatch):
    """What stands for /tmp."""
    directory = home / "tmp"
    directory.mkdir()
    directory.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def test_it_lies_with_our_state_and_is_ours_alone(jobd_home, temporary):
    jobd_home.mkdir(mode=0o700)
    path = crashlog.write(crashlog.report(ValueError("broken")))
    assert os.path.dirname(path) == str(jobd_home)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(temporary) == []


def test_it_is_not_written_where_others_could_lead_it_elsewhere(jobd_home, temporary):
    jobd_home.mkdir()
    jobd_home.chmod(0o777)
    path = crashlog.write(crashlog.report(ValueError("broken")))
    assert os.path.dirname(path) == str(temporary)
    assert os.listdir(jobd_home) == []


def test_where_there_is_no_place_for_it_it_is_told_instead(jobd_home, temporary, capsys):
    temporary.chmod(0o777)
    assert cli._code_of(ValueError("broken")) == 1
    assert "    ValueError: broken\n" in capsys.readouterr().err
    assert os.listdir(temporary) == []
