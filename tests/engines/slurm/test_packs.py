"""Several attempts in one allocation, each of them an attempt as any other, on a real cluster."""

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobd.engines.base import Attempt, Fate, NeverBegan, NoResources
from jobd.engines.slurm import ends, packs
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.notes import Note
from jobd.engines.slurm.script import BEGUN, AttemptPaths
from tests.engines.slurm.listing import listed
from tests.engines.stages import JOB, Does, PackedStage
from tests.helpers import wait_until
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture

WAITS = Does(waits=True, exit=7)


@pytest.fixture
def stage(tmp_path, cluster):  # noqa: F811
    made = PackedStage(tmp_path / "instance", cluster).begin()
    yield made
    made.close()


@pytest.fixture
def patient(monkeypatch):
    """An allocation is tried for long, whether it has ended by itself or not."""
    monkeypatch.setattr(packs, "_IDLE_S", 60.0)


def printed(stage, started):
    path = stage.engine.workspace.output_file(JOB, started.launch.attempt).path
    return Path(path).read_bytes()


def ran(stage, **more):
    """One that has been through an allocation, which waits for the next."""
    started = stage.start(Does(exit=0), **more)
    assert stage.ended(started).exit_code == 0
    return started


def folders(stage):
    return stage.engine._packs.files.names()


def until_folders_are_gone(stage):
    wait_until(lambda: not folders(stage), timeout=30)


def test_one_after_another_in_what_slurm_gives_for_one(stage):
    several = []
    for code in (3, 4, 5, 6):
        started = stage.start(Does(prints=f"I end with {code}", exit=code))
        outcome = stage.ended(started)
        assert outcome.exit_code == code
        assert outcome.at is not None
        assert outcome.cpu_s is not None
        assert started.process.host in ("n1", "n2", "n3")
        several.append(started)
    assert [printed(stage, one) for one in several] == [
        b"I end with %d" % code for code in (3, 4, 5, 6)
    ]
    first, second, third, fourth = (one.process for one in several)
    assert first.number == second.number == third.number, "three share it"
    assert fourth.number != first.number
    assert first.host == second.host == third.host
    assert stage.world.calls.count("sbatch") == 2
    until_folders_are_gone(stage)


def test_another_kind_has_another_allocation(stage):
    number = ran(stage).process.number
    for more in ({"slots": 2}, {"options": ["--nice=5"]}, {"time_limit": 60.0}):
        assert ran(stage, **more).process.number != number


def test_one_that_waits_is_gone_when_nobody_comes(stage, patient):
    number = ran(stage).process.number
    wait_until(lambda: listed(stage.cluster, number) == "COMPLETED", timeout=30)
    until_folders_are_gone(stage)
    started = stage.start(Does(exit=7))
    assert stage.ended(started).exit_code == 7, "it is refused there, and goes elsewhere"
    assert started.process.number != number


def test_a_minute_old_it_takes_nobody(stage, monkeypatch):
    monkeypatch.setattr(packs, "FRESH_S", 0.0)
    assert ran(stage).process.number != ran(stage).process.number


def test_two_at_a_time_are_in_two(stage):
    two = [stage.start(WAITS) for _ in range(2)]
    assert two[0].process.number != two[1].process.number
    for one in two:
        stage.went_on(one)
    stage.go(two[0])
    assert [stage.ended(one).exit_code for one in two] == [7, 7]


def test_there_are_no_more_than_it_may_have(tmp_path, cluster):  # noqa: F811
    stage = PackedStage(tmp_path / "instance", cluster)
    stage.settings = {"pack": 3, "max_jobs": 1}
    stage.begin()
    number = ran(stage).process.number
    started = stage.start(WAITS, slots=2)
    assert listed(cluster, number) in ("CANCELLED", "COMPLETED", "COMPLETING")
    stage.went_on(started)
    stage.go(started)
    assert stage.ended(started).exit_code == 7
    stage.close()


# --- signals ----------------------------------------------------------------------------------


