"""What every engine has to do: what the daemon relies on, asked of each of them alike."""

import os
import signal
import threading
import time

import pytest

from jobd.engines.base import (
    Attempt,
    Away,
    BadSetting,
    CannotStart,
    Fate,
    Heritage,
    NoResources,
)
from jobd.system.write_watch import Watched, WriteWatch
from tests.engines.stages import JOB, Does
from tests.helpers import descriptors, wait_until

WAITS = Does(waits=True, exit=7)
UNKNOWN = Attempt("f" * 32, 99, 1, 99)


def ended(outcome):
    return outcome.exit_code, outcome.signal


def recovered(stage, *attempts):
    """What the next engine says of these."""
    found = stage.next_engine().recover(list(attempts))
    return [found.get(attempt.token, Fate.LOST) for attempt in attempts]


def printed(stage, started, offset=0, tail=None):
    return stage.output(started).piece(offset, tail, missing_ok=True).data


# --- start, and the end ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 7])
def test_it_runs_and_its_exit_code_is_known(stage, code):
    started = stage.start(Does(exit=code))
    assert ended(stage.ended(started)) == (code, None)
    assert ended(stage.ended(started)) == (code, None), "it is told again, until it is reaped"
    started.process.end(time.monotonic())
    started.process.reap()


def test_a_script_runs(stage):
    started = stage.start(Does(exit=3, prints="from a script", script=True))
    assert ended(stage.ended(started)) == (3, None)
    assert printed(stage, started) == b"from a script"
    started.process.reap()


def test_what_cannot_be_started_is_said(stage):
    launch = stage.unstartable()
    try:
        process = stage.started(launch)
    except CannotStart as error:
        said = str(error)
    else:
        # Only where it was to run that could be seen.
        said = stage.ended(None, process).error
        process.reap()
    assert "not found" in said


def test_an_option_that_no_job_may_have_is_named_before_anything_starts(stage):
    stage.takes_no_options()
    stage.engine.check_options([])
    launch = stage.launch(Does(exit=3), options=["--requeue"])
    for ask in (lambda: stage.engine.check_options(launch.options), lambda: stage.started(launch)):
        with pytest.raises(CannotStart, match=r"^--requeue: "):
            ask()
    attempt = Attempt(launch.token, JOB, launch.attempt, launch.slot)
    assert recovered(stage, attempt) == [Fate.NEVER_STARTED]


def test_without_room_nothing_has_started(stage):
    launch = stage.launch(Does(exit=3))
    with stage.no_room(), pytest.raises(NoResources, match="no process left"):
        stage.started(launch)
    attempt = Attempt(launch.token, JOB, launch.attempt, launch.slot)
    assert recovered(stage, attempt) == [Fate.NEVER_STARTED]
    started = stage.start(Does(exit=3))
    assert ended(stage.ended(started)) == (3, None)
    started.process.reap()


def test_whoever_waits_hears_of_the_end(stage):
    started = stage.start(WAITS)
    heard = []
    waiter = threading.Thread(target=lambda: heard.append(started.process.wait()))
    waiter.start()
    assert heard == []
    stage.go(started)
    waiter.join(30)
    assert [ended(outcome) for outcome in heard] == [(7, None)]
    started.process.reap()


# --- signals --------------------------------------------------------------------------------------


def test_a_signal_ends_it(stage):
    started = stage.start(WAITS)
    stage.engine.signal([(started.process, signal.SIGTERM)])
    assert ended(stage.ended(started)) == (None, "TERM")
    started.process.reap()


def test_many_are_signalled_together(stage):
    several = [stage.start(WAITS) for _ in range(5)]
    stage.engine.signal([(one.process, signal.SIGKILL) for one in several])
    assert {ended(stage.ended(one)) for one in several} == {(None, "KILL")}
    for one in several:
        one.process.reap()


def test_a_stop_with_grace(stage):
    started = stage.start(Does(waits=True, ignores_term=True, prints="up"))
    wait_until(lambda: printed(stage, started) == b"up")
    stage.engine.signal([(started.process, signal.SIGTERM)])
    stage.time_passes(started)
    stage.engine.signal([(started.process, signal.SIGKILL)])
    assert ended(stage.ended(started)) == (None, "KILL")
    started.process.end(time.monotonic())
    started.process.reap()


def test_one_that_has_ended_hears_no_signal(stage):
    started = stage.start(Does(exit=3))
    assert ended(stage.ended(started)) == (3, None)
    stage.engine.signal([(started.process, signal.SIGKILL)])
    assert ended(stage.ended(started)) == (3, None)
    started.process.reap()
    stage.engine.signal([(started.process, signal.SIGKILL)])


def test_a_pause_and_its_end(stage):
    started = stage.start(WAITS)
    stage.engine.signal([(started.process, signal.SIGSTOP)])
    wait_until(lambda: stage.stands_still(started))
    stage.engine.signal([(started.process, signal.SIGCONT)])
    wait_until(lambda: not stage.stands_still(started))
    stage.go(started)
    assert ended(stage.ended(started)) == (7, None)
    started.process.reap()


# --- what is known of it --------------------------------------------------------------------------


