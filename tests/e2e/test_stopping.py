"""Stop, restart, start, rm: what is left, and what is kept."""

import pytest

from tests.e2e.instance import json_of
from tests.helpers import processes_with, wait_until

pytestmark = pytest.mark.e2e

STUBBORN = """trap '' TERM
(trap '' TERM; echo child >>up; while :; do sleep 100; done) &
setsid sh -c "trap '' TERM; echo session >>up; while :; do sleep 100; done" &
setsid -f sh -c "echo forked >>up; exec sleep 1000" </dev/null
echo "$JOBD_RUN" >>token
echo leader >>up
while :; do sleep 100; done
"""


@pytest.mark.local(
    "what leaves its group is found by cgroups, which the cluster of the tests has not"
)
def test_a_tree_that_ignores_term_leaves_nothing(shared):
    job = shared.submit(STUBBORN)
    shared.await_lines("up", 4)
    token = f"JOBD_RUN={shared.lines('token')[0]}"
    assert len(processes_with(token)) >= 4
    done = shared.jobctl("stop", "--grace", "0.3", str(job))
    assert done.stdout == f"{job}\n"
    assert processes_with(token) == {}
    found = shared.job(job)
    assert (found.state, found.reason) == ("stopped", "by user")
    assert found.run_s < 20
    shared.jobctl("wait", str(job), code=143)


def test_what_a_job_leaves_behind_when_it_ends_by_itself_goes_on(shared):
    job = shared.submit('echo "$JOBD_RUN" >>left; setsid -f sleep 1000; echo up')
    assert shared.wait(job)[job].state == "completed"
    token = f"JOBD_RUN={shared.lines('left')[0]}"
    left = wait_until(lambda: processes_with(token))
    assert len(left) == 1
    shared.kill(*left)


def test_a_job_that_ends_by_itself_after_term_was_stopped(shared):
    job = shared.submit("trap 'echo bye; exit 0' TERM; echo >>trapped; sleep 100 & wait")
    shared.await_lines("trapped", 1)
    shared.jobctl("stop", str(job))
    found = shared.job(job)
    assert (found.state, found.reason, found.exit_code) == ("stopped", "by user", 0)
    assert shared.output(job) == b"bye\n"


def test_another_first_signal(shared):
    job = shared.submit("trap 'echo got it; exit 3' USR1; echo >>interrupted; sleep 100 & wait")
    shared.await_lines("interrupted", 1)
    shared.jobctl("stop", "--signal", "USR1", str(job))
    assert shared.output(job) == b"got it\n"


def test_a_halted_job_can_be_stopped(shared):
    job = shared.submit("trap 'exit 5' TERM; echo >>halted; kill -STOP $$; sleep 100 & wait")
    shared.await_lines("halted", 1)
    shared.jobctl("stop", "--grace", "30", str(job))
    assert shared.job(job).state == "stopped"


def test_a_stopped_pending_job_never_starts(running):
    gate = running.gate()
    running.jobctl("workers", "1")
    running.submit(f"read _ <{gate.path}", "echo 2 >>ran", "echo 3 >>ran")
    assert running.jobctl("stop", "2").stdout == "2\n"
    done = running.jobctl("stop", "2")
    assert done.stdout == ""
    assert "job 2 has already been stopped" in done.stderr
    gate.open()
    running.jobctl("wait", "3")
    assert running.lines("ran") == ["3"]
    assert running.job(2).attempt == 0
    running.jobctl("wait", "2", code=143)
    assert running.jobctl("start", "2").stdout == "2\n"
    running.jobctl("wait", "2")
    assert running.lines("ran") == ["3", "2"]


def test_a_restart_keeps_the_first_attempts_output(shared):
    job = shared.submit("echo attempt $JOBD_ATTEMPT; exit $JOBD_ATTEMPT")
    shared.wait(job)
    assert shared.jobctl("restart", str(job)).stdout == f"{job}\n"
    shared.jobctl("wait", str(job), code=2)
    assert shared.output(job) == b"attempt 2\n"
    assert shared.output(job, "--attempt", "1") == b"attempt 1\n"
    assert [a.exit_code for a in shared.attempts(job)] == [1, 2]
    assert json_of(shared.jobctl("show", str(job), "--json"))["attempt"] == 2
    shared.jobctl("rm", str(job))
    assert not list(shared.paths.output.glob(f"*/{job}.*"))
    shared.jobctl("show", str(job), code=1)


def test_a_running_job_is_not_restarted_and_not_removed(shared):
    job = str(shared.submit("sleep 100"))
    wait_until(lambda: shared.job(int(job)).state == "running")
    assert "is running" in shared.jobctl("restart", job, code=1).stderr
    assert "is running" in shared.jobctl("rm", job, code=1).stderr
    assert shared.jobctl("rm", "--force", job).stdout == f"{job}\n"
    shared.jobctl("show", job, code=1)
