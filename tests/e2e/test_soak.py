"""A short run of the soak, and a kill of each kind of victim at the named points."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from jobd.contract.paths import is_supervised
from jobd.contract.version import VERSION
from jobd.system import failpoints
from tests.helpers import wait_until, whole_table
from tests.soak import checks, trace
from tests.soak.account import Account
from tests.soak.checks import Found, Job, Ran
from tests.soak.model import Blow, Known, Model, Span
from tests.soak.points import IMPOSSIBLE, OTHERS, PLACES, Scene
from tests.soak.watchers import NOBODY_THERE, has_met_anybody, quiet, shut_down_before, spoken
from tests.soak.witness import Witness

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SEED = 20261124
BY_HAND = "scripts/soak --engine slurm does that"
ALWAYS = {
    # Of each scene, and of each who may be killed there; scripts/soak --crash-points has them all.
    ("before-commit", "both"), ("after-spawn", "both"), ("before-reap", "both"),
    ("after-signal", "both"), ("recovered", "both"), ("ready", "supervisor"),
    ("after-announce", "supervisor"), ("daemon-died", "supervisor"), ("closed", "both"),
    ("before-renew", "supervisor"), ("message-sent", "both"),
}  # fmt: skip


@pytest.mark.local(BY_HAND)
@pytest.mark.parametrize("kills", whole_table([3, 20], always=[3]))
def test_a_short_soak(kills):
    command = [sys.executable, "-m", "tests.soak", "--kills", str(kills), "--seed", str(SEED)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all invariants held"
    told = next(line for line in done.stdout.splitlines() if line.endswith("kills (SIGKILL)"))
    assert int(told.split()[0]) >= kills


@pytest.mark.local(BY_HAND)
@pytest.mark.parametrize(
    ("point", "who"),
    whole_table(
        [
            # The daemon at its own points: test_crash_points.py.
            (point, who)
            for point, owner in PLACES
            if point not in OTHERS["local"]
            for who in ("both", owner)
            if (point, who) not in IMPOSSIBLE and (who, owner) != ("daemon", "daemon")
        ],
        ALWAYS,
    ),
)
def test_a_kill_at_a_point(instance, point, who):
    scene = Scene(instance, point, who)
    assert scene.wrong() == []
    assert scene.hit


@pytest.mark.local(BY_HAND)
def test_the_daemon_dies_while_it_becomes_a_supervisor(instance):
    for point in ("orphaned", "before-exec"):
        assert (point, "both") in IMPOSSIBLE
    scene = Scene(instance, "before-exec", "daemon")
    assert scene.wrong() == []
    assert scene.hit


def test_every_point_is_in_the_table():
    assert {point for point, _ in PLACES} == {
        p for points in failpoints.POINTS.values() for p in points
    }
    assert len(PLACES) == len(set(PLACES))


# --- the invariants themselves: each of them can fail ---------------------------------------------


def findings(
    check, jobs=(), *, attempts=None, events=(), known=(), lines=(), witness=None, **spans
):
    model = Model()
    model.jobs, model.witness = list(known), witness
    for name, found in spans.items():
        getattr(model, name).extend(found)
    found = Found(
        {job.id: job for job in jobs}, attempts or {}, list(events), 9, "ok", []
    )  # fmt: skip
    return list(check(found, model, trace.read(lines)))


def ran(**changes):
    given = {
        "attempt": 1, "token": "t", "state": "failed", "reason": "exit code 3", "exit_code": 3,
        "signal": None, "started": 10, "finished": 20,
    }  # fmt: skip
    return Ran(**{**given, **changes})


QUICK = Known("one", "quick", id=2)
JOB = Job(2, "failed", "exit code 3", "one", 1)


def test_a_missing_job_is_found():
    check = checks.acknowledged_jobs_are_there
    assert findings(check, jobs=[JOB], known=[QUICK]) == []
    assert findings(check, known=[QUICK])
    assert findings(check, jobs=[JOB, JOB._replace(id=3)], known=[QUICK])


def test_a_second_beginning_is_found():
    check = checks.none_ran_twice
    given = {"jobs": [JOB], "attempts": {2: [ran()]}, "known": [QUICK]}
    assert findings(check, lines=["b 2 1 t", "e 2 1 t 3 15000"], **given) == []
    assert findings(check, lines=["b 2 1 t", "b 2 1 u"], **given)
    assert findings(check, lines=["b 2 1 u"], **given)
    assert findings(check, lines=["b 2 1 t", "b 2 2 v", "e 2 1 t 3 15000"], **given)


def test_a_wrong_outcome_is_found():
    check = checks.outcomes_are_exact
    told = ["b 2 1 t", "e 2 1 t 3 15000"]

    def of(blows=(), **changes):
        attempts = {2: [ran(**changes)]}
        return findings(check, [JOB], attempts=attempts, known=[QUICK], lines=told, blows=blows)

    assert of() == []
    assert of(exit_code=2)
    assert of(reason="by user", state="stopped")
    lost = {"reason": "lost", "exit_code": None}
    assert of(**lost)
    assert of(blows=[Span(30, 40)], **lost)
    assert of(blows=[Span(15, 16)], **lost) == []


DIED, STEP = [Blow(12, 14, "slurmctld")], [Blow(12, 14, "step", frozenset({(2, 1)}))]
NODE, OTHER_NODE = [Blow(12, 14, "n2")], [Blow(12, 14, "n1")]
MISSING = "Batch JobId=7 missing from batch node n2 (not found BatchStartTime after startup)"


@pytest.mark.parametrize(
    ("reason", "there", "log", "is_so"),
    [
        ("cancelled in Slurm", DIED, "", False),
        ("cancelled in Slurm", DIED, "_slurm_rpc_kill_job: REQUEST_KILL_JOB JobId=7 uid 0", False),
        ("cancelled in Slurm", [], "_job_complete: JobId=7 cancelled by interactive user", True),
        (
            "cancelled in Slurm", [],
            "Could not launch job 7 and not able to requeue it, cancelling job", True,
        ),
        (
            "cancelled in Slurm", [],
            "Could not launch job 8 and not able to requeue it, cancelling job", False,
        ),
        ("lost: n2 failed", NODE, MISSING, True),
        ("lost: n2 failed", NODE, "", False),
        ("lost: n2 failed", OTHER_NODE, MISSING, False),
        ("lost: n2 failed", STEP, MISSING, True),
        ("lost: n2 failed", DIED, MISSING, True),
        ("lost: Slurm has forgotten job 7", DIED, "", True),
        ("lost: Slurm has forgotten job 7", NODE, "", False),
        ("lost: Slurm has forgotten job 8", DIED, "", False),
        ("signal TERM", DIED, "", True),
        ("signal TERM", NODE, "", False),
        ("signal TERM", [], "Purged files for defunct batch JobId=7", True),
        ("lost", DIED, "", False),
    ],
)  # fmt: skip
def test_what_a_cluster_has_not_done_itself_is_found(tmp_path, reason, there, log, is_so):
    """Its log speaks of the 15th microsecond, in which the attempt runs."""
    written = tmp_path / "slurmctld.log"
    stamp = datetime.fromtimestamp(15e-6).isoformat()  # noqa: DTZ006 - as Slurm writes it
    written.write_text(f"[{stamp}] {log}\nnothing\n")
    told = ran(reason=reason, exit_code=None, engine_id="7")
    found = findings(
        checks.outcomes_are_exact, [JOB], attempts={2: [told]}, known=[QUICK],
        witness=Witness([written]), there=there, blows=[Span(12, 14)],
    )  # fmt: skip
    assert (found == []) is is_so


def test_a_history_that_contradicts_the_store_is_found():
    check = checks.history_is_consistent
    events = [
        (1, 2, "submitted", None), (2, 2, "started", b'{"attempt":1}'), (3, 2, "failed", None),
    ]  # fmt: skip
    assert findings(check, [JOB], events=events) == []
    assert findings(check, [JOB], events=events[:2])
    assert findings(check, [JOB], events=[*events, events[2]])


def test_an_end_that_is_recorded_late_is_found():
    check = checks.ends_are_when_they_were
    told = ["b 2 1 t", "e 2 1 t 3 5000000000"]

    def of(finished, **spans):
        attempts = {2: [ran(started=0, finished=finished)]}
        return findings(check, [JOB], attempts=attempts, known=[QUICK], lines=told, **spans)

    assert of(5_100_000) == []
    assert of(4_000_000)
    assert of(15_000_000)
    assert of(15_000_000, halts=[Span(4_000_000, 14_000_000)]) == []
    assert of(15_000_000, strikes=[Span(4_000_000, 14_000_000)])


def test_a_job_that_was_refused_and_is_there_is_found():
    refused = Known("one", "quick", refused=True)
    assert findings(checks.refused_jobs_are_not_there, [JOB], known=[refused])
    assert findings(checks.refused_jobs_are_not_there, [JOB], known=[QUICK]) == []


def test_what_a_client_was_told_late_is_found():
    strikes = [Span(10, 20), Span(22, 30)]
    assert quiet(5, 8, strikes) == 3
    assert quiet(5, 35, strikes) == 5 + 2 + 5
    assert quiet(12, 25, strikes) == 2


def test_a_daemon_that_ended_without_a_word_is_found(instance):
    account = Account(instance)
    account.start()
    instance.start()
    old = instance.status()
    wait_until(lambda: len(account.alive()) == 2)
    instance.kill(old.pid)
    instance.answers_anew(old.pid)
    with account.ordered("stop"):
        instance.jobd("stop")
    wait_until(lambda: not is_supervised(instance.paths.socket))
    account.finish()
    [wrong] = account.wrong()
    assert wrong.startswith(f"daemon {old.pid} ended without a reason; the log then ended with:")
    assert f"jobd {VERSION} started: pid {old.pid}" in wrong
    account.killed(old.pid)
    assert list(account.wrong()) == []


def test_a_supervisor_that_stopped_and_nobody_asked_it_to_is_found(instance):
    account = Account(instance)
    account.start()
    instance.start()
    old = instance.status()
    wait_until(lambda: len(account.alive()) == 2)
    instance.jobd("stop")
    wait_until(lambda: not is_supervised(instance.paths.socket))
    account.finish()
    told = sorted(text.partition(" ended without a reason")[0] for text in account.wrong())
    assert told == [f"daemon {old.pid}", f"supervisor {old.supervisor_pid}"]


def test_who_was_forked_and_is_nothing_yet_is_no_daemon_even_if_its_parent_has_gone(instance):
    """As a job is that a daemon was about to start when it left."""
    fork = (
        "import os, sys\nif os.fork(): os._exit(0)\nprint('forked', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", fork, "jobd.daemon"], env=instance.env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as parent:  # fmt: skip
        assert parent.stdout.readline() == "forked\n"
        parent.wait()
        account = Account(instance)
        account.look()
        assert account.alive() == []
        parent.stdin.close()


def test_what_drives_a_terminal_is_not_what_was_said():
    assert spoken(b"\r0 running\x1b[K\r\n\x1b[J\x1b[1A") == b"0running"
    nobody = b"jobctl: jobd is not running. Start it with: jobd start\r\n"
    assert spoken(nobody) == NOBODY_THERE
    assert not has_met_anybody(b"", nobody)
    assert not has_met_anybody(nobody, b"")
    # It had waited, and is owed the end.
    any_more = b"jobctl: jobd is not running any more. Start it with: jobd start\n"
    assert has_met_anybody(b"", any_more)
    assert has_met_anybody(b"begin 1 of 7.1\n", any_more)


def test_only_a_job_that_outlives_a_shutdown_has_no_end_to_be_told():
    shutdowns = [Span(100, 200)]
    assert shut_down_before(300, 150, shutdowns)
    assert not shut_down_before(140, 150, shutdowns)  # it had ended: who waits is told so first
    assert not shut_down_before(300, 90, shutdowns)
    assert not shut_down_before(300, 250, shutdowns)  # the next daemon was there