def test_a_signal_reaches_this_one_and_nobody_comes_behind_it(stage):
    number = ran(stage).process.number
    started = stage.start(WAITS)
    assert started.process.number == number
    stage.went_on(started)
    stage.engine.signal([(started.process, signal.SIGTERM)])
    assert stage.ended(started).signal == "TERM"
    assert ran(stage).process.number != number


def test_kill_at_once(stage):
    ran(stage)
    started = stage.start(WAITS._replace(ignores_term=True))
    stage.went_on(started)
    stage.engine.signal([(started.process, signal.SIGKILL)])
    assert stage.ended(started).signal == "KILL"
    assert stage.processes(started) == {}


def test_what_a_stopped_one_leaves_is_ended(stage):
    line = b"(trap '' TERM; while :; do sleep 0.1; done) & touch up; wait"
    started = stage.start(Does(), argv=[b"/bin/sh", b"-c", line])
    wait_until((stage.directory / "up").exists, timeout=30)
    stage.engine.signal([(started.process, signal.SIGTERM)])
    assert stage.ended(started).signal == "TERM"
    started.process.end(0.0)
    wait_until(lambda: not stage.processes(started), timeout=30)


def test_a_signal_for_one_that_has_ended_reaches_nobody(stage):
    first = ran(stage)
    second = stage.start(WAITS)
    stage.went_on(second)
    first.process._end = Future()  # as whoever has looked a moment before its end
    stage.engine.signal([(first.process, signal.SIGKILL)])
    first.process.end(0.0)
    stage.go(second)
    assert stage.ended(second).exit_code == 7


def test_an_exit_code_like_that_of_a_signal_is_told_when_slurm_was_asked(stage):
    started = stage.start(Does(exit=143))
    assert stage.ended(started).exit_code == 143


def test_somebody_else_cancels_it(stage):
    ran(stage)
    started = stage.start(WAITS)
    stage.went_on(started)
    stage.cluster.run("scancel", str(started.process.number))
    outcome = stage.ended(started)
    assert (outcome.signal, outcome.reason) == ("TERM", "cancelled in Slurm")
    stage.engine._packs.files.delete = lambda _: None
    assert ran(stage).process.number != started.process.number


def given_up(stage):
    """An allocation that waited for its next attempt, and has just ended without a word."""
    first = ran(stage)
    number, script = first.process.number, f"/packs/{first.launch.token}/"
    for pid, command in stage.cluster.processes().items():
        if script in command:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: listed(stage.cluster, number) not in ("RUNNING", "COMPLETING"), timeout=30)
    return number


def test_one_handed_to_what_has_just_ended_has_never_begun(stage, patient):
    number, known = given_up(stage), stage.engine._files.names()
    started = stage.start(WAITS)
    assert started.process.number == number
    with pytest.raises(NeverBegan, match=f"Slurm job {number} had ended before it could begin"):
        stage.ended(started)
    assert not stage.processes(started)
    assert stage.engine._files.names() == known, "nothing is left of it"
    assert started.launch.token not in stage.engine._notes.all()
    again = stage.start(Does(exit=7))
    assert again.process.number != number
    assert stage.ended(again).exit_code == 7


def left_meanwhile(stage):
    """An allocation that ended by itself, with 0, while its next attempt was handed over."""
    first = ran(stage)
    wait_until(lambda: listed(stage.cluster, first.process.number) == "COMPLETED", timeout=30)
    folder = stage.engine._packs.files.folder(first.launch.token)
    folder.now(make=True)
    return first.process.number


@pytest.mark.parametrize("unheard", [False, True])
def test_one_that_was_withdrawn_has_not_ended_with_the_code_of_its_allocation(
    stage, patient, monkeypatch, unheard
):
    """Not where the file server has made its mark, and said that it had not, nor where the daemon
    is killed before it has acted on that.
    """
    number, withdraw, calls = left_meanwhile(stage), AttemptFiles.withdraw, []

    def first_unheard(files, token):
        calls.append(withdraw(files, token))
        if unheard and len(calls) == 1:
            raise OSError(5, "Input/output error")
        return calls[-1]

    monkeypatch.setattr(AttemptFiles, "withdraw", first_unheard)
    monkeypatch.setattr(ends, "_PATIENCE_S", 0.1)
    started = stage.start(WAITS)
    assert started.process.number == number
    wait_until(lambda: started.process.is_over, timeout=30)
    assert calls == [True] * (1 + unheard)
    found = stage.next_engine().recover([started.attempt])
    assert found == {started.launch.token: Fate.NEVER_STARTED}
    with pytest.raises(NeverBegan):
        stage.ended(started)


