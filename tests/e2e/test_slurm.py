"""Jobs on a Slurm cluster and on this machine, through the real commands; daemons are killed."""

import os
import time
from pathlib import Path

import pytest

from tests.e2e.instance import json_of
from tests.helpers import wait_until, whole_table

pytestmark = pytest.mark.e2e
JOBS = 4
CONFIGURATION = """\
[daemon]
workers = 8
[groups.cluster]
workers = 8
engine = "slurm"
[engine.slurm]
poll = "0.1s"
"""
PLACES = [
    ("before-submit", 2),
    ("after-submit", 1),
    ("after-submit", 3),
    ("after-note", 2),
    ("after-release", 2),
    ("before-finish", 1),
    ("before-reap", 2),
    ("after-reap", 1),
    ("before-signal", 1),
    ("after-signal", 1),
]
PACKED_JOBS = 5
PACKED_PLACES = [
    ("before-submit", 2),
    ("after-note", 1),
    ("after-note", 2),
    ("after-release", 2),
    ("before-finish", 2),
    ("after-reap", 2),
]


@pytest.fixture
def both(instance, cluster):
    """Not started yet. At its end Slurm must have nothing of it any more."""
    instance.env["SLURM_CONF"] = str(cluster.conf)
    instance.home.mkdir(mode=0o700)
    instance.paths.config.write_text(CONFIGURATION)
    yield instance
    instance.jobd("stop", "--now")
    wait_until(lambda: not in_slurm(instance, cluster), timeout=60)


def in_slurm(instance, cluster):
    """Its jobs that run or wait there."""
    found = instance.home / "slurm-instance"
    mine = found.read_text() if found.exists() else "none"
    names = cluster.run("squeue", "--noheader", "--format=%j").splitlines()
    return [name for name in names if f"-{mine}-" in name]


def far(instance, *words, **options):
    return instance.id_of("-g", "cluster", *words, **options)


def test_a_group_runs_on_the_cluster_and_the_others_here(both):
    both.start()
    there = far(both, "echo $SLURMD_NODENAME; exit 3")
    here = both.id_of("--after-any", str(there), "echo ${SLURMD_NODENAME:-here}")
    jobs = both.wait(there, here)
    assert jobs[there].exit_code == 3
    assert jobs[there].host in ("n1", "n2", "n3")
    assert both.output(there).decode() == f"{jobs[there].host}\n"
    assert both.output(here) == b"here\n"
    told = f"slurm job {jobs[there].engine_id} on {jobs[there].host}"
    assert told in both.jobctl("show", str(there)).stdout
    assert jobs[here].engine_id is None
    assert "engine slurm: takes jobs (" in both.jobd("check").stdout
    output = Path(jobs[there].output_path)
    os.truncate(output, 1)
    found = json_of(both.jobd("check", "--json", code=1))["findings"]
    assert [one["text"] for one in found] == [f"the output of job {there} was cut: 1 of 3 bytes"]
    output.unlink()
    found = json_of(both.jobd("check", "--json", code=1))["findings"]
    assert [one["text"] for one in found] == [f"the output of job {there} is missing: {output}"]


def test_a_time_limit_ends_it_there(both):
    both.start()
    job = far(both, "--time-limit", "1", "sleep 100")
    found = both.wait(job)[job]
    assert (found.reason, found.signal) == ("time limit", "TERM")
    assert 0.9 < found.run_s < 60


def test_it_is_paused_and_goes_on(both):
    both.start()
    job = far(both, "while ! test -e go; do sleep 0.05; echo >>beats; done; exit 5")
    both.await_lines("beats", 2)
    both.jobctl("pause", str(job))
    wait_until(lambda: _stands_still(both), timeout=30)
    (both.work / "go").touch()
    assert both.job(job).paused
    both.jobctl("resume", str(job))
    assert both.wait(job)[job].exit_code == 5


def _stands_still(instance):
    before = instance.lines("beats")
    time.sleep(0.3)
    return instance.lines("beats") == before


def test_progress_and_output_are_seen_while_it_runs(both):
    both.start()
    gate = both.gate()
    job = far(both, f'echo "40 four" >>"$JOBD_PROGRESS"; echo out; read _ <{gate.path}; echo end')
    wait_until(lambda: both.job(job).progress == 40, timeout=60)
    follower = both.begin("jobctl", "logs", "-f", str(job))
    gate.open()
    assert follower.communicate(timeout=60)[0] == b"out\nend\n"


def test_a_daemon_that_is_replaced_keeps_what_runs_there(both):
    both.start()
    gate = both.gate()
    job = far(both, f"echo >>ran; read _ <{gate.path}; exit 7")
    both.await_lines("ran", 1)
    both.jobd("restart")
    gate.open()
    assert both.wait(job)[job].exit_code == 7
    assert both.lines("ran") == [""]


