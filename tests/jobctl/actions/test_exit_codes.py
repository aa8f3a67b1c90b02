import pytest

from jobctl.actions.exit_codes import exit_code_of_all
from jobd.contract.exit_codes import exit_code_of
from jobd.contract.models import Waited
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job, jobctl
from tests.jobctl.hostile import SIGNALS


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"state": "completed"}, 0),
        ({"state": "failed", "reason": "exit code 7", "exit_code": 7}, 7),
        ({"state": "failed", "reason": "signal KILL", "signal": "KILL"}, 137),
        ({"state": "failed", "reason": "time limit", "signal": "TERM"}, 143),
        ({"state": "failed", "reason": "time limit", "exit_code": 0}, 1),
        ({"state": "failed", "reason": "could not start: x: not found"}, 127),
        ({"state": "failed", "reason": "could not start: x: Permission denied"}, 126),
        ({"state": "failed", "reason": "dependency failed: 3"}, 1),
        ({"state": "failed", "reason": "lost"}, 1),
        ({"state": "stopped", "reason": "by user", "signal": "KILL"}, 143),
        ({"state": "stopped", "reason": "shutdown", "exit_code": 0}, 143),
    ],
)
def test_the_code_of_a_job(fields, code):
    assert exit_code_of(job(1, **fields)) == code


@pytest.mark.parametrize(
    ("counts", "missing", "any_of", "code"),
    [
        ({State.COMPLETED: 3}, [], False, 0),
        ({State.COMPLETED: 2, State.FAILED: 1}, [], False, 1),
        ({State.COMPLETED: 2, State.STOPPED: 1}, [], False, 1),
        ({State.COMPLETED: 3}, [9], False, 1),
        ({State.COMPLETED: 1, State.RUNNING: 2}, [], True, 0),
        ({State.FAILED: 1, State.RUNNING: 2}, [], True, 1),
    ],
)
def test_the_code_of_several(counts, missing, any_of, code):
    waited = Waited(done=True, total=3, counts=counts, missing=missing)
    assert exit_code_of_all(waited, any_of=any_of) == code


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_that_nobody_here_knows(name):
    killed = job(1, "failed", reason=f"signal {name}", signal=name)
    waited = Waited(done=True, total=1, counts={State.FAILED: 1}, jobs=[killed])
    result = jobctl("wait", "1", client=FakeClient(wait=waited))
    assert (result.code, result.stderr) == (
        137 if name == "KILL" else 1,
        f"job 1 failed (signal {name})\n",
    )


@pytest.mark.parametrize("code", [0, -1, 256, 2**40])
def test_a_code_that_no_process_has_is_not_success(code):
    waited = Waited(done=True, total=1, jobs=[job(1, "failed", exit_code=code)])
    assert jobctl("wait", "1", client=FakeClient(wait=waited)).code == 1
