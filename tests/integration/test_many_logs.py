"""`logs` of several jobs: one after the other, or of all at once as they run."""

import os
import threading
from pathlib import Path

import pytest

from jobctl.actions.many_logs import Following
from jobd.contract.models import Command, Options, Selector, Submit
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT
from tests.jobctl.fakes import jobctl


def submit(inside, line, **options):
    request = Submit(
        commands=[Command(argv=[line.encode()], shell=True)], cwd=b"/", environment=ENVIRONMENT,
        options=Options(**options),
    )  # fmt: skip
    return inside.client.submit(request).first


def logs(inside, *words, **given):
    return jobctl("logs", *words, client=inside.client, **given)


# --- as they stand ------------------------------------------------------------------------


@pytest.fixture
def three(daemon):
    """The first has two lines, the second none, the third one that does not end."""
    for line in ("echo a; echo b", "true", "printf 'c %s' x"):
        submit(daemon, line, tags=["t"])
    daemon.wait(1, 2, 3)
    return daemon


def test_each_line_stands_behind_its_job(three):
    assert logs(three, "1-3").out == " 1 | a\n 1 | b\n 3 | c x\n"
    assert logs(three, "3,1").out == " 1 | a\n 1 | b\n 3 | c x\n"
    assert logs(three, "--tag", "t", "--no-prefix").out == "a\nb\nc x\n"
    assert logs(three, "1-3", "-n", "1").out == " 1 | b\n 3 | c x\n"


def test_one_is_byte_for_byte_as_ever(three):
    assert logs(three, "3").stdout == b"c x"
    assert logs(three).stdout == b"c x"


def test_only_lines_that_match(three):
    assert logs(three, "1-3", "--grep", "[ac]").out == " 1 | a\n 3 | c x\n"
    assert logs(three, "1", "--grep", "b$").out == "b\n"
    assert logs(three, "3", "--grep", "x").out == "c x\n"
    assert logs(three, "3", "--grep", "z").out == ""
    result = logs(three, "--grep", "(", "1")
    assert (result.code, "is no regular expression" in result.stderr) == (2, True)