def test_one_that_a_node_may_have_begun_is_never_said_not_to_have(stage, patient):
    """Whoever made its mark first: if it was a node, what became of it is not known."""
    number = given_up(stage)
    launch = stage.launch(Does())
    stage.engine._submission.written(launch)
    Path(stage.engine._files.folder(launch.token).path, BEGUN).touch()
    stage.engine._files.write = lambda _, output: AttemptPaths(b"", output)
    process = stage.started(launch)
    assert process.number == number
    assert stage.ended(None, process).signal == "KILL"


def test_one_that_was_to_end_is_not_begun_anew(stage, patient):
    given_up(stage)
    started = stage.start(WAITS)
    stage.engine.signal([(started.process, signal.SIGTERM)])
    assert stage.ended(started).signal == "KILL"


# --- at most once -----------------------------------------------------------------------------


def test_killed_before_it_was_handed_over_it_never_begins(stage):
    first = ran(stage)
    launch = stage.launch(Does(prints="x"))
    stage.engine._submission.written(launch)
    stage.engine._notes.write(launch.token, Note(first.process.number, first.process.name, 2))
    attempt = first.attempt._replace(token=launch.token, attempt=launch.attempt)
    assert stage.next_engine().recover([attempt]) == {launch.token: Fate.NEVER_STARTED}
    assert stage.engine._files.names() == []
    assert stage.engine._notes.all() == {}
    wait_until(lambda: listed(stage.cluster, first.process.number) == "COMPLETED", timeout=30)


def test_killed_when_it_was_handed_over_it_runs_once(stage):
    first = ran(stage)
    started = stage.start(WAITS)
    assert started.process.number == first.process.number
    process = stage.next_engine().recover([started.attempt])[started.launch.token]
    if process is Fate.NEVER_STARTED:
        assert stage.processes(started) == {}
        return
    stage.go(started)
    assert stage.ended(started, process).exit_code == 7
    process.reap()
    until_folders_are_gone(stage)


def test_a_file_server_that_says_no_and_has_done_nothing(stage, monkeypatch):
    ran(stage)

    def refused(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stage.engine._packs.files, "hand_over", refused)
    launch = stage.launch(Does())
    with pytest.raises(NoResources, match="Input/output error"):
        stage.started(launch)
    assert stage.engine._files.names() == [stage._all[0].launch.token]


def test_a_file_server_that_says_no_and_has_done_it(stage, monkeypatch):
    ran(stage)
    hand_over = stage.engine._packs.files.hand_over

    def unheard(folder, turn, token):
        hand_over(folder, turn, token)
        wait_until(lambda: stage.engine._files.has_begun(token), timeout=30)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stage.engine._packs.files, "hand_over", unheard)
    started = stage.start(Does(exit=7))
    assert stage.ended(started).exit_code == 7


