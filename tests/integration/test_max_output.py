"""`--max-output`: the file takes no more room, and readers see its begin and its end."""

import os
import threading
from pathlib import Path

import msgspec

from jobd.client import outputs
from jobd.contract.models import Output, Wait
from jobd.outputs import limit as cuts
from jobd.outputs.limit import note_of
from tests.helpers import own, wait_until
from tests.integration.inside import ids, submit_of

LIMIT = 1_000_000
WRITES = "seq -f %09.0f 1 2000000"
"""Twenty megabytes, ten bytes a line."""


def capped(daemon, line, limit=LIMIT, **more):
    request = msgspec.structs.replace(submit_of(line), **more)
    options = msgspec.structs.replace(request.options, max_output=limit)
    return daemon.client.submit(msgspec.structs.replace(request, options=options)).first


def output(daemon, job, **which):
    pieces = outputs.output(daemon.client, Output(id=job, **which), follow=True)
    return b"".join(piece.data for piece in pieces)


def room(path):
    return path.stat().st_blocks * 512


def test_a_long_output_is_cut_and_read(make):
    daemon = make()
    job = capped(daemon, WRITES)
    daemon.wait(job)
    path = daemon.paths.output_of(job, 1)
    assert path.stat().st_size == 20_000_000
    assert room(path) <= 1.5 * LIMIT
    said = output(daemon, job).splitlines()
    assert (said[0], said[-1]) == (b"000000001", b"002000000")
    marks = [line for line in said if b"cut here" in line]
    assert marks == [b"[jobd: 19 MB cut here, --max-output 1 MB]"]
    assert len(said) == LIMIT / 10 + 1
    assert output(daemon, job, tail=2) == b"001999999\n002000000\n"
    assert daemon.sql("SELECT output_bytes FROM jobs") == [(LIMIT,)]
    # What was cut out takes no room; nor does it cost anything where nobody asks for it.
    assert daemon.client.status().output_bytes is None
    assert LIMIT / 2 < daemon.client.status(sizes=True).output_bytes <= 1.5 * LIMIT


def test_what_is_noted_of_a_cut_can_be_read_whatever_the_umask_of_the_job(make, monkeypatch):
    daemon = make()
    monkeypatch.setattr(daemon.daemon.built.execution.monitor, "_look_at_all", lambda _: False)
    job = capped(daemon, WRITES, umask=0o777)
    daemon.wait(job)
    note = Path(note_of(own(daemon.paths.output_of(job, 1))).path)
    assert note.stat().st_mode & 0o777 == 0o600


def test_it_is_cut_while_it_runs_and_its_note_goes_with_it(make):
    daemon = make(max_output="1MB")
    job = daemon.submit(f"{WRITES}; exec sleep 1000")
    path = daemon.paths.output_of(job, 1)
    wait_until(lambda: path.exists() and path.stat().st_size == 20_000_000)
    wait_until(lambda: room(path) <= 1.5 * LIMIT, message=lambda: f"{room(path)}")
    daemon.client.stop(ids(job), grace=0)
    daemon.wait(job)
    note = Path(note_of(own(path)).path)
    assert note.exists()
    daemon.client.rm(ids(job))
    wait_until(lambda: not path.exists() and not note.exists())


def test_a_job_has_not_finished_before_its_output_is_cut(make, monkeypatch, tmp_path):
    """Also where the cut was begun while it ran: whoever reads then must find it done."""
    daemon, gate = make(), tmp_path / "gate"
    os.mkfifo(gate)
    punch, last_look = cuts._punch, daemon.daemon.built.execution.monitor.last_look
    punching, go, ending = threading.Event(), threading.Event(), threading.Event()

    def slow(*arguments):
        if not punching.is_set():
            punching.set()
            assert go.wait(60)
        punch(*arguments)

    def last(run):
        ending.set()
        return last_look(run)

    monkeypatch.setattr(cuts, "_punch", slow)
    monkeypatch.setattr(daemon.daemon.built.execution.monitor, "last_look", last)
    job = capped(daemon, f"{WRITES}; read _ <{gate}")
    assert punching.wait(60)
    gate.write_text("\n")
    assert ending.wait(60)
    assert not daemon.client.wait(Wait(selector=ids(job), wait=0.3)).done
    go.set()
    daemon.wait(job)
    assert room(daemon.paths.output_of(job, 1)) <= 1.5 * LIMIT


def test_what_is_short_stays_whole(make):
    daemon = make(max_output="1MB")
    job = daemon.submit("echo short")
    daemon.wait(job)
    assert output(daemon, job) == b"short\n"
    assert [file.name for file in daemon.paths.output.rglob("*.*")] == [f"{job}.1.log"]