def test_where_it_runs(stage):
    started = stage.start(WAITS)
    wait_until(lambda: stage.engine.host or started.process.host, timeout=30)
    pid = started.process.pid
    assert pid is None or os.getpgid(pid) == pid


def test_its_age_counts_from_its_begin_whoever_asks(stage):
    started = stage.start(WAITS)
    young = started.process.age()
    stage.time_passes(started)
    older = started.process.age()
    assert 0.0 <= young < older
    (process,) = recovered(stage, started.attempt)
    assert process.age() >= older


def test_what_it_uses_is_seen_while_it_runs(stage):
    started = stage.start(WAITS)
    stage.time_passes(started)
    [used] = stage.engine.usage([started.process])
    assert used.cpu_s >= 0.0
    assert used.max_rss_kb > 0
    assert used.rss_kb is None or used.rss_kb > 0
    stage.go(started)
    outcome = stage.ended(started)
    assert outcome.cpu_s >= 0.0
    assert outcome.max_rss_kb is None or outcome.max_rss_kb > 0
    started.process.reap()
    assert len(stage.engine.usage([started.process])) == 1, "also when it is gone"
    assert list(stage.engine.usage([])) == []


# --- what it leaves -------------------------------------------------------------------------------


def test_its_output_is_read_by_offset_while_it_runs(stage):
    started = stage.start(Does(waits=True, prints="one\ntwo\n"))
    output = stage.output(started)
    wait_until(lambda: printed(stage, started) == b"one\ntwo\n")
    found = output.piece(4, None, missing_ok=False)
    assert (found.data, found.offset, found.next, found.last) == (b"two\n", 4, 8, True)
    assert output.piece(8, None, missing_ok=False).data == b""
    stage.go(started, "three")
    stage.ended(started)
    assert output.piece(8, None, missing_ok=False).data == b"three"
    assert [printed(stage, started, tail=lines) for lines in (0, 1, 2, 9)] == [
        b"", b"three", b"two\nthree", b"one\ntwo\nthree",
    ]  # fmt: skip
    assert (output.begin(3), output.end(3), output.size()) == (b"one", b"ree", 13)
    assert [output.has_more(offset) for offset in (0, 12, 13, 99)] == [True, True, False, False]
    none = stage.engine.workspace.output_of(JOB, 99)
    assert not none.has_more(0)
    assert output.path
    started.process.reap()


def test_whoever_follows_is_woken_by_what_is_written(stage):
    started = stage.start(Does(waits=True, prints="one\n"))
    wait_until(lambda: printed(stage, started))
    output, woken = stage.output(started), threading.Event()
    writes = WriteWatch()
    if output.watched is None:
        end = output.watch(woken.set)
    else:
        assert writes.add(output.watched, woken.set) is Watched.SINCE_NOW
        end = writes.close
    assert printed(stage, started) == b"one\n"
    stage.go(started, "two\n")
    assert woken.wait(30)
    end()
    stage.ended(started)
    started.process.reap()


def test_what_grows_is_read_when_it_has_grown(stage):
    started = stage.start(Does(waits=True, prints="10%\n", reports="50\n"))
    number = started.launch.attempt
    report = stage.engine.workspace.report_of(JOB, number, 4096)
    growing = stage.output(started).growing(4096)
    wait_until(lambda: (report.news(), growing.news()) == (b"50\n", b"10%\n"))
    # Not before the clock of the last change has gone on.
    wait_until(lambda: (report.news(), growing.news()) == (None, None))
    growing.forget()
    assert growing.news() == b"10%\n"
    assert stage.output(started).growing(2).news() == b"%\n"
    stage.go(started, "20%\n")
    stage.ended(started)
    assert growing.news() == b"10%\n20%\n"
    started.process.reap()


def test_what_it_needed_while_it_ran_goes_and_its_output_stays(stage):
    started = stage.start(Does(prints="one", reports="50\n", script=True))
    stage.ended(started)
    started.process.reap()
    workspace, number = stage.engine.workspace, started.launch.attempt
    workspace.tidy(JOB, number, b"script.sh")
    assert workspace.report_of(JOB, number, 4096).news() is None
    assert printed(stage, started) == b"one"
    workspace.tidy(JOB, number, b"script.sh")
    workspace.delete(JOB, number)
    workspace.delete_empty_folders([JOB])
    workspace.sync_folders([JOB])
    assert printed(stage, started) == b""
    workspace.make_anew(JOB, number)
    workspace.make_anew(JOB, number)
    assert stage.output(started).piece(0, None, missing_ok=False).data == b""
    workspace.delete(JOB, number)
    workspace.release()


# --- recovery -------------------------------------------------------------------------------------


def test_a_running_attempt_is_found_again(stage):
    started = stage.start(Does(waits=True, exit=7, prints="one\n"))
    wait_until(lambda: printed(stage, started))
    (process,) = recovered(stage, started.attempt)
    assert process.pid == started.process.pid
    stage.go(started, "two\n")
    assert ended(stage.ended(started, process)) == (7, None)
    assert printed(stage, started) == b"one\ntwo\n"
    process.reap()


