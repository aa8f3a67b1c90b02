"""Followers of an output are woken by what is written and what happens to its job alone."""

import os
import pwd
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from jobd.client import outputs
from jobd.contract.call import Call, Caller, Role
from jobd.contract.errors import NotFound
from jobd.contract.models import Events, Output
from jobd.contract.states import State
from jobd.daemon.queries import output as module
from jobd.daemon.queries.output import OutputQuery
from jobd.system import inotify
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of


class Following:
    """A follower in a thread of its own, and what it has got so far."""

    def __init__(self, daemon, job, **which):
        self.pieces = []
        self._client = daemon.connect()
        self._pool = ThreadPoolExecutor(1)
        self._done = self._pool.submit(self._run, Output(id=job, **which))

    def _run(self, request):
        for piece in outputs.output(self._client, request, follow=True):
            self.pieces.append(piece)

    @property
    def said(self):
        return b"".join(piece.data for piece in self.pieces)

    def ended(self):
        """Raises: what its last request raised."""
        self._done.result(60)
        self._pool.shutdown()
        return self.said


def looks(monkeypatch):
    """Each look at an output from here on."""
    made = []
    look = OutputQuery._look

    def counted(self, job, request):
        made.append(job)
        return look(self, job, request)

    monkeypatch.setattr(OutputQuery, "_look", counted)
    return made


def settled(daemon, made):
    """Until nobody looks any more, for a while in which nothing happens; the number of looks."""
    before = -1
    while len(made) != before:
        before = len(made)
        daemon.client.events(Events(after=daemon.daemon.built.ground.notifier.last_event, wait=0.3))
    return before


def test_a_silent_job_is_not_looked_at(daemon, gate, monkeypatch):
    made = looks(monkeypatch)
    job = daemon.submit(f"read _ <{gate.path}; echo end")
    followers = [Following(daemon, job) for _ in range(10)]
    wait_until(lambda: set(made) == {job} and len(made) >= 20)
    count = settled(daemon, made)
    # Other jobs come and go meanwhile, and what they do is nobody's news here.
    daemon.wait(daemon.submit("echo other"))
    daemon.client.events(Events(after=daemon.daemon.built.ground.notifier.last_event, wait=0.5))
    assert len(made) == count
    gate.open()
    assert {follower.ended() for follower in followers} == {b"end\n"}


def test_a_pending_job_is_looked_at_when_something_happens_to_it(quiet, monkeypatch):
    made = looks(monkeypatch)
    job, other = quiet.submit("echo x"), quiet.submit("true")
    follower = Following(quiet, job)
    wait_until(lambda: made)
    count = settled(quiet, made)
    quiet.client.hold(ids(other))
    quiet.client.events(Events(after=quiet.daemon.built.ground.notifier.last_event, wait=0.3))
    assert len(made) == count
    quiet.client.workers(1)
    assert follower.ended() == b"x\n"


def test_what_is_written_wakes_and_the_end_comes_with_the_last_bytes(daemon, gate):
    job = daemon.submit(f"for n in 1 2 3; do read _; echo $n; done <{gate.path}")
    follower = Following(daemon, job)
    for count in range(3):
        wait_until(lambda count=count: follower.said.count(b"\n") == count)
        gate.open()
    assert follower.ended() == b"1\n2\n3\n"
    assert follower.pieces[-1].ended


def test_a_job_that_writes_byte_by_byte_is_not_answered_byte_by_byte(daemon):
    line = (
        "python3 -c 'import os, time\nfor _ in range(400): os.write(1, b\"x\"); time.sleep(.001)'"
    )
    began = time.monotonic()
    follower = Following(daemon, daemon.submit(line))
    assert follower.ended() == b"x" * 400
    spent = time.monotonic() - began
    assert len([piece for piece in follower.pieces if piece.data]) <= spent / module._GATHER_S + 2


@pytest.mark.parametrize("missing", ["inotify_init1", "inotify_add_watch"])
def test_where_the_kernel_watches_nothing_the_output_is_looked_at(
    daemon, gate, monkeypatch, missing
):
    monkeypatch.setattr(inotify._libc, missing, lambda *_: -1)
    job = daemon.submit(f"echo 1; read _ <{gate.path}; echo 2")
    follower = Following(daemon, job)
    wait_until(lambda: follower.said == b"1\n")
    gate.open()
    assert follower.ended() == b"1\n2\n"


def test_without_a_thread_to_tell_of_jobs_they_are_looked_at(quiet, monkeypatch):
    monkeypatch.setattr(quiet.daemon.built.questions.followers, "_started", lambda: False)
    job = quiet.submit("echo x")
    follower = Following(quiet, job)
    quiet.client.workers(1)
    assert follower.ended() == b"x\n"