def test_a_colour_of_its_own(three, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = logs(three, "1,3", terminal=True).out
    first, _, third = (line.partition(" | ")[0] for line in out.splitlines())
    assert (first, third) == ("\x1b[33m 1", "\x1b[35m 3")


def test_what_a_carriage_return_has_overwritten_is_left_out(daemon):
    submit(daemon, r"printf '10%%\r20%%\r30%%\r\n'")
    submit(daemon, "true")
    daemon.wait(1, 2)
    assert logs(daemon, "1-2").out == " 1 | 30%\n"


def test_missing_and_nothing(three):
    result = logs(three, "1,9")
    assert (result.code, result.out) == (1, " 1 | a\n 1 | b\n")
    assert result.stderr == "jobctl: job 9 does not exist\n"
    for follow in ([], ["-f"]):
        said = logs(three, *follow, "--group", "x").stderr
        assert said == "no jobs selected\nthere is no group x\n"
        result = logs(three, *follow, "8,9")
        assert (result.code, result.stderr.count("does not exist")) == (1, 2)


def test_paths_of_several(three):
    paths = logs(three, "--path", "1-3").out.split()
    assert len(paths) == 3
    assert "a\nb\n" in [Path(path).read_text("utf-8") for path in paths]


def test_all_attempts_in_their_order(daemon):
    submit(daemon, "echo $JOBD_ATTEMPT; exit 1", retries=2, retry_delay=0)
    submit(daemon, "echo other")
    daemon.wait(1, 2)
    assert logs(daemon, "--merge-attempts", "1").out == "1\n2\n3\n"
    assert logs(daemon, "--merge-attempts", "-f", "1").out == "1\n2\n3\n"
    assert logs(daemon, "--merge-attempts", "1-2").out == " 1 | 1\n 1 | 2\n 1 | 3\n 2 | other\n"
    assert logs(daemon, "1-2").out == " 1 | 3\n 2 | other\n"
    assert logs(daemon, "-f", "--merge-attempts", "1-2").out.count("|") == 4


def test_of_all_attempts_it_is_said_what_is_said_of_one(daemon):
    for line in ("echo x", "true", "sleep 100"):
        submit(daemon, line, hold=line.startswith("sleep"))
    daemon.wait(1, 2)
    daemon.paths.output_of(1, 1).write_bytes(b"")
    for job, words in (("1", "are gone"), ("2", "left no output"), ("3", "has not started yet")):
        said = logs(daemon, "--merge-attempts", job).stderr
        assert words in said
        assert said == logs(daemon, job).stderr


def test_of_all_attempts_no_line_is_parted_where_its_rest_takes_a_while(daemon, monkeypatch):
    monkeypatch.setattr("jobd.client.outputs.MAX_WAIT", 0.1)
    gate = daemon.paths.state / "gate"
    os.mkfifo(gate)
    submit(daemon, f"printf 'one '; read _ < {gate}; echo line")
    asked, reply = [], daemon.client.output

    def answer(request):
        asked.append(request)
        if len(asked) == 6:  # more than once there was nothing new
            gate.write_text("\n")
        return reply(request)

    monkeypatch.setattr(daemon.client, "output", answer)
    found = logs(daemon, "--merge-attempts", "-f", "--grep", "one", "1")
    assert found.out == "one line\n"


@pytest.mark.parametrize(
    "words", [["--attempt", "1", "1-2"], ["--attempt", "1", "--merge-attempts"]]
)
def test_what_excludes_each_other(daemon, words):
    assert logs(daemon, *words).code == 2


# --- as they run --------------------------------------------------------------------------


class Follower(threading.Thread):
    """Follows, with a client of its own; what came of each job."""

    def __init__(self, inside, selector, *, merged=False):
        super().__init__(daemon=True)
        self.seen = {}
        self.ended = set()
        client = inside.connect()
        self._following = Following(client, selector, None, merged=merged)
        self._after = self._following.begin()
        self.is_waiting = self._following.is_waiting
        self.start()

    def run(self):
        for chunk in self._following.chunks(self._after):
            self.seen[chunk.job] = self.seen.get(chunk.job, b"") + chunk.piece.data
            if chunk.over:
                self.ended.add(chunk.job)

    def end(self):
        self.join(60)
        assert not self.is_alive()


def test_all_that_run_and_all_that_start(daemon, gate):
    first = submit(daemon, f"echo a; read _ <{gate.path}; echo b", tags=["t"])
    submit(daemon, f"echo nobodys; read _ <{gate.path}")
    later = submit(daemon, "echo c", tags=["t"], after=[(first, first)])
    follower = Follower(daemon, Selector(tags=["t"]))
    assert follower.is_waiting
    wait_until(lambda: follower.seen == {first: b"a\n"})
    new = submit(daemon, f"echo new; read _ <{gate.path}; echo end", tags=["t"])
    wait_until(lambda: follower.seen.get(new) == b"new\n")
    gate.open(3)
    follower.end()
    assert follower.seen == {first: b"a\nb\n", later: b"c\n", new: b"new\nend\n"}
    assert follower.ended == {first, later, new}


def test_of_named_ones_also_what_had_ended(daemon, gate):
    submit(daemon, "echo over")
    daemon.wait(1)
    submit(daemon, f"read _ <{gate.path}; echo late")
    follower = Follower(daemon, Selector(ids=[(1, 2)]))
    wait_until(lambda: 1 in follower.ended)
    gate.open()
    follower.end()
    assert follower.seen == {1: b"over\n", 2: b"late\n"}


def test_a_retry_goes_on_with_its_next_attempt(daemon, gate):
    line = f"echo $JOBD_ATTEMPT; read _ <{gate.path}; [ $JOBD_ATTEMPT = 3 ]"
    submit(daemon, line, retries=2, retry_delay=0)
    wait_until(lambda: daemon.job(1).state is State.RUNNING)
    follower = Follower(daemon, Selector(ids=[(1, 1)]))
    for attempt in (1, 2, 3):
        expected = "".join(f"{n}\n" for n in range(1, attempt + 1)).encode()
        wait_until(lambda expected=expected: follower.seen.get(1) == expected)
        gate.open()
    follower.end()


def test_many_at_a_time_lose_nothing(make):
    inside = make(workers=20)
    jobs = [submit(inside, "for i in 1 2 3; do echo $i; done", tags=["t"]) for _ in range(60)]
    follower = Follower(inside, Selector(ids=[(jobs[0], jobs[-1])]))
    follower.end()
    assert follower.seen == dict.fromkeys(jobs, b"1\n2\n3\n")


def test_a_removed_one_is_over(daemon, gate):
    submit(daemon, f"read _ <{gate.path}")
    submit(daemon, "true")
    daemon.wait(2)
    follower = Follower(daemon, Selector(ids=[(1, 2)]))
    daemon.client.rm(Selector(ids=[(2, 2)]))
    gate.open()
    follower.end()


def test_held_ones_are_told_at_once(daemon):
    submit(daemon, "true", hold=True)
    submit(daemon, "echo a")
    daemon.wait(2)
    result = logs(daemon, "1-2")
    assert (result.out, result.stderr) == (" 2 | a\n", "no output of 1\n")
    daemon.client.stop(Selector(ids=[(1, 1)]))
    assert logs(daemon, "-f", "1-2").out == " 2 | a\n"
