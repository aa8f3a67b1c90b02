"""Arrays as one row of a list, and jobs by how lately they were submitted."""

import pytest

from jobd.client import relative
from jobd.contract.errors import NotFound
from jobd.contract.models import (
    LAST_ARRAY,
    Command,
    Graph,
    List,
    Node,
    Options,
    Rm,
    Selector,
    Submit,
)
from jobd.contract.states import State
from tests.integration.inside import ENVIRONMENT, ids
from tests.jobctl.fakes import jobctl


def array(inside, indexes, **options):
    request = Submit(
        commands=[Command(argv=[b"true"])], cwd=b"/", environment=ENVIRONMENT,
        array=indexes, options=Options(**options),
    )  # fmt: skip
    return inside.client.submit(request)


def collapsed(inside, selector=None, **limits):
    return inside.client.list(List(selector=selector or Selector(), collapsed=True, **limits))


def test_an_array_is_one_job_of_the_list(quiet):
    quiet.submit("true")
    array(quiet, [(1, 300)])
    quiet.submit("false")
    array(quiet, [(5, 6), (9, 9)], priority=5)
    page = collapsed(quiet)
    assert [job.id for job in page.jobs] == [303, 1, 2, 302]
    assert page.next is None
    assert {job: (found.first, found.last) for job, found in page.arrays.items()} == {
        303: (303, 305), 2: (2, 301)
    }  # fmt: skip
    found = page.arrays[303]
    assert (found.first_index, found.last_index, found.counts) == (5, 9, {State.PENDING: 3})
    assert found.eta_s is None
    assert sum(page.counts.values()) == 305


def test_what_stands_behind_a_large_array_is_found(quiet):
    array(quiet, [(1, 30_000)])
    quiet.submit("true")
    assert [job.id for job in collapsed(quiet).jobs] == [1, 30_001]
    quiet.client.stop(Selector(all=True))
    quiet.sql("UPDATE jobs SET finished_at = id")  # the array's elements lie between
    quiet.sql("UPDATE jobs SET finished_at = 0 WHERE id = 30001")
    page = collapsed(quiet)
    assert [job.id for job in page.jobs] == [30_000, 30_001]
    assert page.arrays[30_000].counts == {State.STOPPED: 30_000}


def test_of_many_elements_the_largest_number_is_the_rest(quiet):
    array(quiet, [(1, 35_000)])
    quiet.client.stop(Selector(ids=[(1, 12_000)]))
    quiet.sql("UPDATE jobs SET state = 'failed' WHERE id <= 500")
    (found,) = collapsed(quiet).arrays.values()
    assert found.counts == {State.PENDING: 23_000, State.STOPPED: 11_500, State.FAILED: 500}
    quiet.client.rm(Selector(ids=[(501, 12_000)]))
    (found,) = collapsed(quiet).arrays.values()
    assert found.counts == {State.PENDING: 23_000, State.FAILED: 500}


def test_limits_are_those_of_rows(quiet):
    for _ in range(3):
        array(quiet, [(1, 10)])
    assert len(collapsed(quiet, pending=2).jobs) == 2
    assert len(collapsed(quiet, limit=1).jobs) == 1
    assert collapsed(quiet, Selector(states=[State.FAILED])).jobs == []


def test_an_array_of_which_elements_run_and_end(daemon):
    submitted = array(daemon, [(1, 4)])
    daemon.wait(*range(submitted.first, submitted.last + 1))
    page = collapsed(daemon)
    assert len(page.jobs) == 1
    (found,) = page.arrays.values()
    assert found.counts == {State.COMPLETED: 4}
    daemon.client.rm(ids(1, 4))
    (found,) = collapsed(daemon).arrays.values()
    assert (found.first, found.last, found.first_index, found.last_index) == (1, 4, 2, 3)
    daemon.client.rm(Selector(all=True))
    assert collapsed(daemon).jobs == []


def test_whoever_waits_for_one_is_told_which(daemon):
    array(daemon, [(1, 3), (7, 7)])
    daemon.submit("true", "true")
    daemon.submit("true")
    whole = daemon.wait(1, 2, 3, 4).array
    assert (whole.first_index, whole.last_index, whole.counts) == (1, 7, {State.COMPLETED: 4})
    batch = daemon.wait(5, 6).array
    assert (batch.first, batch.last, batch.first_index) == (5, 6, None)
    assert [daemon.wait(*some).array for some in ([1, 2, 3], [2, 3, 4], [4, 5, 6, 7], [7])] == [
        None
    ] * 4


def test_a_batch_is_one_too(quiet):
    quiet.submit("true", "true", "true")
    quiet.submit("true")
    quiet.submit("true", "true")
    page = collapsed(quiet)
    assert [job.id for job in page.jobs] == [1, 4, 5]
    assert {job: (found.first, found.last) for job, found in page.arrays.items()} == {
        1: (1, 3), 5: (5, 6)
    }  # fmt: skip
    assert page.arrays[1].first_index is None
    quiet.client.stop(Selector(all=True))
    quiet.client.rm(ids(1, 2, 3, 4))
    assert [job.id for job in collapsed(quiet).jobs] == [6]
    quiet.submit("true", "true")
    assert quiet.sql("SELECT first, last FROM batches") == [(5, 6), (7, 8)]


