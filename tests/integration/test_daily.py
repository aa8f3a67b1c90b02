"""Everyday commands against a real daemon that starts nothing by itself."""

import msgspec
import pytest

from jobd.client import follow, outputs
from jobd.contract.models import Command, Edit, List, Options, Output, Pause, Selector, Submit
from jobd.contract.ranges import ids_in
from jobd.contract.states import State
from jobd.daemon.queries import list as list_query
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of
from tests.jobctl.fakes import jobctl


@pytest.fixture
def queue(quiet):
    """Three of `night` (one of them held, one stopped), one by itself that is held."""
    for name, tags, hold in (
        ("train1", ["night"], False),
        ("train2", ["night"], True),
        ("eval", ["night"], False),
        ("other", [], True),
    ):
        request = Submit(
            commands=[Command(argv=[b"true"])], cwd=b"/",
            options=Options(name=name, tags=tags, hold=hold),
        )  # fmt: skip
        quiet.client.submit(request)
    quiet.client.stop(ids(3))
    return quiet


def run(queue, *args):
    result = jobctl(*args, client=queue.client)
    return result.code, result.out.split(), result.stderr


def test_start_of_a_filter_takes_what_is_held_or_stopped(queue):
    assert run(queue, "start", "--tag", "night", "--dry-run") == (0, ["2", "3"], "")
    assert run(queue, "start", "--tag", "night") == (0, ["2", "3"], "")
    assert {queue.job(job).reason for job in (1, 2, 3)} == {"queued"}
    assert queue.job(4).reason == "held"
    assert run(queue, "start", "--tag", "night") == (0, [], "")
    assert run(queue, "start", "1", "4", "9") == (
        1, ["4"], "job 1 is already pending\njobctl: job 9 does not exist\n",
    )  # fmt: skip


def test_hold_of_a_filter_takes_what_waits(queue):
    held = (0, ["1"], "job 2 is already held\n")
    assert run(queue, "hold", "--name", "train*", "--dry-run") == held
    assert run(queue, "hold", "--name", "train*") == held
    assert run(queue, "hold", "3")[2] == "job 3 has already been stopped\n"


def test_rm_of_what_finished_long_ago(queue):
    assert run(queue, "rm", "--finished", "--older-than", "1h") == (0, [], "")
    assert run(queue, "rm", "--finished", "--older-than", "0", "--dry-run") == (0, ["3"], "")
    assert run(queue, "rm", "--finished", "--older-than", "0") == (0, ["3"], "")
    assert run(queue, "show", "3")[0] == 1


def test_filters_add_up(queue):
    assert run(queue, "ls", "--ids", "--tag", "night", "--state", "pending")[1] == ["1", "2"]
    assert run(queue, "ls", "--ids", "--since", "1h", "--name", "*r*", "1-2")[1] == ["1", "2"]
    assert run(queue, "ls", "--ids", "--since", "2099-01-01")[1] == []
    assert run(queue, "wait", "--timeout", "0", "--tag", "night")[0] == 124
    assert run(queue, "stop", "--group", "default")[1] == ["1", "2", "4"]
    assert queue.job(4).state is State.STOPPED


def test_the_job_started_last_is_found_also_without_its_history(make):
    daemon = make()
    for line in ("echo first", "echo last"):
        daemon.wait(daemon.submit(line))
    daemon.sql("DELETE FROM events")
    assert daemon.client.output(Output()).data == b"last\n"


def test_no_limit_of_output_for_one_job_alone(make):
    daemon = make(max_output="1kB")
    request = submit_of("head -c 200000 /dev/zero | tr '\\0' x")
    options = msgspec.structs.replace(request.options, max_output=0)
    job = daemon.client.submit(msgspec.structs.replace(request, options=options)).first
    daemon.wait(job)
    assert len(daemon.client.output(Output(id=job)).data) == 200_000


def test_every_attempt_is_followed(make):
    daemon = make()
    request = submit_of('echo attempt $JOBD_ATTEMPT; test "$JOBD_ATTEMPT" = 3')
    options = msgspec.structs.replace(request.options, retries=5, retry_delay=0.0)
    job = daemon.client.submit(msgspec.structs.replace(request, options=options)).first
    daemon.wait(job)
    found = b"".join(piece.data for piece in outputs.all_output(daemon.client, job))
    assert found == b"attempt 1\nattempt 2\nattempt 3\n"


# --- a list of more than one reply ----------------------------------------------------------------


def test_no_job_is_missed_or_listed_twice_while_jobs_move(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "_PAGE", 3)
    first = quiet.client.submit(quiet.many("true", 8)).first
    waiting, moved, restarted, over = first, first + 7, first + 1, first + 6
    quiet.client.stop(ids(restarted))
    pages = follow.pages(quiet.client, List())
    found = [job.id for job in next(pages).jobs]
    assert found == [waiting, first + 2, first + 3]
    # The pages to come begin behind these: one starts before them, one ends and is listed once.
    quiet.client.start(ids(restarted))
    quiet.client.edit(Edit(id=moved, priority=10))
    quiet.client.stop(ids(waiting, over))
    found += [job.id for page in pages for job in page.jobs]
    assert sorted(found) == list(range(first, first + 8))


