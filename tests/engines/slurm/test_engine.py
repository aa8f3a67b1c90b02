"""What the Slurm engine promises beyond the suite that all engines pass, on a real cluster."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from jobd.core.transitions import verdict
from jobd.engines.base import Attempt, Away, CannotStart, Fate, NoResources
from jobd.engines.slurm import ends, script, watcher
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.notes import Note
from tests.engines.slurm.listing import listed
from tests.engines.stages import JOB, Does, SlurmStage
from tests.helpers import wait_until
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture

WAITS = Does(waits=True, exit=7)


@pytest.fixture
def slurm(tmp_path, cluster):  # noqa: F811
    made = SlurmStage(tmp_path / "instance", cluster).begin()
    yield made
    made.close()


def attempt_of(launch):
    return Attempt(launch.token, JOB, launch.attempt, launch.slot)


def why(outcome):
    return verdict(outcome, None, requeue=False).reason


def submitted(slurm, does):
    """As far as it gets before its number is noted."""
    launch = slurm.launch(does)
    engine = slurm.engine
    place = engine._submission.written(launch)
    number = engine._commands.submit(slurm.name_of(launch), script.stub(place), [])
    return launch, number


def ended(slurm, process):
    return slurm.ended(None, process)


# --- at most once -----------------------------------------------------------------------------


def test_killed_before_its_number_was_noted_it_never_started(slurm):
    with slurm.engine._watcher.starting(""):
        pass
    slurm.engine.close()
    launch, number = submitted(slurm, Does(prints="x"))
    fate = slurm.next_engine().recover([attempt_of(launch)])[launch.token]
    assert fate is Fate.NEVER_STARTED
    wait_until(lambda: listed(slurm.cluster, number) == "CANCELLED", timeout=30)
    output = Path(slurm.engine.workspace.output_of(JOB, launch.attempt).path)
    assert output.read_bytes() == b""
    assert slurm.engine._files.names() == []


def test_killed_before_it_was_released_it_runs_once(slurm):
    slurm.engine.close()
    launch, number = submitted(slurm, Does(prints="x", exit=7))
    slurm.engine._notes.write(launch.token, Note(number))
    process = slurm.next_engine().recover([attempt_of(launch)])[launch.token]
    assert ended(slurm, process).exit_code == 7
    output = Path(slurm.engine.workspace.output_of(JOB, launch.attempt).path)
    assert output.read_bytes() == b"x"


def test_one_that_begins_while_it_is_looked_for_is_taken_over(slurm, monkeypatch):
    """Somebody releases it by hand, in the instant before it would be withdrawn."""
    slurm.engine.close()
    launch, _ = submitted(slurm, Does(prints="x", exit=7))
    withdraw = AttemptFiles.withdraw

    def too_late(files, token):
        slurm.engine._commands.release(slurm.name_of(launch))
        wait_until(lambda: files.begun_at(token) is not None, timeout=30)
        return withdraw(files, token)

    monkeypatch.setattr(AttemptFiles, "withdraw", too_late)
    process = slurm.next_engine().recover([attempt_of(launch)])[launch.token]
    assert process is not Fate.LOST
    assert ended(slurm, process).exit_code == 7


def test_one_that_could_not_be_released_is_when_slurm_answers_again(slurm):
    slurm.world.says("lame")
    started = slurm.start(Does(exit=7))
    wait_until(lambda: slurm.world.calls.count("scontrol") > 1, timeout=30)
    slurm.world.says_no_more("lame")
    assert slurm.ended(started).exit_code == 7


def test_a_submission_without_an_answer_starts_nothing_and_is_cancelled(slurm):
    slurm.world.says("unheard")
    launch = slurm.launch(Does(prints="x"))
    with pytest.raises(Away, match="Socket timed out"):
        slurm.started(launch)
    name = slurm.name_of(launch)
    wait_until(lambda: listed(slurm.cluster, name) == "CANCELLED", timeout=30)
    slurm.world.says_no_more("unheard")
    assert slurm.engine.recover([attempt_of(launch)]) == {launch.token: Fate.NEVER_STARTED}


def test_a_number_that_cannot_be_noted_is_cancelled(slurm, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(slurm.engine._notes, "write", full)
    launch = slurm.launch(Does())
    with pytest.raises(NoResources, match="No space left"):
        slurm.started(launch)
    assert listed(slurm.cluster, slurm.name_of(launch)) == "CANCELLED"


def test_held_jobs_of_another_instance_are_left_alone(slurm, tmp_path, cluster):  # noqa: F811
    other = SlurmStage(tmp_path / "other", cluster).begin()
    launch, number = submitted(other, Does())
    started = slurm.start(Does())
    slurm.ended(started)
    assert listed(cluster, number) == "PENDING"
    cluster.run("scancel", str(number))
    other.engine._files.delete(launch.token)
    other.close()


# --- how it ended -----------------------------------------------------------------------------


def test_slurmctld_dies_and_comes_back(slurm):
    started = slurm.start(WAITS)
    slurm.cluster.saves()
    slurm.cluster.kill("slurmctld")
    slurm.go(started)
    slurm.cluster.start("slurmctld")
    assert slurm.ended(started).exit_code == 7


def test_slurmctld_dies_and_has_forgotten_it(slurm):
    """Its script runs on for a while, and tells the truth at its end."""
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.world.forgets(started.launch.token)
    asked = slurm.world.calls.count("squeue")
    wait_until(lambda: slurm.world.calls.count("squeue") > asked + 1)
    assert not started.process.is_over
    slurm.go(started)
    assert slurm.ended(started).exit_code == 7


def test_slurmd_dies_and_comes_back(slurm):
    started = slurm.start(WAITS)
    slurm.went_on(started)
    node = wait_until(lambda: started.process.host, timeout=30)
    slurm.cluster.kill(node)
    slurm.go(started)
    slurm.cluster.start(node)
    assert slurm.ended(started).exit_code == 7


@pytest.mark.slow  # until Slurm gives a node up
def test_a_node_dies_with_all_that_runs_on_it(slurm):
    started = slurm.start(WAITS)
    slurm.went_on(started)
    node = wait_until(lambda: started.process.host, timeout=30)
    slurm.cluster.fail(node)
    wait_until(lambda: started.process.is_over, timeout=120)
    outcome = slurm.ended(started)
    slurm.cluster.start(node)
    assert outcome.lost
    assert why(outcome) == f"lost: {node} failed"


@pytest.fixture
def unnoticed(slurm, monkeypatch):
    """One that is over, and Slurm says for a long time that it runs: what saw to it has died."""
    monkeypatch.setattr(ends, "UNNOTICED_S", 0.2)
    monkeypatch.setattr(ends, "SLURMS_S", 0.2)
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.cluster.kill_step(slurm.processes(started))
    slurm.go(started)
    assert started.process.wait().exit_code == 7
    return started


def test_what_sees_to_it_on_its_node_dies(slurm, unnoticed):
    number = unnoticed.process.number
    assert listed(slurm.cluster, number) == "RUNNING"  # it is not cancelled before that is recorded
    unnoticed.process.reap()
    wait_until(lambda: "RUN" not in listed(slurm.cluster, number), timeout=60)


def test_slurm_gives_it_up_also_where_a_daemon_has_died_in_between(slurm, unnoticed):
    slurm.next_engine().recover([])
    wait_until(lambda: "RUN" not in listed(slurm.cluster, unnoticed.process.number), timeout=60)


def test_slurm_gives_it_up_when_it_is_there_again(slurm, unnoticed):
    slurm.world.goes_away("slurm_load_jobs error: Unable to contact slurm controller")
    unnoticed.process.reap()
    slurm.world.comes_back()
    slurm.next_engine().recover([])
    wait_until(lambda: "RUN" not in listed(slurm.cluster, unnoticed.process.number), timeout=60)


def test_what_sees_to_it_has_died_and_it_is_told_to_end_when_it_has(slurm):
    """Whoever has told it is not kept waiting for what nobody will say."""
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.cluster.kill_step(slurm.processes(started))
    slurm.go(started)
    wait_until(lambda: slurm.engine._files.end(started.launch.token), timeout=30)
    began = time.monotonic()
    slurm.engine.signal([(started.process, signal.SIGTERM)])
    assert slurm.ended(started).exit_code == 7
    assert time.monotonic() - began < ends.UNNOTICED_S


def test_what_sees_to_it_has_died_and_it_is_to_be_killed(slurm, monkeypatch):
    """No signal reaches it any more; Slurm gives it up, and says so."""
    monkeypatch.setattr(ends, "_DEAF_S", 0.2)
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.cluster.kill_step(slurm.processes(started))
    slurm.engine.signal([(started.process, signal.SIGKILL)])
    assert slurm.ended(started).signal == "KILL"


def test_who_is_told_to_end_after_a_long_quiet_is_asked_for_often_again(slurm):
    started = slurm.start(WAITS)
    slurm.went_on(started)
    pause = slurm.engine._watcher._pause
    pause._happened -= 3600  # for an hour nothing has begun or ended
    pause.begin()
    assert pause.left() > pause._poll_s
    slurm.engine.signal([(started.process, signal.SIGTERM)])
    assert pause.left() <= pause._poll_s
    slurm.ended(started)


def test_somebody_else_cancels_it(slurm):
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.cluster.run("scancel", f"--name={slurm.name_of(started.launch)}")
    assert why(slurm.ended(started)) == "cancelled in Slurm"


def test_where_there_is_accounting_it_says_who_has_cancelled_it(slurm):
    slurm.world.has_accounting("CANCELLED by 0|")
    started = slurm.start(WAITS)
    slurm.went_on(started)
    slurm.cluster.run("scancel", f"--name={slurm.name_of(started.launch)}")
    assert why(slurm.ended(started)) == "cancelled by root"


def test_where_there_is_accounting_it_says_the_peak_memory(slurm):
    slurm.world.has_accounting("COMPLETED|12M")
    outcome = slurm.ended(slurm.start(Does(exit=7)))
    assert (outcome.exit_code, outcome.max_rss_kb) == (7, 12 * 1024)


def test_where_there_is_none_it_is_asked_once(slurm):
    for _ in range(2):
        outcome = slurm.ended(slurm.start(Does(exit=7)))
        assert (outcome.exit_code, outcome.max_rss_kb) == (7, None)
    assert slurm.world.calls.count("sacct") == 1


def test_gpus_are_asked_for_as_the_configuration_says(slurm):
    slurm.engine._submission._gpu_option = "--no-such=%d"
    with pytest.raises(CannotStart, match="unrecognized option '--no-such=2'"):
        slurm.started(slurm.launch(Does(), gpus=2))
    slurm.engine._submission._gpu_option = "--gres=gpu:%d"
    with pytest.raises(CannotStart, match="generic resource"):
        slurm.started(slurm.launch(Does(), gpus=2))


def test_one_that_waits_in_slurm_is_stopped(slurm):
    slurm.world.says("lame")
    started = slurm.start(WAITS)
    slurm.engine.signal([(started.process, signal.SIGTERM)])
    slurm.world.says_no_more("lame")
    assert slurm.ended(started).signal == "TERM"
    assert slurm.processes(started) == {}


def test_who_is_signalled_is_looked_at_soon_however_long_nothing_has_happened(slurm, monkeypatch):
    monkeypatch.setattr(watcher, "_QUIET", 1e9)
    monkeypatch.setattr(watcher, "_RAREST", 1e6)
    slurm.world.says("lame")
    started = slurm.start(WAITS)
    wait_until(lambda: slurm.engine._watcher._pause.left() > 100)
    slurm.engine.signal([(started.process, signal.SIGTERM)])
    slurm.world.says_no_more("lame")
    assert slurm.ended(started).signal == "TERM"


def test_what_slurm_has_forgotten_is_told_by_what_its_script_wrote(slurm):
    started = slurm.start(Does(exit=7))
    slurm.until_ended(started)
    slurm.world.forgets(started.launch.token)
    process = slurm.next_engine().recover([started.attempt])[started.launch.token]
    assert ended(slurm, process).exit_code == 7


def test_a_directory_that_its_node_does_not_have(slurm):
    started = slurm.start(Does(), argv=[b"true"])
    assert slurm.ended(started).exit_code == 0
    launch = slurm.launch(Does())
    process = slurm.started(type(launch)(**{**_fields(launch), "cwd": b"/nowhere/at all"}))
    error = ended(slurm, process).error
    assert error.endswith(": /nowhere/at all: directory: cannot be entered")
    assert error.split(":")[0] in ("n1", "n2", "n3")


def _fields(launch):
    return {name: getattr(launch, name) for name in launch.__struct_fields__}


def test_an_option_that_slurm_does_not_take_is_the_jobs_own_fault(slurm):
    launch = slurm.launch(Does(), slots=100_000)
    with pytest.raises(CannotStart, match=r"^Slurm: .*not available"):
        slurm.started(launch)
    assert listed(slurm.cluster, slurm.name_of(launch)) == "CANCELLED"
    assert slurm.engine._notes.all() == {}


def test_options_that_no_sbatch_has_are_the_fault_of_who_wrote_them(slurm):
    with pytest.raises(CannotStart, match=r"^Slurm: .*unrecognized option"):
        slurm.started(slurm.launch(Does(), options=["--no-such"]))
    slurm.engine._commands._options = ["--no-such"]
    with pytest.raises(NoResources, match=r"^Slurm: .*unrecognized option"):
        slurm.started(slurm.launch(Does()))


# --- what it costs, and who sees it -----------------------------------------------------------


def test_slurm_is_asked_once_for_all_and_not_at_all_while_nothing_runs(slurm):
    several = [slurm.start(WAITS) for _ in range(4)]
    for one in several:
        slurm.went_on(one)
    watching = slurm.engine._watcher
    before = slurm.world.calls.count("squeue")
    began = time.monotonic()
    wait_until(lambda: slurm.world.calls.count("squeue") >= before + 5, timeout=30)
    assert time.monotonic() - began >= 4 * 0.05
    slurm.go(several[0])
    for one in several:
        assert slurm.ended(one).exit_code == 7
    wait_until(lambda: not watching._watched)
    asked = slurm.world.calls.count("squeue")
    with watching._changed:
        assert watching._needed_in() is None
    assert slurm.world.calls.count("squeue") == asked


@pytest.fixture
def open_handed():
    """An umask that keeps nothing from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_handed")
def test_nobody_else_reads_what_lies_in_the_shared_directory(slurm):
    started = slurm.start(Does(waits=True, prints="x", reports="5", script=True))
    slurm.went_on(started)
    shared = Path(slurm.engine.workspace.output.path).parent
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (shared, *shared.rglob("*"))}
    folders = [p for p in modes if p.is_dir()]
    assert {modes[p] for p in folders} == {0o700}
    report = Path(slurm.engine.workspace.report_path(JOB, started.launch.attempt))
    assert {modes[p] & 0o077 for p in modes if p.is_file() and p != report} == {0}
    slurm.go(started)
    slurm.ended(started)


def test_when_it_is_let_go_nothing_of_it_is_left_but_its_output(slurm):
    started = slurm.start(Does(prints="x"))
    slurm.ended(started)
    assert slurm.engine._files.names() == [started.launch.token]
    started.process.reap()
    assert slurm.engine._files.names() == []
    assert slurm.engine._notes.all() == {}


def test_what_a_daemon_left_that_died_before_it_let_go_is_cleared(slurm):
    started = slurm.start(Does())
    slurm.ended(started)
    slurm.next_engine().recover([])
    assert slurm.engine._files.names() == []
    assert slurm.engine._notes.all() == {}
