"""Everyday commands against a real daemon that starts nothing by itself."""

import pytest

from jobd.contract.models import Command, Options, State, Submit
from tests.integration.inside import ids
from tests.jobctl.fakes import jobctl


@pytest.fixture
def queue(quiet):
    """Three of `night` (one of them held, one stopped), one by itself that is held."""
    for name, tags, hold in (
        ("train1", ["night"], False),
        ("train2", ["night"], True),
        ("eval", ["night"], False),
        ("other", [], True),
    ):
        request = Submit(
            commands=[Command(argv=[b"true"])], cwd=b"/",
            options=Options(name=name, tags=tags, hold=hold),
        )  # fmt: skip
        quiet.client.submit(request)
    quiet.client.stop(ids(3))
    return quiet


def run(queue, *args):
    result = jobctl(*args, client=queue.client)
    return result.code, result.out.split(), result.stderr


def test_start_of_a_filter_takes_what_is_held_or_stopped(queue):
    assert run(queue, "start", "--tag", "night", "--dry-run") == (0, ["2", "3"], "")
    assert run(queue, "start", "--tag", "night") == (0, ["2", "3"], "")
    assert {queue.job(job).reason for job in (1, 2, 3)} == {"queued"}
    assert queue.job(4).reason == "held"
    assert run(queue, "start", "--tag", "night") == (0, [], "")
    assert run(queue, "start", "1", "4", "9") == (
        1, ["4"], "job 1 is already pending\njobctl: job 9 does not exist\n",
    )  # fmt: skip


def test_hold_of_a_filter_takes_what_waits(queue):
    assert run(queue, "hold", "--name", "train*", "--dry-run") == (0, ["1", "2"], "")
    assert run(queue, "hold", "--name", "train*") == (0, ["1"], "job 2 is already held\n")
    assert run(queue, "hold", "3")[2] == "job 3 has already been stopped\n"


def test_rm_of_what_finished_long_ago(queue):
    assert run(queue, "rm", "--finished", "--older-than", "1h") == (0, [], "")
    assert run(queue, "rm", "--finished", "--older-than", "0", "--dry-run") == (0, ["3"], "")
    assert run(queue, "rm", "--finished", "--older-than", "0") == (0, ["3"], "")
    assert run(queue, "show", "3")[0] == 1


def test_filters_add_up(queue):
    assert run(queue, "ls", "--ids", "--tag", "night", "--state", "pending")[1] == ["1", "2"]
    assert run(queue, "ls", "--ids", "--since", "1h", "--name", "*r*", "1-2")[1] == ["1", "2"]
    assert run(queue, "ls", "--ids", "--since", "2099-01-01")[1] == []
    assert run(queue, "wait", "--timeout", "0", "--tag", "night")[0] == 124
    assert run(queue, "stop", "--group", "default")[1] == ["1", "2", "4"]
    assert queue.job(4).state is State.STOPPED
