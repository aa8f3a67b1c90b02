"""The codec in many threads: what a type is made of is learnt once, whoever asks first."""

import subprocess
import sys

import pytest

from jobd.contract import models, wire
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.system.timer import Timer

AT_ONCE = """
import sys, threading
from datetime import UTC, datetime
from jobd.contract import wire
from jobd.contract.models import (
    Acted,
    Event,
    EventPage,
    Job,
    Note,
    Page,
    Shown,
    Submitted,
    Waited,
    WorkersReply,
)
from jobd.contract.states import State

sys.setswitchinterval(1e-6)
now = datetime.now(UTC)
job = Job(
    id=1, name="", command="x", argv=["x"], shell=False, cwd="/", state=State.PENDING, tags=["a"],
    submitted_at=now,
)
event = Event(seq=1, at=now, job=1, event="x", user="u", data={"a": 1})
answers = [
    Page(jobs=[job]), Shown(job=job, attempts=[], events=[event]),
    Waited(done=True, total=1, jobs=[job]), EventPage(events=[event], next=1),
    Acted(done=[1], notices=[Note(id=1, text="x")]), Submitted(first=1, last=2),
    WorkersReply(workers=1, busy=0),
]
sent = [(wire.encode_reply(answer), answer) for answer in answers]
together = threading.Barrier(8)

def read():
    together.wait()
    for data, answer in sent:
        assert wire.decode_reply(data, type(answer)) == answer

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("_", range(4))
def test_threads_that_read_the_same_answers_first_do_not_end_the_process(_):
    """Mostly they did; it takes a fresh process to see it."""
    command = [sys.executable, "-c", AT_ONCE]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_each_type_has_one_decoder_and_a_daemon_has_them_all_before_it_hears_anybody(monkeypatch):
    made = []
    monkeypatch.setattr(wire, "_decoders", {})
    monkeypatch.setattr(wire, "Decoder", lambda kind: made.append(kind) or object())
    Dispatch({}, {}, Timer())
    Dispatch({}, {}, Timer())
    replies = (kind.about.reply for kind in wire.REQUESTS.values())
    kinds = {models.Bundle, *wire.REQUESTS.values(), *replies}
    assert sorted(made, key=repr) == sorted(kinds, key=repr)
