"""Each request over the socket: what it answers, what it refuses, what it leaves on disk."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.client import outputs
from jobd.contract.errors import BadRequest, NotFound, Refused, ShuttingDown
from jobd.contract.models import (
    BUNDLE,
    Acted,
    Command,
    Events,
    List,
    Options,
    Output,
    Progress,
    Restart,
    Rm,
    Selector,
    Stop,
    Submit,
    Submitted,
    Wait,
    Workers,
    WorkersReply,
)
from jobd.contract.states import State
from jobd.daemon.jobs.plan import plan_submit
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of

# --- submit and look ------------------------------------------------------------------------------


def test_a_job_from_submit_to_its_end(daemon):
    job = daemon.submit("echo out; echo err >&2; exit 3", name="mine", priority=5)
    waited = daemon.wait(job)
    assert (waited.total, waited.counts[State.FAILED], waited.last_lines) == (1, 1, {job: "err"})
    shown = daemon.client.show(job, environment=True)
    assert (shown.job.name, shown.job.priority, shown.job.exit_code) == ("mine", 5, 3)
    assert shown.environment == {b"PATH": b"/usr/bin:/bin"}
    assert [event.event for event in shown.events] == ["submitted", "started", "failed"]
    assert [attempt.exit_code for attempt in shown.attempts] == [3]
    assert daemon.output(job) == b"out\nerr\n"


def test_jobs_of_a_large_batch_have_the_order_of_its_lines(quiet):
    """They travel in bundles."""
    commands = [Command(argv=[b"%d" % number]) for number in range(10 * BUNDLE + 5)]
    answer = quiet.client.submit(Submit(commands=commands, cwd=b"/"))
    assert answer.last - answer.first == 10 * BUNDLE + 4
    for number in (0, BUNDLE, 10 * BUNDLE + 4):
        assert quiet.client.show(answer.first + number).job.argv == [str(number)]


def test_a_list_comes_in_sections_and_pages(quiet):
    quiet.submit(*["true"] * 1200)
    quiet.submit("true", "true", priority=100)
    quiet.client.stop(ids(7))
    assert quiet.listed() == [1201, 1202, *(n for n in range(1, 1201) if n != 7), 7]
    page = quiet.client.list(List(selector=Selector(ids=[(5, 9)]), limit=3))
    assert [job.id for job in page.jobs] == [5, 6, 8]
    assert page.counts[State.PENDING] == 1201
    assert quiet.listed(selector=Selector(states=[State.STOPPED])) == [7]
    assert quiet.client.list(List(selector=ids(1, 5000))).missing == [5000]
    with pytest.raises(BadRequest, match="cursor"):
        quiet.client.list(List(cursor="finished:drop table"))


def test_an_output_is_read_in_pieces_and_from_its_end(daemon):
    job = daemon.submit("seq 1000000")
    daemon.wait(job)
    pieces = list(outputs.output(daemon.client, Output(id=job), follow=False))
    assert b"".join(piece.data for piece in pieces).split() == [
        b"%d" % n for n in range(1, 1_000_001)
    ]
    assert len(pieces) > 3
    assert daemon.output(job, tail=2) == b"999999\n1000000\n"
    assert daemon.output(job, tail=0) == b""
    assert daemon.client.output(Output()).id == job
    with pytest.raises(NotFound, match="attempt 2"):
        daemon.output(job, attempt=2)


def test_an_output_is_followed_until_its_job_ends(quiet):
    job = quiet.submit("echo 1; echo 2")
    threading.Timer(0.1, lambda: quiet.client.workers(1)).start()
    follower = quiet.connect()
    said = b"".join(p.data for p in outputs.output(follower, Output(id=job), follow=True))
    assert said == b"1\n2\n"


def test_events_are_the_history_in_order(daemon):
    job = daemon.submit("true")
    daemon.wait(job)
    page = daemon.client.events(Events(after=0))
    assert [event.seq for event in page.events] == sorted(event.seq for event in page.events)
    assert [event.event for event in page.events if event.job == job] == [
        "submitted", "started", "completed",
    ]  # fmt: skip
    assert page.events[0].event == "daemon started"
    assert (page.next, page.unfinished) == (page.events[-1].seq, 0)
    first = daemon.client.events(Events(after=0, limit=2))
    rest = daemon.client.events(Events(after=first.next))
    assert [*first.events, *rest.events] == page.events
    assert daemon.client.events(Events(after=page.next, wait=0.01)).events == []


def test_a_waiter_is_told(daemon):
    job = daemon.submit("true", "sleep 100")
    assert daemon.client.wait(Wait(selector=ids(job, job + 1), any=True, wait=20)).done
    still = daemon.client.wait(Wait(selector=ids(job, job + 1), wait=0.01))
    assert (still.done, still.total) == (False, 2)
    assert daemon.client.wait(Wait(selector=ids(99))).missing == [99]
    with pytest.raises(BadRequest):
        daemon.client.wait(Wait(selector=Selector()))


def test_what_a_submit_may_not_hold(quiet):
    good = submit_of("true")
    for command, cwd, name in [
        (Command(argv=[b""]), b"/", ""),
        (Command(argv=[b"a\0b"]), b"/", ""),
        (Command(argv=[b"x" * 200_000]), b"/", ""),
        (Command(argv=[b"a", b"b"], shell=True), b"/", ""),
        (Command(argv=[b"a"]), b"relative", ""),
        (Command(argv=[b"a"]), b"/\0", ""),
        (Command(argv=[b"a"]), b"/", "two\nlines"),
    ]:
        with pytest.raises(BadRequest):
            quiet.client.submit(
                Submit(commands=[command], cwd=cwd, options=Options(name=name), environment={})
            )
    for environment in ({b"": b"x"}, {b"a=b": b"x"}, {b"a": b"\0"}):
        with pytest.raises(BadRequest, match="--env"):
            quiet.client.submit(submit_of("true", environment=environment))
    with pytest.raises(BadRequest):
        quiet.client.submit(Submit(commands=[], cwd=b"/"))
    assert quiet.client.submit(good).first == 1


# --- change --------------------------------------------------------------------------------


def test_stop_start_and_restart_of_a_job(daemon):
    job = daemon.submit("echo $JOBD_ATTEMPT; [ $JOBD_ATTEMPT = 3 ] || sleep 100")
    wait_until(lambda: daemon.output(job) == b"1\n")
    assert daemon.client.restart(ids(job)).errors[0].text.startswith("is running")
    assert daemon.client.stop(ids(job)).done == [job]
    daemon.wait(job)
    assert daemon.client.start(ids(job)).done == [job]
    wait_until(lambda: daemon.output(job) == b"2\n")
    daemon.client.stop(ids(job), signal=9)
    daemon.wait(job)
    assert daemon.job(job).signal == "KILL"
    acted = daemon.client.restart(ids(job), environment={b"PATH": b"/bin", b"NEW": b"1"})
    assert acted.attempts == {job: 3}
    daemon.wait(job)
    assert daemon.client.show(job, environment=True).environment[b"NEW"] == b"1"
    assert [daemon.output(job, attempt=n) for n in (1, 2, 3)] == [b"1\n", b"2\n", b"3\n"]
    assert "has already completed" in daemon.client.stop(ids(job)).notices[0].text
    assert daemon.client.start(ids(job)).errors[0].text.startswith("has completed")


def test_what_is_not_there_is_an_error_and_the_rest_is_done(quiet):
    quiet.submit("true", "true")
    acted = quiet.client.stop(Selector(ids=[(1, 5), (9, 9)]))
    assert acted.done == [1, 2]
    assert [(note.id, note.text) for note in acted.errors] == [(9, "does not exist")]
    for request in (quiet.client.stop, quiet.client.rm, quiet.client.restart, quiet.client.start):
        with pytest.raises(BadRequest, match="--all"):
            request(Selector())
    with pytest.raises(NotFound):
        quiet.client.show(9)


def test_rm_deletes_output_rows_and_environment(daemon):
    job = daemon.submit("echo 1", environment={b"PATH": b"/bin", b"ONLY": b"here"})
    daemon.wait(job)
    daemon.client.restart(ids(job))
    daemon.wait(job)
    paths = [daemon.paths.output_of(job, attempt) for attempt in (1, 2)]
    assert [path.read_bytes() for path in paths] == [b"1\n", b"1\n"]
    assert daemon.client.rm(ids(job)).done == [job]
    assert [path.exists() for path in paths] == [False, False]
    for table in ("jobs", "attempts", "environments", "deletions"):
        assert daemon.sql(f"SELECT * FROM {table}") == []
    assert daemon.submit("true") == job + 1


def test_an_environment_is_stored_once(quiet):
    one, other = {b"A": b"1", b"B": b"2"}, {b"A": b"1", b"B": b"3"}
    quiet.submit("true", environment=one)
    quiet.submit(*["true"] * 700, environment=dict(reversed(one.items())))
    quiet.submit("true", environment=other)
    assert quiet.sql("SELECT uses FROM environments ORDER BY uses") == [(1,), (701,)]
    quiet.client.stop(Selector(all=True))
    quiet.client.rm(Selector(all=True))
    assert quiet.sql("SELECT * FROM environments") == []


def test_progress_of_a_running_job_only(daemon):
    job = daemon.submit("sleep 100")
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    daemon.client.progress(job, 40.5, "epoch 4")
    found = daemon.job(job)
    assert (found.progress, found.progress_message) == (40.5, "epoch 4")
    daemon.client.stop(ids(job), grace=0)
    daemon.wait(job)
    with pytest.raises(Refused, match="not running"):
        daemon.client.progress(job, 50)
    with pytest.raises(NotFound):
        daemon.client.progress(99, 50)


def test_more_workers_start_waiting_jobs_at_once_and_fewer_let_them_finish(quiet):
    quiet.submit(*["sleep 100"] * 4)
    assert quiet.client.workers(3) == WorkersReply(workers=3, busy=0)
    wait_until(lambda: quiet.client.workers().busy == 3)
    assert quiet.client.workers(1).busy == 3
    quiet.client.stop(ids(1, 2), grace=0)
    quiet.wait(1, 2)
    assert quiet.client.workers().busy == 1
    assert quiet.job(4).state is State.PENDING
    quiet.client.stop(Selector(all=True), grace=0)


def test_a_draining_daemon_takes_nothing(daemon):
    job = daemon.submit("sleep 100")
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    assert daemon.client.shutdown().waiting_for == [job]
    with pytest.raises(ShuttingDown):
        daemon.submit("true")
    assert daemon.client.status().draining
    assert daemon.client.stop(ids(job), grace=0).done == [job]


# --- asked again ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 1200])
def test_the_same_submit_twice_is_one(quiet, count):
    request = submit_of(*["true"] * count)
    first = quiet.ask(request, b"once", Submitted)
    assert quiet.ask(request, b"once", Submitted) == first
    assert first.last - first.first == count - 1
    assert quiet.ask(request, b"other", Submitted).first == first.last + 1
    assert quiet.client.status().jobs[State.PENDING] == 2 * count


def test_the_same_submit_at_the_same_moment_is_one(quiet):
    request = submit_of(*["true"] * 1200)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(quiet.ask(request, b"once", Submitted)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {(answer.first, answer.last) for answer in answers} == {(1, 1200)}
    assert quiet.counts_on_disk()[State.PENDING] == 1200


def test_a_batch_that_stays_unfinished_is_never_seen(make):
    inside = make(workers=0)
    inside.submit("true")
    writer, intake = inside.daemon.built.ground.writer, inside.daemon.built.verbs.intake
    plan = plan_submit(submit_of(*["true"] * 1200), "me", intake._pack)
    batch = writer.call(lambda: intake._staging.stage(plan))
    drafts = plan.drafts(next(plan.pieces(batch.links)))
    writer.call(lambda: intake._staging.write(batch, drafts))
    assert inside.listed() == [1]
    assert inside.client.list(List(selector=ids(5))).missing == [5]
    assert inside.client.stop(Selector(ids=[(2, 600)])).done == []
    inside = make(workers=0)
    assert inside.listed() == [1]
    assert inside.sql("SELECT COUNT(*) FROM jobs") == [(1,)]
    assert inside.sql("SELECT uses FROM environments") == [(1,)]
    assert inside.submit("true") > 500


def test_the_same_restart_twice_is_one_attempt(daemon):
    job = daemon.submit("true")
    daemon.wait(job)
    request = Restart(selector=ids(job))
    first = daemon.ask(request, b"once", Acted)
    daemon.wait(job)
    assert daemon.ask(request, b"once", Acted) == first
    assert first.attempts == {job: 2}
    daemon.wait(job)
    assert daemon.job(job).attempt == 2


def test_a_mass_change_that_is_repeated_is_done_once(quiet):
    quiet.submit(*["true"] * 1200)
    stop = Stop(selector=Selector(ids=[(1, 1200), (5000, 5000)]))
    first = quiet.ask(stop, b"stop", Acted)
    assert first.done == list(range(1, 1201))
    assert [note.id for note in first.errors] == [5000]
    again = quiet.ask(stop, b"stop", Acted)
    assert (again.done, again.notices) == (first.done, [])
    removed = quiet.ask(Rm(selector=Selector(all=True)), b"rm", Acted)
    assert quiet.ask(Rm(selector=Selector(all=True)), b"rm", Acted).done == removed.done


def test_answers_outlive_the_daemon(make):
    request, workers = submit_of("true"), Workers(workers=0)
    first = make(workers=0).ask(request, b"once", Submitted)
    second = make(workers=5)
    assert second.ask(request, b"once", Submitted) == first
    assert second.ask(workers, b"w", WorkersReply).workers == 0
    second.client.workers(4)
    assert second.ask(workers, b"w", WorkersReply).workers == 0
    assert second.client.workers().workers == 4


def test_progress_twice_is_one_event(daemon):
    job = daemon.submit("sleep 100")
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    for _ in range(2):
        daemon.ask(Progress(id=job, percent=10), b"p", Acted)
    assert [event.event for event in daemon.client.show(job).events].count("progress") == 1
    daemon.client.stop(ids(job), grace=0)


# --- the counts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_counts_are_those_of_the_database(make, seed):
    """After a random sequence of all that changes something."""
    dice = random.Random(seed)
    inside = make(workers=2, grace=0.1)
    client = inside.client
    lines = ["true", "exit 1", "sleep 0.05", "kill -9 $$", "trap '' TERM; sleep 5"]

    def some():
        first = dice.randint(1, 40)
        return Selector(ids=[(first, first + dice.randint(0, 5))])

    def states():
        return Selector(states=dice.sample(list(State), 2))

    actions = [
        lambda: inside.submit(*dice.choices(lines, k=3), priority=dice.choice([0, 9])),
        lambda: client.stop(some()),
        lambda: client.stop(states(), grace=0),
        lambda: client.start(some()),
        lambda: client.restart(some()),
        lambda: client.rm(some()),
        lambda: client.workers(dice.randint(0, 5)),
    ]  # fmt: skip
    for _ in range(60):
        dice.choice(actions)()
    client.workers(0)
    client.stop(Selector(states=[State.RUNNING]), grace=0)
    wait_until(lambda: not inside.client.status().busy)
    wait_until(lambda: not inside.daemon.built.execution.runs)
    inside.daemon.built.ground.writer.call(
        lambda: None
    )  # memory changes a moment before the disk does
    ledger = inside.daemon.built.ground.ledger
    assert ledger.counts == inside.counts_on_disk() == inside.daemon.built.ground.reader.counts()
    assert len(ledger.queue) == ledger.counts[State.PENDING]
    files = {name for _, _, names in os.walk(inside.paths.output) for name in names}
    known = {f"{job}.{n}.log" for job, n in inside.sql("SELECT job, attempt FROM attempts")}
    assert files <= known
    assert inside.sql("SELECT * FROM deletions") == []
    used = dict(inside.sql("SELECT environment, COUNT(*) FROM jobs GROUP BY environment"))
    assert used == dict(inside.sql("SELECT id, uses FROM environments"))


def test_limits_of_a_section_hold_over_all_pages(quiet):
    quiet.submit(*["true"] * 1201)
    assert quiet.listed(pending=700) == list(range(1, 701))
    quiet.client.stop(Selector(ids=[(1, 600)]))
    assert len(quiet.listed(pending=550, finished=520)) == 550 + 520
    assert len(quiet.listed(pending=550, finished=520, limit=600)) == 600
    assert quiet.listed(selector=Selector(states=[State.STOPPED]), limit=2) == [600, 599]


def test_any_of_a_range_is_enough_and_others_do_not_count(make):
    inside = make(workers=1)
    job = inside.submit("sleep 100", "true", "true")
    with ThreadPoolExecutor() as pool:
        chosen = Selector(ids=[(job, job + 1)])
        waiting = pool.submit(inside.client.wait, Wait(selector=chosen, any=True, wait=20))
        wait_until(lambda: inside.daemon.built.ground.notifier._several)
        with inside.connect() as other:
            other.stop(ids(job + 2))
            assert not waiting.done()
            other.stop(ids(job + 1))
            assert waiting.result(20).done
            assert other.wait(Wait(selector=chosen, any=True, wait=0)).done
            assert not other.wait(Wait(selector=chosen, wait=0)).done


def test_asked_again_the_errors_are_given_again(quiet):
    quiet.submit("true", "true")
    request = Stop(selector=ids(1, 2, 7, 9))
    first = quiet.ask(request, b"once", Acted)
    assert [note.id for note in first.errors] == [7, 9]
    assert quiet.ask(request, b"once", Acted) == first
    gone = quiet.ask(Rm(selector=ids(1, 7)), b"gone", Acted)
    assert ([note.id for note in gone.errors], gone.done) == ([7], [1])
    assert quiet.ask(Rm(selector=ids(1, 7)), b"gone", Acted) == gone
