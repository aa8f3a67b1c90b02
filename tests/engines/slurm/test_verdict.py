"""How an attempt ended, of two that say it."""

import pytest

from jobd.core.transitions import Outcome, verdict
from jobd.engines.slurm.attempt_files import End, read
from jobd.engines.slurm.commands import SlurmJob
from jobd.engines.slurm.verdict import Known, doubt, is_over, outcome_of


def seen(state, status=0, reason="None"):
    return SlurmJob(4711, "name", state, status, reason, "n3")


def known(found, end=None, *, begun=True, sent=None):
    return Known(4711, found, end, begun, sent)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "STOPPED"])
def test_what_goes_on(state):
    assert not is_over(seen(state))


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "REVOKED"])
def test_what_is_over(state):
    assert is_over(seen(state))
    assert is_over(None)


@pytest.mark.parametrize(
    ("found", "end", "outcome"),
    [
        (seen("COMPLETED"), End(0), Outcome(exit_code=0)),
        (seen("FAILED", 7 << 8), End(7), Outcome(exit_code=7)),
        (seen("FAILED", 143 << 8), End(143), Outcome(exit_code=143)),
        (seen("FAILED", 139 << 8), End(139, True), Outcome(signal="SEGV")),
        (None, End(7), Outcome(exit_code=7)),
        (seen("COMPLETING"), End(7), Outcome(exit_code=7)),
        # What Slurm does to a job that has ended by itself is too late.
        (seen("CANCELLED"), End(7), Outcome(exit_code=7)),
        (seen("NODE_FAIL"), End(0), Outcome(exit_code=0)),
    ],
)
def test_its_script_is_believed(found, end, outcome):
    assert outcome_of(known(found, end)) == outcome


def test_a_code_like_that_of_a_signal_is_one_if_that_was_sent():
    assert outcome_of(known(seen("FAILED", 143 << 8), End(143), sent=15)).signal == "TERM"
    assert outcome_of(known(seen("FAILED", 143 << 8), End(143), sent=9)).exit_code == 143


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (seen("NODE_FAIL"), "lost: n3 failed"),
        (seen("PREEMPTED"), "preempted"),
        (seen("OUT_OF_MEMORY"), "out of memory"),
        (seen("TIMEOUT"), "the cluster's time limit is over"),
        (seen("CANCELLED"), "cancelled in Slurm"),
        (seen("FAILED", 9), "signal KILL"),
        (seen("FAILED", 3 << 8), "exit code 3"),
        (seen("FAILED", 118 << 8), "lost: Slurm has started it a second time"),
        (seen("REVOKED", 0, "Other"), "lost: Slurm says REVOKED (Other)"),
        (None, "lost: Slurm has forgotten job 4711"),
    ],
)
def test_without_an_end_of_its_own_slurm_is_believed(found, reason):
    assert verdict(outcome_of(known(found)), None, requeue=False).reason == reason


@pytest.mark.parametrize("state", ["PREEMPTED", "OUT_OF_MEMORY", "CANCELLED"])
def test_what_has_ended_it_is_told_and_not_by_which_signal(state):
    told = outcome_of(known(seen(state, 143 << 8), End(143, True)))
    assert told == outcome_of(known(seen(state)))


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED"])
def test_what_was_interrupted_is_run_again_where_that_is_wanted(state):
    assert verdict(outcome_of(known(seen(state))), None, requeue=True).reason == "queued"


def test_what_was_sent_ends_what_has_not_begun():
    found = known(seen("CANCELLED"), begun=False, sent=15)
    assert outcome_of(found) == Outcome(signal="TERM")


def test_what_could_not_be_started_names_its_node():
    found = outcome_of(known(seen("FAILED", 126 << 8), End(None, cannot="x: not found")))
    assert found == Outcome(error="n3: x: not found")
    found = outcome_of(known(seen("FAILED", 119 << 8), begun=False))
    assert found == Outcome(error="n3: the shared directory is not there")


def test_where_both_say_the_same_nobody_is_told():
    assert doubt(known(seen("FAILED", 7 << 8), End(7))) is None
    assert doubt(known(seen("COMPLETED"), End(0))) is None
    assert doubt(known(seen("FAILED", 9))) is None
    assert doubt(known(seen("NODE_FAIL"))) is None


def test_where_they_do_not_it_is_said_who_is_believed():
    said = doubt(known(seen("FAILED", 9), End(7)))
    assert said == "Slurm says FAILED, signal KILL, its script says 7: the script is believed"
    assert "has forgotten it" in doubt(known(None, End(7)))
    assert doubt(known(seen("COMPLETED"))).endswith("Slurm is believed")


def test_an_end_is_read():
    text = b"0m0.00s 0m0.01s\n1m2.50s 0m0,25s\nsize 6\nnode n3\ncode 143 signal\n"
    assert read(text) == End(143, True, None, 6, None, 62.75, "n3")
    assert read(b"size \ncannot a b\nc\n") == End(None, False, "a b\nc", 0)
    assert read(b"size 3\n") is None
    assert read(b"") is None


def test_of_an_allocation_slurm_says_nothing_of_an_exit_code():
    found = known(seen("RUNNING"), End(7, node="n2"))._replace(packed=True)
    assert outcome_of(found).exit_code == 7
    assert doubt(found) is None
    cannot = known(None, End(None, cannot="x: not found", node="n2"))._replace(packed=True)
    assert outcome_of(cannot).error == "n2: x: not found"
    ended = known(seen("CANCELLED"), End(143, True))._replace(packed=True)
    assert outcome_of(ended).reason == "cancelled in Slurm"