def test_an_attempt_ends_for_its_followers_when_another_will_follow(daemon, gate):
    request = submit_of(f"echo $JOBD_ATTEMPT; read _ <{gate.path}; test $JOBD_ATTEMPT = 2")
    options = msgspec.structs.replace(request.options, retries=1, retry_delay=0.3)
    job = daemon.client.submit(msgspec.structs.replace(request, options=options)).first
    first = Following(daemon, job, attempt=1)
    wait_until(lambda: first.said == b"1\n")
    gate.open()
    assert first.ended() == b"1\n"
    assert first.pieces[-1].state is State.PENDING
    # Whoever asks for the latest one waits for the next.
    second = Following(daemon, job)
    wait_until(lambda: second.said == b"2\n")
    gate.open()
    assert second.ended() == b"2\n"


def test_an_output_that_is_replaced_is_followed_on(daemon, gate):
    job = daemon.submit(f"echo 1; read _ <{gate.path}")
    path = daemon.paths.output_of(job, 1)
    follower = Following(daemon, job)
    wait_until(lambda: follower.said == b"1\n")
    fresh = path.with_name("fresh")
    fresh.write_bytes(b"1\n2\n")
    fresh.replace(path)
    wait_until(lambda: follower.said == b"1\n2\n")
    with path.open("ab") as file:
        file.write(b"3\n")
    wait_until(lambda: follower.said == b"1\n2\n3\n")
    gate.open()
    assert follower.ended() == b"1\n2\n3\n"


def test_an_output_that_is_deleted_ends_with_its_job(daemon, gate):
    job = daemon.submit(f"echo 1; read _ <{gate.path}")
    follower = Following(daemon, job)
    wait_until(lambda: follower.said == b"1\n")
    daemon.paths.output_of(job, 1).unlink()
    gate.open()
    with pytest.raises(NotFound, match="gone"):
        follower.ended()


def test_who_follows_a_job_that_never_starts_hears_its_end(quiet):
    job = quiet.submit("true")
    follower = Following(quiet, job)
    wait_until(lambda: quiet.daemon.built.questions.followers._by_job)
    quiet.client.stop(ids(job))
    assert follower.ended() == b""


def test_a_daemon_that_closes_lets_followers_go_with_all_there_is(make, gate):
    daemon = make()
    job = daemon.submit(f"echo 1; read _ <{gate.path}")
    answers, call = [], Call(Caller("user", Role.ADMIN))

    def ask():
        # Straight to the use case: a client would ask the next daemon.
        request = Output(id=job, offset=2, wait=20.0)
        answers.append(daemon.daemon.built.questions.outputs.output(request, call))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: daemon.daemon.built.questions.followers._by_job)
    daemon.daemon.built.questions.followers.close()
    thread.join(10)
    assert [(piece.data, piece.ended) for piece in answers] == [(b"", False)]
    gate.open()


def test_who_follows_what_does_not_start_is_told_at_once_why(quiet):
    job = quiet.submit("true")
    quiet.client.hold(ids(job))
    first = next(outputs.output(quiet.client, Output(id=job), follow=True))
    assert first.why == f"held; let it go: jobctl start {job}"
    turn = quiet.submit("true")
    assert quiet.client.output(Output(id=turn)).why == quiet.client.show(turn).why


def test_a_follower_is_told_when_a_job_empties_its_output(make, gate):
    daemon = make()
    step = f"head -n 1 {gate.path} >/dev/null"
    job = daemon.submit(f"echo the first; {step}; echo 2nd >/dev/stderr; {step}; echo third")
    pieces = outputs.output(daemon.client, Output(id=job), follow=True)
    told = []
    for piece in pieces:
        if piece.data or piece.anew:
            told.append((piece.data, piece.anew))
            gate.open()
    before, *rest = told
    assert before == (b"the first\n", False)
    assert rest[0][1], "it was emptied"
    assert b"".join(data for data, _ in rest) == b"2nd\nthird\n"
    assert sum(anew for _, anew in rest) == 1


def test_a_follower_is_told_when_as_much_is_written_instead(make, gate):
    daemon = make()
    job = daemon.submit(
        f"echo old; head -n 1 {gate.path} >/dev/null; echo ever so new >/dev/stderr"
    )
    told = []
    for piece in outputs.output(daemon.client, Output(id=job), follow=True):
        if piece.data or piece.anew:
            told.append((piece.data, piece.anew))
            gate.open()
    before, *rest = told
    assert before == (b"old\n", False)
    # In one piece, or, where it was looked at while it was empty, in two.
    assert b"".join(data for data, _ in rest) == b"ever so new\n"
    assert [anew for _, anew in rest].count(True) == 1
    assert rest[0][1]


def test_a_page_of_events_says_who_runs_the_daemon(quiet):
    quiet.submit("true")
    page = quiet.client.events(Events(after=0))
    assert page.owner == pwd.getpwuid(os.getuid()).pw_name