def test_a_file_server_that_does_not_even_take_it_back_is_not_believed(stage, monkeypatch):
    """It may begin at any moment: so it is watched, and never brought elsewhere."""
    ran(stage)
    hand_over = stage.engine._packs.files.hand_over

    def unheard(*args):
        hand_over(*args)
        raise OSError(5, "Input/output error")

    def unwilling(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(stage.engine._packs.files, "hand_over", unheard)
        broken.setattr(stage.engine._files, "withdraw", unwilling)
        started = stage.start(Does(exit=7))
    assert stage.ended(started).exit_code == 7


def test_one_that_was_never_noted_cannot_begin_when_it_is_said_not_to_have(stage, monkeypatch):
    """Whoever runs the cluster may release what we hold, also at this moment."""
    launch = stage.launch(Does())
    stage.engine._submission.written(launch)
    engine = stage.next_engine()
    delete, tried = engine._files.delete, []

    def meanwhile(token):
        with pytest.raises(FileExistsError):
            Path(engine._files.folder(token).path, BEGUN).touch(exist_ok=False)
        tried.append(token)
        delete(token)

    monkeypatch.setattr(engine._files, "delete", meanwhile)
    attempt = Attempt(launch.token, JOB, launch.attempt, launch.slot)
    assert engine.recover([attempt]) == {launch.token: Fate.NEVER_STARTED}
    assert tried == [launch.token]


def test_whoever_leaves_takes_nobody_in(stage):
    files = stage.engine._packs.files
    launch = stage.launch(Does())
    stage.engine._submission.written(launch)
    path = os.fsdecode(files.make("one", launch.token, 3))
    assert not files.hand_over("one", 1, launch.token), "there is somebody"
    assert files.hand_over("one", 2, launch.token)
    os.mkdir(f"{path}/3")
    assert not files.hand_over("one", 3, launch.token)
    files.delete("one")
    assert not files.hand_over("one", 4, launch.token)
    assert folders(stage) == []


def test_folders_that_nobody_needs_are_cleared(stage, monkeypatch):
    files = stage.engine._packs.files
    launch = stage.launch(Does())
    stage.engine._submission.written(launch)
    files.make("left", launch.token, 3)
    files.make("half", launch.token, 3)
    with monkeypatch.context() as broken:
        broken.setattr(os, "unlink", None)
        with pytest.raises(TypeError):
            files.delete("half")
    stage.next_engine().recover([])
    assert folders(stage) == []


def test_one_that_waits_for_its_turn_at_slurm_takes_what_is_left_meanwhile(stage, patient):
    turns = stage.engine._submission._turns
    first = stage.start(WAITS)
    submitted = stage.world.calls.count("sbatch")
    with ExitStack() as others, ThreadPoolExecutor(1) as pool:
        while turns.acquire(blocking=False):
            others.callback(turns.release)
        begun = pool.submit(stage.engine.start, stage.launch(Does(exit=3)))
        wait_until(lambda: turns._cond._waiters)
        stage.go(first)
        assert stage.ended(first).exit_code == 7
        others.close()
        process = begun.result(30)
    assert stage.ended(None, process).exit_code == 3
    assert process.number == first.process.number
    assert stage.world.calls.count("sbatch") == submitted


def test_what_a_short_one_is_about_to_leave_is_waited_for(stage, patient, monkeypatch):
    monkeypatch.setattr(packs, "_SHORT_S", 60.0)
    monkeypatch.setattr(packs, "_PATIENCE_S", 60.0)
    ran(stage)
    first = stage.start(WAITS)
    submitted = stage.world.calls.count("sbatch")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(stage.engine.start, stage.launch(Does(exit=3)))
        wait_until(lambda: stage.engine._packs._waiting or begun.done())
        stage.go(first)
        assert stage.ended(first).exit_code == 7
        process = begun.result(30)
    assert stage.ended(None, process).exit_code == 3
    assert process.number == first.process.number
    assert stage.world.calls.count("sbatch") == submitted


def test_one_of_another_kind_is_not_waited_for(stage, monkeypatch):
    monkeypatch.setattr(packs, "_PATIENCE_S", 60.0)
    first = ran(stage)
    assert ran(stage, slots=2).process.number != first.process.number
    assert not stage.engine._packs._waiting


def test_what_is_not_left_is_waited_for_a_moment(stage, monkeypatch):
    monkeypatch.setattr(packs, "_SHORT_S", 60.0)
    monkeypatch.setattr(packs, "_PATIENCE_S", 0.01)
    ran(stage)
    long = stage.start(WAITS)
    other = stage.start(Does(exit=3))
    assert stage.ended(other).exit_code == 3
    assert other.process.number != long.process.number
    assert not stage.engine._packs._waiting
    stage.go(long)
    assert stage.ended(long).exit_code == 7
