"""Output of a job that has ended and is there no more: `logs` says what happened to it."""

import os

import pytest

from jobd.contract.errors import NotFound
from jobd.contract.models import Output
from jobd.system import birth
from tests.helpers import wait_until
from tests.integration.inside import ids

LATER = "after the job had ended it was shortened, emptied or replaced"


def lost(daemon, job, **which):
    return daemon.client.output(Output(id=job, **which)).lost


@pytest.fixture
def ended(daemon):
    """A job that has left seventeen bytes, and where they are."""
    job = daemon.submit("echo sixteen letters.")
    daemon.wait(job)
    path = daemon.paths.output_of(job, 1)
    assert (path.read_text(), lost(daemon, job)) == ("sixteen letters.\n", None)
    return job, path


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (0, f"17 of the 17 bytes of its output are gone: {LATER}"),
        (16, f"1 of the 17 bytes of its output is gone: {LATER}"),
    ],
)
def test_what_somebody_took_behind_its_end_is_counted(daemon, ended, left, said):
    job, path = ended
    os.truncate(path, left)
    assert lost(daemon, job) == said
    assert daemon.output(job) == b"sixteen letters.\n"[:left]
    assert lost(daemon, job, wait=5.0) == said


def test_what_is_deleted_is_gone(daemon, ended):
    job, path = ended
    path.unlink()
    with pytest.raises(NotFound, match=f"the output of job {job} is gone"):
        lost(daemon, job)


def test_what_is_more_is_not_missing(daemon, ended):
    job, path = ended
    path.write_text("much more than there was\n")
    assert lost(daemon, job) is None


def test_of_several_attempts_all_count(daemon, ended):
    job, path = ended
    daemon.client.restart(ids(job))
    daemon.wait(job)
    assert lost(daemon, job) is None
    os.truncate(path, 0)
    assert lost(daemon, job) == f"17 of the 34 bytes of its output are gone: {LATER}"
    assert lost(daemon, job, attempt=1) is None, "it is told of the latest"


@pytest.mark.parametrize("before", ["echo one; ", ""])
def test_a_job_that_emptied_its_output_itself(daemon, gate, before):
    job = daemon.submit(f"{before}read _ <{gate.path}; : > /dev/stderr")
    path = daemon.paths.output_of(job, 1)
    wait_until(path.exists)
    # The clock that times of change are taken from has gone on.
    wait_until(lambda: os.path.getmtime(path) + 0.02 < os.path.getmtime(touched(path)))
    gate.open()
    daemon.wait(job)
    assert path.stat().st_size == 0
    assert lost(daemon, job) == (
        "its output is empty, and was changed: what was in it is gone (> /dev/stderr does that)"
    )


def touched(path):
    other = path.with_name("touched")
    other.write_text("x")
    return other


def test_one_that_printed_nothing_has_lost_nothing(daemon):
    job = daemon.submit("true")
    daemon.wait(job)
    assert lost(daemon, job) is None


def test_where_files_have_no_time_of_birth_nobody_knows(daemon, monkeypatch):
    monkeypatch.setattr(birth, "_STATX_BTIME", 0)
    job = daemon.submit("echo one; : > /dev/stderr")
    daemon.wait(job)
    assert lost(daemon, job) is None