def test_ids_alone_come_in_the_order_of_the_whole_list(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "MAX_PAGE_IDS", 3)
    first = quiet.client.submit(quiet.many("true", 12)).first
    quiet.client.edit(Edit(id=first + 9, priority=10))
    quiet.client.stop(ids(first + 1, first + 2, first + 5))
    for chosen in (
        {},
        {"limit": 4},
        {"pending": 2, "finished": 1},
        {"selector": Selector(states=[State.STOPPED])},
        {"selector": Selector(ids=[(first + 1, first + 4)], states=[State.PENDING])},
        {"selector": Selector(groups=["default"])},
    ):
        pages = [*follow.pages(quiet.client, List(**chosen, only_ids=True))]
        assert not any(page.jobs for page in pages)
        assert len(pages) > 1 or not chosen.get("limit")
        found = [job for page in pages for run in page.ids for job in ids_in(run)]
        assert found == quiet.listed(**chosen)
    missing = List(selector=Selector(ids=[(first, first), (999, 999)]), only_ids=True)
    assert quiet.client.list(missing).missing == [999]


def test_no_id_is_missed_or_given_twice_while_jobs_move(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "MAX_PAGE_IDS", 3)
    first = quiet.client.submit(quiet.many("true", 8)).first
    quiet.client.stop(ids(first + 1))
    pages = follow.pages(quiet.client, List(only_ids=True))
    runs = [*next(pages).ids]
    quiet.client.start(ids(first + 1))
    quiet.client.edit(Edit(id=first + 7, priority=10))
    quiet.client.stop(ids(first, first + 6))
    runs += [run for page in pages for run in page.ids]
    assert sorted(job for run in runs for job in ids_in(run)) == [*range(first, first + 8)]


def test_what_a_filter_leaves_out_does_not_come_back_as_moved(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "_PAGE", 2)
    first = quiet.client.submit(quiet.many("true", 6)).first
    chosen = Selector(ids=[(first, first + 4)], states=[State.PENDING])
    pages = follow.pages(quiet.client, List(selector=chosen))
    found = [job.id for job in next(pages).jobs]
    quiet.client.stop(ids(first + 4, first + 5))
    found += [job.id for page in pages for job in page.jobs]
    assert found == [first, first + 1, first + 2, first + 3]


def test_one_that_is_removed_meanwhile_is_not_missing(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "_PAGE", 2)
    first = quiet.client.submit(quiet.many("true", 6)).first
    quiet.client.stop(ids(first))
    pages = follow.pages(quiet.client, List())
    found = [next(pages)]
    quiet.client.rm(ids(first))
    assert [job for page in [*found, *pages] for job in page.missing] == []


def test_moved_jobs_alone_are_read_again(quiet, monkeypatch):
    monkeypatch.setattr(list_query, "_PAGE", 2)
    first = quiet.client.submit(quiet.many("true", 20)).first
    asked, ask = [], quiet.client.list
    monkeypatch.setattr(quiet.client, "list", lambda request: asked.append(1) or ask(request))
    pages = follow.pages(quiet.client, List(selector=Selector(all=True)))
    found = [job.id for job in next(pages).jobs]
    quiet.client.edit(Edit(id=first + 19, priority=10))
    found += [job.id for page in pages for job in page.jobs]
    assert sorted(found) == list(range(first, first + 20))
    assert len(asked) <= 12


def test_a_job_that_stays_failed_for_another_reason_keeps_its_place(daemon):
    bad = [daemon.submit("false"), daemon.submit("false")]
    child = Submit(
        commands=[Command(argv=[b"true"])],
        options=Options(after=[(job, job) for job in bad]),
        cwd=b"/",
    )
    job = daemon.client.submit(child).first
    daemon.wait(*bad, job)
    before = daemon.job(job)
    other = next(one for one in bad if str(one) not in before.reason)
    daemon.client.workers(0)
    daemon.client.restart(ids(*(one for one in bad if one != other)))
    wait_until(lambda: daemon.job(job).reason == f"dependency failed: {other}")
    assert daemon.job(job).finished_at == before.finished_at


def test_who_gets_to_the_front_while_a_list_is_read_is_in_it(make):
    """Nothing is told of that in the history: what it waited for has ended, that is all."""
    daemon = make(groups={"g": {"workers": 1}})
    daemon.client.pause(Pause(group="g"))
    parent = daemon.client.submit(submit_of("exec sleep 1000")).first
    child = msgspec.structs.replace(
        submit_of("true"), options=Options(group="g", after_any=[(parent, parent)])
    )
    child = daemon.client.submit(child).first
    many = msgspec.structs.replace(daemon.many("true", 1200), options=Options(group="g"))
    last = daemon.client.submit(many).last
    pages = follow.pages(daemon.client, List(selector=Selector(states=[State.PENDING])))
    seen = [job.id for job in next(pages).jobs]
    daemon.client.stop(ids(parent))
    wait_until(lambda: daemon.job(child).reason == "group paused")
    seen += [job.id for page in pages for job in page.jobs]
    assert child in seen
    assert len(seen) == len(set(seen)) == last - parent