@pytest.mark.parametrize(
    ("point", "count"),
    whole_table(
        PLACES,
        always=[("after-submit", 1), ("after-note", 2), ("before-reap", 2), ("before-signal", 1)],
    ),
)
def test_killed_at_each_point_nothing_is_lost_and_nothing_runs_twice(both, point, count):
    both.start(crash=f"{point}:{count}")
    line = "echo $JOBD_JOB_ID >>ran; exit $((JOBD_JOB_ID % 3))"
    jobs = [insisted(both, line) for _ in range(JOBS)]
    if point.endswith("signal"):
        stopped = insisted(both, "echo >>up; sleep 100")
        both.await_lines("up", 1)
        both.jobctl("stop", "--grace", "1", str(stopped), code=None)
    found = both.wait(jobs[0], jobs[-1])
    assert {job: one.exit_code for job, one in found.items()} == {job: job % 3 for job in jobs}
    assert sorted(both.lines("ran")) == [str(job) for job in jobs]
    assert not (both.work / "fuse").exists(), "nobody came to the point"


@pytest.mark.parametrize(("point", "count"), PACKED_PLACES)
def test_killed_at_each_point_of_a_job_that_comes_into_a_pack(both, point, count):
    """One at a time, so that each but the first of three is handed over to what is there."""
    packed = CONFIGURATION.replace("workers = 8\nengine", "workers = 1\nengine") + "pack = 3\n"
    both.paths.config.write_text(packed)
    both.start(crash=f"{point}:{count}")
    line = "echo $JOBD_JOB_ID >>ran; exit $((JOBD_JOB_ID % 3))"
    jobs = [insisted(both, line) for _ in range(PACKED_JOBS)]
    found = both.wait(jobs[0], jobs[-1])
    assert {job: one.exit_code for job, one in found.items()} == {job: job % 3 for job in jobs}
    assert sorted(both.lines("ran"), key=int) == [str(job) for job in jobs]
    assert not (both.work / "fuse").exists(), "nobody came to the point"


def test_jobs_of_a_pack_are_jobs_as_any_other(both):
    both.paths.config.write_text(CONFIGURATION + "pack = 20\n")
    both.start()
    jobs = [far(both, f"echo out {code}; exit {code}") for code in range(4)]
    found = both.wait(jobs[0], jobs[-1])
    assert [found[job].exit_code for job in jobs] == [0, 1, 2, 3]
    assert [both.output(job).decode() for job in jobs] == [f"out {code}\n" for code in range(4)]
    assert {found[job].host for job in jobs} <= {"n1", "n2", "n3"}
    again = [both.wait(far(both, "true")).popitem()[1] for _ in range(2)]
    assert again[0].engine_id == again[1].engine_id
    for one in found.values():
        assert one.submitted_at <= one.started_at <= one.finished_at
    limited = far(both, "--time-limit", "1", "sleep 100")
    assert both.wait(limited)[limited].reason == "time limit"
    assert both.wait(far(both, "exit 6")).popitem()[1].exit_code == 6


def insisted(instance, line):
    """As a user does it whose command says that jobd is not running."""
    words = ["submit", "-g", "cluster", "--key", os.urandom(8).hex(), line]

    def accepted():
        done = instance.jobctl(*words, code=None)
        return done.returncode == 0 and done.stdout

    return int(wait_until(accepted, timeout=60))


def hasty(cluster, directory):
    """Its configuration, for programs that soon give up a slurmctld that is not there: each of them
    waits for nine seconds otherwise.
    """
    path = directory / "slurm.conf"
    path.write_text(f"{cluster.conf.read_text()}MessageTimeout=2\n")
    return str(path)


def test_slurm_away_at_the_start_and_later(both, cluster):
    """Jobs wait with that reason, those of this machine go on, and nothing fails."""
    both.env["SLURM_CONF"] = hasty(cluster, both.work)
    cluster.kill("slurmctld")
    try:
        both.jobd("start")  # `Instance.start` waits until Slurm is there
        wait_until(lambda: "slurm is away" in both.jobctl("status", code=None).stdout, timeout=60)
        job = far(both, "exit 3")
        assert both.wait(both.id_of("exit 4"))
        shown = json_of(both.jobctl("show", "--json", str(job)))
        assert shown["state"] == "pending"
        found = json_of(both.jobd("check", "--json", code=1))["findings"]
        assert [one["kind"] for one in found] == ["engine"]
        assert found[0]["text"].startswith("engine slurm: away: Unable to contact slurm controller")
    finally:
        cluster.start("slurmctld")
    assert both.wait(job)[job].exit_code == 3
