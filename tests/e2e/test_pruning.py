"""The daemon is killed while it deletes what is too much: it goes on, and touches nothing else."""

import pytest

from jobd.contract.states import State
from tests.e2e.engine_of_run import where_outputs_are
from tests.e2e.instance import PATIENCE, json_of, says_well
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

JOBS = 300
KEPT = 20
"""32 jobs are deleted in one commit; those of the daemon's start come before."""


def outputs(instance):
    """The jobs whose output lies on the disk."""
    output = where_outputs_are(instance.paths).output
    files = [path for path in output.rglob("*") if path.is_file()]
    return sorted(int(path.name.partition(".")[0]) for path in files)


@pytest.mark.parametrize("point", ["before-commit:8", "after-commit:8", "after-commit:12"])
def test_a_kill_while_old_jobs_are_deleted(instance, point):
    instance.start("--workers", "8")
    held = instance.id_of("--hold", "true")
    first = instance.submit(*["echo $JOBD_JOB_ID"] * JOBS)
    instance.wait(first, first + JOBS - 1)
    assert outputs(instance) == [*range(first, first + JOBS)]
    instance.jobd("stop")
    instance.configure(f"[retention]\nmax_jobs = {KEPT}\n")
    instance.start(crash=point)
    gate = instance.gate()
    running = instance.submit(f"echo >>ran; read _ <{gate.path}")
    wait_until(lambda: not (instance.work / "fuse").exists(), PATIENCE)
    instance.await_lines("ran", 1)
    found = wait_until(
        lambda: (s := instance.answers()).jobs[State.COMPLETED] == KEPT and s, PATIENCE
    )
    assert (found.jobs[State.PENDING], found.jobs[State.RUNNING]) == (1, 1)
    assert instance.job(held).reason == "held"
    done = json_of(instance.jobctl("ls", "--state", "completed", "--json"))
    left = sorted(job["id"] for job in done)
    assert len(left) == KEPT
    wait_until(lambda: outputs(instance) == [*left, running], PATIENCE)
    said = instance.jobd("check", code=0).stdout
    assert says_well(said, f"{KEPT + 2} jobs,"), said
    gate.open()
    assert instance.wait(running)[running].state is State.COMPLETED
    assert instance.lines("ran") == [""]