def test_a_large_batch_is_one_as_soon_as_it_is_seen(quiet):
    quiet.submit(*["true"] * 1200)
    page = collapsed(quiet)
    assert [job.id for job in page.jobs] == [1]
    assert page.arrays[1].counts == {State.PENDING: 1200}


def test_a_graph_is_no_batch(quiet):
    node = Node(command=Command(argv=[b"true"]), cwd=b"/")
    quiet.client.graph(Graph(nodes=[node, node]))
    assert not collapsed(quiet).arrays


def test_an_array_of_one_element_is_a_job(quiet):
    array(quiet, [(7, 7)])
    assert not collapsed(quiet).arrays


def test_the_latest(quiet):
    with pytest.raises(NotFound, match="last: there is no job"):
        relative.absolute(quiet.client, [(-1, -1)])
    with pytest.raises(NotFound, match="last-array: there is no array"):
        relative.absolute(quiet.client, [(LAST_ARRAY, LAST_ARRAY)])
    array(quiet, [(1, 3)])
    quiet.submit("true", "true")
    meant = relative.absolute(quiet.client, [(-1, -1), (2, 3), (-3, -3), (LAST_ARRAY, LAST_ARRAY)])
    assert meant == [(5, 5), (2, 3), (3, 3), (1, 3)]
    quiet.client.stop(ids(5))
    quiet.client.request(Rm(selector=ids(5)), Rm.about.reply)
    assert relative.absolute(quiet.client, [(-1, -1)]) == [(4, 4)]
    with pytest.raises(NotFound, match="last~9: there are not so many jobs"):
        relative.absolute(quiet.client, [(-10, -10)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ls", "--ids", "last"], "5"),
        (["ls", "--ids", "last~1,1"], "1 4"),
        (["ls", "--ids", "last-array"], "1 2 3"),
        (["stop", "--dry-run", "last"], "5"),
        (["hold", "--dry-run", "last-array"], "1 2 3"),
        (["edit", "last", "-p", "5"], "5"),
        (["edit", "last", "--after", "last-array"], "5"),
        (["submit", "--after", "last", "true"], "6"),
        (["submit", "--like", "last"], "6"),
        (["logs", "last"], ""),
    ],
)
def test_wherever_a_command_takes_jobs(quiet, words, said):
    array(quiet, [(1, 3)])
    quiet.submit("true", "true")
    result = jobctl(*words, client=quiet.client)
    assert (result.code, sorted(result.out.split())) == (0, said.split())
    if words[0] == "submit" and "--after" in words:
        assert quiet.job(6).after == [5]
    if "last-array" in words and words[0] == "edit":
        assert quiet.job(5).after == [1, 2, 3]


def test_the_latest_of_none(quiet):
    result = jobctl("show", "last", client=quiet.client)
    assert (result.code, result.stderr) == (1, "jobctl: last: there is no job\n")


@pytest.mark.parametrize("word", ["last~", "latest", "last~x", "last-1", "last~99999"])
def test_no_such_word(word):
    result = jobctl("ls", word)
    assert (result.code, "is not a job id; write 7, 3-9, 1,4,8-10 or last" in result.stderr) == (
        2, True
    )  # fmt: skip


def test_many_are_not_one():
    assert "only one is taken here" in jobctl("show", "last-array").stderr


def test_jobs_by_their_command(quiet):
    """As a list shows it: of an array, of words, of bytes that are no text, of a script."""
    array(quiet, [(1, 3)])
    quiet.submit("make data", "make plots")
    raw = Command(argv=[b"make", b"a b", b"\xff"])
    script = Command(argv=[b"/home/anna/secret/job.sh", b"x"], script=b"#!/bin/sh\n")
    for command in (raw, script):
        quiet.client.submit(Submit(commands=[command], cwd=b"/", environment=ENVIRONMENT))
    quiet.submit("gone")
    quiet.sql("UPDATE jobs SET spec = x'00' WHERE id = 8")
    found = {
        pattern: sorted(quiet.listed(selector=Selector(command=pattern)))
        for pattern in ("true", "make*", "make '*' ?", "*.sh x", "*secret*", "gone", "[!mt]*")
    }
    assert found == {
        "true": [1, 2, 3], "make*": [4, 5, 6], "make '*' ?": [], "*.sh x": [7], "*secret*": [],
        "gone": [], "[!mt]*": [7],
    }  # fmt: skip
    assert quiet.listed(selector=Selector(command="make 'a b' *")) == [6]
    assert quiet.client.stop(Selector(command="make [dp]*")).done == [4, 5]
