"""`top` before it draws: what it needs, and what it says where that is missing."""

import os

import pytest

from jobctl.commands import top
from jobctl.render import streams
from jobctl.tui.deeds import Said
from jobctl.tui.steering import Doing
from jobd.contract.errors import NotRunning
from jobd.contract.models import DaemonStatus, Status
from tests.jobctl.fakes import FakeClient, jobctl


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setattr(streams, "can_redraw", lambda: True)
    made = []

    class Top:
        defect = None
        unfinished = ()

        def __init__(self, connect):
            made.append(connect)

        def run(self):
            pass

    monkeypatch.setattr("jobctl.tui.app.Top", Top)
    Top.made = made
    return Top


def run(client=None):
    client = client or FakeClient(status=DaemonStatus())
    return jobctl("top", client=client, terminal=True)


def test_it_is_drawn(drawn):
    assert run().code == 0
    [connect] = drawn.made
    assert connect() is not connect()


def test_what_is_half_done_is_brought_to_its_end(drawn):
    doing = Doing("job 3: to run again once all of it has stopped")
    doing.end(Said("to run again: 3"))
    drawn.unfinished = (doing,)
    said = run().stderr.splitlines()
    assert said == [f"{doing.rest}; Ctrl-C leaves it so", "to run again: 3"]


def test_ctrl_c_leaves_it_half_done(drawn):
    class Ending(Doing):
        def wait(self):
            raise KeyboardInterrupt

    drawn.unfinished = (Ending("job 3: to be removed"), Ending("job 4: to be removed"))
    result = run()
    assert (result.code, result.stderr) == (0, "job 3: to be removed; Ctrl-C leaves it so\n")


def test_without_a_terminal_it_points_elsewhere():
    client = FakeClient(status=DaemonStatus())
    result = jobctl("top", client=client)
    assert (result.code, result.stdout) == (1, b"")
    assert "jobctl ls, or jobctl watch" in result.stderr
    assert client.of(Status) == []


def test_a_terminal_that_cannot_draw_is_none(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    result = run()
    assert (result.code, result.stdout) == (1, b"")
    assert "needs a terminal" in result.stderr


def test_without_textual_it_says_how_to_get_it(drawn, monkeypatch):
    monkeypatch.setattr(top, "_NEEDED", "no_such_library")
    result = run()
    assert result.code == 1
    assert "pip install 'jobctl-queue[tui]'" in result.stderr
    assert drawn.made == []


def test_a_daemon_that_is_not_there_is_told_of_on_the_usual_screen(drawn):
    result = run(FakeClient(status=NotRunning("jobd is not running. Start it with: jobd start")))
    assert result.code == 69
    assert drawn.made == []


def test_a_defect_becomes_a_report(drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(drawn, "defect", ZeroDivisionError("it"))
    result = run()
    assert result.code == 1
    assert "a defect in jobctl" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("colour", "plain"), [("never", True), ("always", False)])
def test_colour_is_as_asked_for(drawn, monkeypatch, colour, plain):
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.delenv("NO_COLOR")
    client = FakeClient(status=DaemonStatus())
    jobctl("--color", colour, "top", client=client, terminal=True)
    assert ("NO_COLOR" in os.environ) == plain