def test_a_recovered_attempt_is_signalled(stage):
    started = stage.start(WAITS)
    (process,) = recovered(stage, started.attempt)
    stage.engine.signal([(process, signal.SIGTERM)])
    assert ended(stage.ended(started, process)) == (None, "TERM")
    process.end(time.monotonic())
    process.reap()


def test_how_one_ended_that_nobody_saw_end_is_known(stage):
    started = stage.start(Does(exit=7))
    stage.until_ended(started)
    (process,) = recovered(stage, started.attempt)
    assert ended(stage.ended(started, process)) == (7, None)
    # The daemon was killed before it was on disk: the next one asks, too.
    (again,) = recovered(stage, started.attempt)
    assert ended(stage.ended(started, again)) == (7, None)
    again.reap()


def test_what_was_never_started_is_not_lost(stage):
    started = stage.start(WAITS)
    process, fate = recovered(stage, started.attempt, UNKNOWN)
    assert fate is Fate.NEVER_STARTED
    stage.go(started)
    assert ended(stage.ended(started, process)) == (7, None)
    process.reap()


def test_what_cannot_be_known_is_lost(stage):
    started = stage.start(WAITS)
    stage.loses(started)
    found = recovered(stage, started.attempt)[0]
    assert found is Fate.LOST or stage.ended(started, found).lost


def test_signal_0_only_shows_what_may_be_signalled(stage):
    started = stage.start(WAITS)
    stage.engine.signal([(started.process, 0)])
    assert list(started.process.refusals) == []
    stage.go(started)
    assert ended(stage.ended(started)) == (7, None)
    started.process.reap()


# --- away, and the end of the engine --------------------------------------------------------------


@pytest.fixture
def away(stage):
    if not stage.can_be_away:
        pytest.skip(f"the engine {stage.name} is never away")
    return stage


def test_while_it_is_away_nothing_starts_and_nothing_fails(away):
    running, launch = away.start(WAITS), away.launch(Does(exit=3))
    away.world.goes_away("no answer")
    with pytest.raises(Away, match="no answer"):
        away.started(launch)
    with pytest.raises(Away, match="no answer"):
        away.engine.signal([(running.process, signal.SIGTERM)])
    away.world.comes_back()
    attempt = Attempt(launch.token, JOB, launch.attempt, launch.slot)
    process, fate = recovered(away, running.attempt, attempt)
    assert fate is Fate.NEVER_STARTED
    away.go(running)
    assert ended(away.ended(running, process)) == (7, None)


def test_what_ends_while_it_is_away_is_heard_of_when_it_is_back(away):
    told = []
    away.next_engine(back=lambda: told.append(True)).recover([])
    started = away.start(WAITS)
    away.world.goes_away("no answer")
    away.notices()
    away.go(started)
    heard = []
    waiter = threading.Thread(target=lambda: heard.append(started.process.wait()))
    waiter.start()
    waiter.join(0.05)
    assert heard == [] or away.hears_while_away
    assert started.process.age() >= 0.0
    away.world.comes_back()
    waiter.join(30)
    assert [ended(outcome) for outcome in heard] == [(7, None)]
    assert told == [True] or away.hears_while_away


def test_one_that_begins_while_it_is_away_finds_them_later(away):
    started = away.start(WAITS)
    away.world.goes_away("no answer")
    engine = away.next_engine()
    with pytest.raises(Away, match="no answer"):
        engine.recover([started.attempt])
    away.world.comes_back()
    process = engine.recover([started.attempt])[started.launch.token]
    away.go(started)
    assert ended(away.ended(started, process)) == (7, None)


def test_a_closed_engine_gives_back_all_it_had(stage):
    stage.engine.close()
    stage.engine.workspace.release()
    before, threads = descriptors(), threading.active_count()
    engine = stage.next_engine()
    engine.recover([])
    started = stage.start(WAITS)
    second = stage.next_engine()
    process = second.recover([started.attempt])[started.launch.token]
    stage.go(started)
    stage.ended(started, process)
    second.close()
    second.close()
    for one in (engine, second):
        one.workspace.release()
    assert descriptors().items() <= before.items()
    wait_until(lambda: threading.active_count() <= threads)


def test_a_closed_engine_starts_nothing(stage):
    stage.engine.close()
    with pytest.raises(NoResources):
        stage.started(stage.launch(Does()))


def test_what_it_leaves_is_its_own(stage):
    started = stage.start(WAITS)
    stage.next_engine().recover([started.attempt])
    stage.engine.freeze()
    left = stage.engine.heritage()
    assert isinstance(left, Heritage)
    for descriptor in left.descriptors.values():
        os.fstat(descriptor)
    kept = {name: os.dup(number) for name, number in left.descriptors.items()}
    heir = stage.next_engine(heritage=Heritage(kept, left.data))
    process = heir.recover([started.attempt])[started.launch.token]
    stage.go(started)
    assert ended(stage.ended(started, process))[1] is None
    process.reap()


def test_a_key_that_it_does_not_know_is_refused(stage):
    with pytest.raises(BadSetting, match="has no key nonsense"):
        type(stage.engine).check({"nonsense": 1})
    type(stage.engine).check({})
