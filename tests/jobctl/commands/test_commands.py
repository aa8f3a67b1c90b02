import json

import msgspec
import pytest

from jobctl.render.text import clock, moment
from jobd.contract.errors import NotFound, NotRunning, VersionMismatch
from jobd.contract.models import (
    Acted,
    Array,
    DaemonStatus,
    Event,
    EventPage,
    Events,
    GroupShare,
    GroupsReply,
    Lack,
    List,
    Note,
    Output,
    Page,
    Piece,
    Rm,
    Selector,
    Shown,
    Status,
    Stop,
    Wait,
    Waited,
    WorkersReply,
)
from jobd.contract.states import Resource, State
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl

RUNNING = job(1, "running", name="lr3", progress=40.0, eta_s=180.0, run_s=130.0)
PENDING = job(2, "pending", name="eval", reason="dependency", after=[1], command="./eval.sh")
FAILED = job(3, "failed", name="prep", reason="exit code 2", run_s=41.0, exit_code=2)
COUNTS = {State.RUNNING: 1, State.PENDING: 1, State.FAILED: 1}
THREE = Page(jobs=[RUNNING, PENDING, FAILED], counts=COUNTS)


# --- ls -----------------------------------------------------------------------------------


def test_table():
    assert jobctl("ls", client=FakeClient(list=THREE)).out == (
        " ID  STATE    PRIO  NAME  TIME   DETAIL        COMMAND\n"
        "  1  Running     0  lr3   2m10s  40%, 3m left  make data\n"
        "  2  Pending     0  eval  -      waits for 1   ./eval.sh\n"
        "  3  Failed      0  prep  41s    exit code 2   make data\n"
    )


def test_table_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    client = FakeClient(list=THREE)
    result = jobctl("ls", client=client, terminal=True)
    assert "\x1b[31mFailed\x1b[0m" in result.out
    assert result.out.endswith("1 running, 1 pending, 1 failed\n")
    assert result.out.split()[:3] == ["ID", "STATE", "DETAIL"]
    asked = client.sent[0]
    assert (asked.running, asked.pending, asked.finished) == (19, 19, 19)


def test_no_color(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in jobctl("ls", client=FakeClient(list=THREE), terminal=True).out


def test_piped_lists_everything_page_by_page():
    pages = [Page(jobs=[job(1)], next="a"), Page(jobs=[job(2)], next="b"), Page(jobs=[job(3)])]
    client = FakeClient(list=pages)
    assert jobctl("ls", "--ids", client=client).out == "1\n2\n3\n"
    assert [request.cursor for request in client.of(List)] == [None, "a", "b"]


@pytest.mark.parametrize(("given", "limit"), [(["-n", "5"], 5), (["-n", "0"], None), ([], None)])
def test_limit(given, limit):
    client = FakeClient(list=Page(jobs=[]))
    jobctl("ls", *given, client=client)
    assert client.sent[0].limit == limit


def test_json_is_one_array_of_the_public_keys():
    found = json.loads(jobctl("ls", "--json", client=FakeClient(list=THREE)).stdout)
    assert [entry["id"] for entry in found] == [1, 2, 3]
    assert found[0]["submitted_at"] == "2026-01-02T12:00:00Z"
    assert found[1]["state"] == "pending"


def test_json_of_nothing():
    assert jobctl("ls", "--json", client=FakeClient(list=Page(jobs=[]))).out == "[]\n"
    assert jobctl("ls", "--json", "-", stdin=b"").out == "[]\n"


def test_a_missing_id_is_an_error_beside_the_others():
    client = FakeClient(list=Page(jobs=[job(1)], missing=[99]))
    result = jobctl("ls", "--ids", "1", "99", client=client)
    assert (result.code, result.out) == (1, "1\n")
    assert result.stderr == "jobctl: job 99 does not exist\n"


def test_a_command_that_would_drive_the_terminal():
    nasty = job(1, command="echo \x1b]0;x\x07\nls", name="a\tb")
    out = jobctl("ls", client=FakeClient(list=Page(jobs=[nasty]))).out
    assert "\x1b" not in out
    assert "echo \\x1b]0;x\\x07\\nls" in out
    assert len(out.splitlines()) == 2


# --- show, logs, workers ------------------------------------------------------------------


def test_show_of_a_failed_job_says_what_next():
    client = FakeClient(show=Shown(job=FAILED, attempts=[], events=[]))
    told = jobctl("show", "3", client=client, terminal=True)
    assert told.stderr == "output: jobctl logs 3; retry: jobctl restart 3\n"
    assert jobctl("show", "3", client=client).stderr == ""


def test_show():
    client = FakeClient(show=Shown(job=PENDING, attempts=[], events=[], why="1 of 3 busy"))
    out = jobctl("show", "2", client=client).out
    assert "Pending (dependency)" in out
    assert "retry:" not in jobctl("show", "2", client=client, terminal=True).stderr
    assert "1 of 3 busy" in out


def test_show_json_adds_to_the_jobs_keys():
    client = FakeClient(show=Shown(job=FAILED, attempts=[], events=[]))
    found = json.loads(jobctl("show", "3", "--json", client=client).stdout)
    assert found["id"] == 3
    assert found["attempts"] == []
    assert "environment" not in found


def test_show_env_is_exact():
    environment = {b"B": b"\xff", b"A": b"1"}
    client = FakeClient(show=Shown(job=FAILED, attempts=[], events=[], environment=environment))
    assert jobctl("show", "3", "--env", client=client).stdout == b"A=1\nB=\xff\n"
    assert client.sent[0].environment


def _piece(data, offset, state, *, attempt=1, ended=False):
    return Piece(
        id=7, attempt=attempt, data=data, offset=offset, ended=ended, state=state, path="/o/7.1"
    )


def test_logs_follow_waits_for_the_start_and_keeps_to_the_attempt():
    pieces = [
        _piece(b"", 0, State.PENDING, attempt=2),
        _piece(b"ab", 0, State.RUNNING, attempt=2),
        _piece(b"", 2, State.RUNNING, attempt=2),
        _piece(b"\xffc", 2, State.FAILED, attempt=2, ended=True),
    ]
    client = FakeClient(output=pieces)
    result = jobctl("logs", "-f", "7", client=client)
    assert (result.code, result.stdout) == (0, b"ab\xffc")
    asked = [(request.attempt, request.offset) for request in client.of(Output)]
    assert asked == [(None, 0), (None, 0), (2, 2), (2, 2)]


def test_logs_tail_is_not_held_back():
    client = FakeClient(
        output=[_piece(b"", 100, State.RUNNING), _piece(b"x", 100, State.COMPLETED, ended=True)]
    )
    assert jobctl("logs", "-f", "-n", "0", "7", client=client).stdout == b"x"
    first, second = client.of(Output)
    assert (first.tail, first.wait) == (0, 0)
    assert (second.tail, second.offset) == (None, 100)
    assert second.wait > 0


def test_logs_without_following_ends_where_the_output_does():
    client = FakeClient(output=[_piece(b"a", 0, State.RUNNING), _piece(b"", 1, State.RUNNING)])
    assert jobctl("logs", client=client).stdout == b"a"
    assert client.sent[0].id is None


def test_logs_path():
    client = FakeClient(output=_piece(b"", 0, State.COMPLETED))
    assert jobctl("logs", "--path", "7", client=client).out == "/o/7.1\n"


@pytest.mark.parametrize("path", [[], ["--path"]])
def test_logs_of_no_job_say_so(path):
    nobody = FakeClient(list=Page(jobs=[]))
    result = jobctl("logs", *path, "-n", "nosuch*", client=nobody)
    assert (result.code, result.out, result.stderr) == (0, "", "no jobs selected\n")


def test_logs_path_of_jobs_that_have_none_says_so():
    waiting = msgspec.structs.replace(_piece(b"", 0, State.PENDING), path="")
    client = FakeClient(
        list=Page(jobs=[], ids=[(7, 9)]), output=[waiting, _piece(b"", 0, State.RUNNING), waiting]
    )
    result = jobctl("logs", "--path", "--name", "x", client=client)
    assert (result.code, result.out, result.stderr) == (0, "/o/7.1\n", "no output of 7,9\n")


@pytest.mark.parametrize(
    "given",
    [["-f"], ["-n", "5"], ["--lines", "0"], ["--grep", "x"], ["--merge-attempts"], ["--no-prefix"]],
    ids=str,
)
def test_logs_path_and_what_is_about_lines_exclude_each_other(given):
    """They were left out of account, and `logs -f --path` followed nothing."""
    client = FakeClient(output=_piece(b"", 0, State.COMPLETED))
    result = jobctl("logs", "--path", *given, "7", client=client)
    assert (result.code, result.out) == (2, "")
    assert "--path prints no output; --" in result.stderr
    assert client.sent == []


def test_workers():
    reply = WorkersReply(workers=3, busy=1)
    assert jobctl("workers", client=FakeClient(workers=reply)).out == "3 workers, 1 busy\n"
    found = json.loads(jobctl("workers", "--json", client=FakeClient(workers=reply)).stdout)
    assert found == {"workers": 3, "busy": 1}


# --- status, events -----------------------------------------------------------------------

BUSY = {State.RUNNING: 3, State.PENDING: 5, State.COMPLETED: 97, State.FAILED: 2}


def _pages(**by_state):
    return lambda request: Page(jobs=by_state.get(request.selector.states[0].value, []))


GROUPS = GroupsReply(
    groups=[
        GroupShare(name="default", busy=3),
        GroupShare(name="a", workers=1, paused=True),
        GroupShare(name="b", workers=0),
        GroupShare(name="c", workers=2),
    ]
)


def _shown(request):
    return Shown(job=job(request.id, "pending"), attempts=[], events=[], why=f"why of {request.id}")


def test_status():
    client = FakeClient(
        status=DaemonStatus(workers=3, busy=3, jobs=BUSY),
        list=_pages(
            running=[job(1, "running"), job(2, "running", paused=True)],
            pending=[
                job(4, "pending", reason="queued"),
                job(5, "pending", reason="held"),
                job(6, "pending", reason="dependency"),
                job(7, "pending", reason="held"),
                job(8, "pending", reason="queued"),
            ],
        ),
        groups=GROUPS,
        show=_shown,
    )
    assert jobctl("status", client=client).out.splitlines() == [
        "workers  3 of 3 busy",
        "jobs     3 running, 5 pending, 97 completed, 2 failed, 0 stopped",
        "waiting  4,8: why of 4",
        "         6: why of 6",
        "stuck    2: paused                                           jobctl resume 2",
        "         5,7: held                                           jobctl start 5,7",
    ]
    assert all(request.limit or request.running for request in client.of(List))
    # It costs a look at every output, and is not shown.
    assert client.of(Status) == [Status(sizes=False)]


def test_status_tells_arrays_as_ls_does():
    array = Array(
        first=3, last=102, first_index=1, last_index=100, eta_s=720.0,
        counts={State.RUNNING: 3, State.PENDING: 54, State.COMPLETED: 42, State.FAILED: 1},
    )  # fmt: skip
    pending = [job(number, "pending", reason="queued") for number in range(49, 103)]

    def listed(request):
        if not request.collapsed:
            return Page(jobs=pending if request.selector.states == [State.PENDING] else [])
        return Page(jobs=[job(3, "running", name="sweep"), job(2, "running")], arrays={3: array})

    client = FakeClient(
        status=DaemonStatus(workers=3, jobs=BUSY), list=listed, groups=GROUPS, show=_shown
    )
    told = jobctl("status", client=client).out.splitlines()
    counts = "42 completed, 3 running, 1 failed, 54 pending"
    assert told[2:5] == [
        f"arrays   3-102  array 1-100  {counts}  43%, 12m left  sweep",
        "waiting  49-58,…: why of 49",
        "stuck    nothing",
    ]
    found = json.loads(jobctl("status", "--json", client=client).stdout)["arrays"]
    assert [(each["first"], each["last"], each["counts"]["failed"]) for each in found] == [
        (3, 102, 1)
    ]


def test_status_tells_gpus_where_there_are_some():
    status = DaemonStatus(workers=3, busy=1, gpus=2, gpus_busy=1)
    client = FakeClient(status=status, list=Page(jobs=[]), groups=GROUPS)
    assert "\ngpus     1 of 2 in use\n" in jobctl("status", client=client).out


def test_status_of_a_daemon_that_knows_no_such_rows():
    def listed(request):
        if request.collapsed:
            raise VersionMismatch("an unknown field")
        return Page(jobs=[])

    client = FakeClient(status=DaemonStatus(jobs=BUSY), list=listed, groups=GROUPS)
    assert "arrays" not in jobctl("status", client=client).out


def test_status_of_groups_that_start_nothing_and_of_jobs_that_are_too_large():
    client = FakeClient(
        status=DaemonStatus(workers=3, jobs={State.PENDING: 5}),
        list=Page(
            jobs=[
                job(1, "pending", reason="group paused", group="a"),
                job(2, "pending", reason="group full", group="b"),
                job(3, "pending", reason="group full", group="c", slots=3),
                job(4, "pending", reason="resources", slots=4),
                job(5, "pending", reason="group full", group="c"),
            ],
            lacks={
                2: [Lack(what=Resource.GROUP, needs=1, have=0)],
                3: [Lack(what=Resource.GROUP, needs=3, have=2)],
                4: [Lack(what=Resource.WORKERS, needs=4, have=3)],
            },
        ),
        groups=GROUPS,
        show=_shown,
    )
    found = json.loads(jobctl("status", "--json", client=client).out)
    assert [(entry["jobs"], entry["why"], entry["hint"]) for entry in found["stuck"]] == [
        ([1], "group a is paused", "jobctl resume --group a"),
        ([2], "group b has no workers", "jobctl workers 1 --group b"),
        ([3], "needs 3 workers, group c has 2", "jobctl workers --help"),
        ([4], "needs 4 workers, there are 3", "jobctl workers --help"),
    ]
    assert [(entry["jobs"], entry["why"]) for entry in found["waiting"]] == [([5], "why of 5")]


def test_status_of_a_job_that_has_just_gone():
    client = FakeClient(
        status=DaemonStatus(workers=3, jobs={State.PENDING: 1}),
        list=_pages(pending=[job(1, "pending", reason="dependency")]),
        groups=GROUPS,
        show=NotFound("job 1 does not exist"),
    )
    assert "waiting  1: dependency\n" in jobctl("status", client=client).out


def test_status_of_a_queue_that_cannot_move():
    broken = DaemonStatus(jobs={State.PENDING: 9999}, error="no space left on device")
    held = [job(number, "pending", reason="held") for number in range(1, 40)]
    client = FakeClient(status=broken, list=Page(jobs=held), groups=GROUPS)
    out = jobctl("status", client=client).out
    assert "nothing starts: no space left on device" in out
    assert "nothing starts: there are no workers" in out
    assert "1-10,…: held" in out
    draining = DaemonStatus(draining=True, workers=3)
    assert "shutting down" in jobctl("status", client=FakeClient(status=draining)).out


def test_status_json():
    client = FakeClient(
        status=DaemonStatus(workers=0, jobs={State.PENDING: 1}),
        list=Page(jobs=[job(5, "pending", reason="queued")]),
        groups=GROUPS,
        show=_shown,
    )
    found = json.loads(jobctl("status", "--json", client=client).stdout)
    assert (found["workers"], found["jobs"]) == (0, {"pending": 1})
    assert found["stuck"][0]["hint"] == "jobctl workers 3"
    assert client.of(Status) == [Status(sizes=True, gpus=True)]


def test_nothing_is_stuck():
    out = jobctl("status", client=FakeClient(status=DaemonStatus(workers=3))).out
    assert out.endswith("stuck    nothing\n")


def _history(request):
    """Ten events, read in pages of at most four."""
    if request.after is None:
        return EventPage(events=[], next=10)
    found = [_event(n, "completed", n % 3) for n in range(request.after + 1, 11)][:4]
    return EventPage(events=found, next=found[-1].seq if found else request.after)


def test_events_end_at_the_newest():
    client = FakeClient(events=_history)
    lines = jobctl("events", client=client).out.splitlines()
    assert len(lines) == 10
    assert lines[2] == f"     3  {moment(NOON)}  job 0 completed"
    assert all(request.wait == 0 for request in client.of(Events))


@pytest.mark.parametrize(
    ("given", "first"),
    [(["--from", "8"], 8), (["-n", "2"], 9), (["-n", "99"], 1), (["-n", "2", "1"], 9)],
)
def test_events_from(given, first):
    client = FakeClient(events=_history, list=Page(jobs=[]))
    lines = jobctl("events", "--json", *given, client=client).out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(first, 11))


@pytest.mark.parametrize(("given", "told"), [("7", True), ("8", False), ("9", False)])
def test_events_that_are_no_longer_kept(given, told):
    def kept(request):
        page = _history(msgspec.structs.replace(request, after=max(request.after, 7)))
        return msgspec.structs.replace(page, first=8)

    client = FakeClient(events=kept, list=Page(jobs=[]))
    result = jobctl("events", "--json", "--from", given, client=client)
    note = "the history begins at 8; older events are no longer kept\n"
    assert (result.code, result.stderr) == (0, note if told else "")
    assert json.loads(result.out.splitlines()[0])["seq"] == max(8, int(given))


def test_events_of_now_on():
    client = FakeClient(events=[EventPage(events=[], next=10), KeyboardInterrupt()])
    assert jobctl("events", "-f", "-n", "0", client=client).code == 130
    assert client.of(Events)[1].after == 10
    assert client.of(Events)[1].wait > 0


def test_a_removed_job_has_a_history_all_the_same():
    client = FakeClient(events=_history, list=Page(jobs=[], missing=[2, 9]))
    result = jobctl("events", "2", "9", client=client)
    assert (result.code, result.stderr) == (1, "jobctl: job 9 does not exist\n")


def test_events_from_and_last_exclude_each_other():
    assert jobctl("events", "--from", "1", "-n", "1").code == 2


# --- wait ---------------------------------------------------------------------------------

NIGHT = Waited(
    done=True,
    total=100,
    counts={State.COMPLETED: 97, State.FAILED: 3},
    jobs=[
        job(7, "failed", reason="exit code 1", exit_code=1),
        job(12, "failed", reason="signal KILL", signal="KILL"),
        job(80, "failed", reason="exit code 127", exit_code=127),
    ],
    last_lines={7: "KeyError: 'lr'", 80: "pyhton: not found"},
)


def test_verdict_of_several():
    result = jobctl("wait", "1-100", client=FakeClient(wait=NIGHT))
    assert (result.code, result.stdout) == (1, b"")
    assert result.stderr == (
        "97 of 100 completed, 3 failed: 7,12,80\n"
        "   7 failed (exit code 1): KeyError: 'lr'                   jobctl logs 7\n"
        "  12 failed (signal KILL)                                   jobctl logs 12\n"
        "  80 failed (exit code 127): pyhton: not found              jobctl logs 80\n"
    )


ARRAY = Array(first=3, last=102, first_index=1, last_index=100)


def test_a_verdict_names_an_array_and_the_indexes_of_what_failed():
    elements = [msgspec.structs.replace(each, array_index=each.id - 2) for each in NIGHT.jobs]
    waited = msgspec.structs.replace(NIGHT, jobs=elements, array=ARRAY)
    result = jobctl("wait", "3-102", client=FakeClient(wait=waited))
    assert result.stderr.startswith(
        "array 1-100: 97 of 100 completed, 3 failed: 7,12,80\n"
        "   7 [5] failed (exit code 1): KeyError: 'lr'               jobctl logs 7\n"
    )
    batch = msgspec.structs.replace(ARRAY, first_index=None, last_index=None)
    waited = msgspec.structs.replace(NIGHT, array=batch)
    result = jobctl("wait", "3-102", client=FakeClient(wait=waited))
    assert result.stderr.startswith("97 of 100 completed, 3 failed: 7,12,80\n")


def test_an_array_for_which_the_time_ran_out():
    counts = {State.COMPLETED: 42, State.PENDING: 58}
    waited = Waited(done=False, total=100, counts=counts, ids=[(3, 102)], array=ARRAY)
    left = Page(jobs=[job(number, "pending") for number in range(45, 55)])
    client = FakeClient(wait=waited, list=left)
    result = jobctl("wait", "--timeout", "0", "3-102", client=client, terminal=True)
    assert (result.code, result.stderr) == (
        124, "array 1-100: after 0.0s 58 of 100 have not finished: 45-54 and 48 more\n"
    )  # fmt: skip


@pytest.fixture
def plain(monkeypatch):
    """A terminal on which nothing is drawn in the place of anything."""
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.usefixtures("plain")
def test_that_an_array_is_waited_for():
    counts = {State.COMPLETED: 42, State.PENDING: 58}
    waited = Waited(done=False, total=100, counts=counts, ids=[(3, 102)], array=ARRAY)
    client = FakeClient(wait=[waited, KeyboardInterrupt()])
    result = jobctl("wait", "3-102", client=client, terminal=True)
    assert result.stderr.splitlines()[0] == (
        "waiting for array 1-100: 42 of 100 have finished; Ctrl-C only ends the waiting"
    )
    waited = msgspec.structs.replace(waited, array=None)
    client = FakeClient(wait=[waited, KeyboardInterrupt()])
    result = jobctl("wait", "3-102", client=client, terminal=True)
    assert result.stderr.startswith("waiting: 42 of 100 have finished; Ctrl-C")


@pytest.mark.parametrize(
    ("waits", "args", "terminal", "said"),
    [
        ([False, True], [], True, "waiting for job 7; Ctrl-C only ends the waiting\n"),
        ([True], [], True, ""),
        ([False, True], [], False, ""),
        ([False, True], ["--json"], True, ""),
    ],
)
@pytest.mark.usefixtures("plain")
def test_that_it_is_waited_is_told_to_a_person_where_it_takes_a_moment(waits, args, terminal, said):
    ended = {"total": 1, "counts": {State.COMPLETED: 1}, "jobs": [job(7)], "ids": [(7, 7)]}
    client = FakeClient(wait=[Waited(done=done, **ended) for done in waits])
    result = jobctl("wait", "7", *args, client=client, terminal=terminal)
    assert result.stderr == f"{said}job 7 completed\n"


def test_wait_json():
    found = json.loads(jobctl("wait", "--json", "1-100", client=FakeClient(wait=NIGHT)).stdout)
    assert (found["exit_code"], found["counts"]["failed"]) == (1, 3)
    assert found["last_lines"]["7"] == "KeyError: 'lr'"


def test_wait_json_when_the_time_ran_out():
    waited = Waited(done=False, total=2, counts={State.RUNNING: 2})
    client = FakeClient(wait=waited, list=NotRunning("it has gone"))
    result = jobctl("wait", "--json", "--timeout", "0", "1-2", client=client)
    assert result.code == json.loads(result.stdout)["exit_code"] == 124


def test_one_job_speaks_for_itself():
    ended = job(7, "failed", reason="exit code 7", exit_code=7, run_s=41.2)
    waited = Waited(
        done=True, total=1, counts={State.FAILED: 1}, jobs=[ended], last_lines={7: "oh\x1b"}
    )
    client = FakeClient(wait=[Waited(done=False, total=1), waited])
    result = jobctl("wait", "7", client=client)
    assert result.code == 7
    assert result.stderr == "job 7 failed (exit code 7) after 41s: oh\\x1b\n"
    assert len(client.of(Wait)) == 2


def test_wait_says_only_once_why_a_job_could_not_start():
    why = "could not start: nope: not found"
    waited = Waited(
        done=True,
        total=1,
        counts={State.FAILED: 1},
        jobs=[job(7, "failed", reason=why, run_s=0.0)],
        last_lines={7: f"jobd: {why}"},
    )
    result = jobctl("wait", "7", client=FakeClient(wait=waited))
    assert result.code == 127
    assert result.stderr == f"job 7 failed ({why}) after 0.0s\n"


def test_unknown_job():
    client = FakeClient(wait=Waited(done=True, total=0, missing=[9]))
    result = jobctl("wait", "9", client=client)
    assert (result.code, result.stderr) == (1, "jobctl: job 9 does not exist\n")


def test_timeout():
    waited = Waited(done=False, total=3, counts={State.RUNNING: 3}, ids=[(1, 3)])
    left = Page(jobs=[job(1, "running"), job(3, "running")])
    client = FakeClient(wait=waited, list=left)
    result = jobctl("wait", "--timeout", "0", "1-3", client=client)
    assert result.code == 124
    assert result.stderr == "after 0.0s 3 of 3 have not finished: 1,3 and 1 more\n"


def test_all_stays_the_same_jobs_while_one_waits():
    done = Waited(done=True, total=2, counts={State.COMPLETED: 2})
    client = FakeClient(wait=[Waited(done=False, total=2, ids=[(4, 5)]), done])
    assert jobctl("wait", "--all", client=client).code == 0
    first, second = client.of(Wait)
    assert (first.selector.all, first.wait) == (True, 0)
    assert second.selector == Selector(ids=[(4, 5)])


def test_all_of_nothing():
    client = FakeClient(wait=Waited(done=True, total=0))
    assert jobctl("wait", "--all", client=client).code == 0


def failed(numbers, **counts):
    """Many jobs, these of which have failed."""
    jobs = [job(number, "failed", reason="exit code 1", exit_code=1) for number in numbers]
    found = {State.FAILED: len(jobs)} | {State(state): count for state, count in counts.items()}
    return Waited(done=True, total=sum(found.values()), counts=found, jobs=jobs)


def test_a_verdict_names_ten_and_counts_the_rest():
    odd = range(1, 2000, 2)
    result = jobctl("wait", "1-5000", client=FakeClient(wait=failed(odd, completed=4000)))
    first, *lines, last = result.stderr.splitlines()
    assert first == (
        "4,000 of 5,000 completed, 1,000 failed: 1,3,5,7,9,11,13,15,17,19 and 990 more"
    )
    assert (len(lines), last) == (10, "     and 990 more")


def test_a_verdict_names_a_range_as_one():
    result = jobctl("wait", "1-50", client=FakeClient(wait=failed(range(3, 43), completed=10)))
    assert result.stderr.startswith("10 of 50 completed, 40 failed: 3-42\n")


def test_a_verdict_of_any_names_ten():
    client = FakeClient(wait=failed(range(1, 31), running=5))
    lines = jobctl("wait", "--any", "1-35", client=client).stderr.splitlines()
    assert (len(lines), lines[-1]) == (11, "and 20 more")


def test_fail_fast_says_what_has_not_finished():
    client = FakeClient(wait=failed([7], completed=2, running=3, pending=4))
    result = jobctl("wait", "--fail-fast", "1-10", client=client)
    assert result.code == 1
    assert result.stderr.startswith("2 of 10 completed, 1 failed: 7, 7 not finished\n")
    assert [request.fail_fast for request in client.of(Wait)] == [True]


@pytest.mark.parametrize(
    ("waited", "code", "said"),
    [
        (failed([], running=2, completed=1), 0, "2 of 3 running, 1 completed\n"),
        (failed([7], running=1, stopped=1), 1, "1 of 3 running, 1 failed: 7, 1 stopped\n"),
        (
            Waited(done=True, total=1, counts={State.RUNNING: 1}, jobs=[job(7, "running")]),
            0,
            "job 7 running\n",
        ),
        (failed([7]), 1, "job 7 failed (exit code 1)\n"),
    ],
)
def test_whoever_waits_for_jobs_to_run(waited, code, said):
    client = FakeClient(wait=waited)
    result = jobctl("wait", "--running", "1-3", client=client)
    assert (result.code, result.stderr[: len(said)]) == (code, said)
    assert [request.running for request in client.of(Wait)] == [True]


def test_whoever_waits_in_vain_for_jobs_to_run():
    counts = {State.RUNNING: 1, State.PENDING: 2}
    waited = Waited(done=False, total=3, counts=counts, ids=[(1, 3)])
    client = FakeClient(wait=waited, list=Page(jobs=[job(2, "pending"), job(3, "pending")]))
    result = jobctl("wait", "--running", "--timeout", "0", "1-3", client=client)
    assert result.code == 124
    assert result.stderr == "after 0.0s 2 of 3 have not started: 2,3\n"


def test_idle_of_nothing():
    events = EventPage(events=[], next=7)
    client = FakeClient(events=events, wait=Waited(done=True, total=0))
    result = jobctl("wait", "--idle", client=client)
    assert (result.code, result.stderr) == (0, "nothing is left to run\n")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--any", "--fail-fast", "7"],
        ["--idle", "--running"],
        ["--idle", "7"],
        ["--idle", "--state", "failed"],
        ["--unfinished", "--state", "failed"],
        ["--all", "7"],
    ],
)
def test_what_excludes_each_other_is_wrong_usage(wrong):
    client = FakeClient()
    result = jobctl("wait", *wrong, client=client)
    assert (result.code, "exclude each other" in result.stderr) == (2, True)
    assert not client.sent


# --- changes ------------------------------------------------------------------------------


def test_done_on_stdout_the_rest_on_stderr():
    acted = Acted(
        done=[1, 2],
        notices=[Note(id=3, text="has already completed")],
        errors=[Note(id=9, text="does not exist")],
    )
    result = jobctl("start", "1-3", "9", client=FakeClient(start=acted))
    assert (result.code, result.out) == (1, "1\n2\n")
    assert result.stderr == "job 3 has already completed\njobctl: job 9 does not exist\n"


def test_stop_returns_when_they_have_stopped():
    client = FakeClient(
        stop=Acted(done=[3, 4, 9]),
        wait=[Waited(done=False, total=3), Waited(done=True, total=3)],
    )
    result = jobctl("stop", "--grace", "1m", "--signal", "INT", "3-9", client=client)
    assert (result.code, result.out) == (0, "3\n4\n9\n")
    (stop,) = client.of(Stop)
    assert (stop.grace, stop.signal) == (60, 2)
    assert client.of(Wait)[1].selector == Selector(ids=[(3, 4), (9, 9)])


def test_stop_all_means_what_can_be_stopped():
    client = FakeClient(stop=Acted(done=[]))
    assert jobctl("stop", "--all", client=client).code == 0
    assert client.sent[0].selector == Selector(all=True, states=[State.PENDING, State.RUNNING])


def test_restart_failed():
    client = FakeClient(
        restart=Acted(done=[3], attempts={3: 2}), show=Shown(job=FAILED, attempts=[], events=[])
    )
    result = jobctl("restart", "--failed", client=client, terminal=True)
    assert result.out == "3\n"
    assert result.stderr == (
        f"attempt 2, environment of {clock(NOON)} (--refresh-env takes this shell's)\n"
    )
    assert client.sent[0].selector == Selector(states=[State.FAILED])
    assert client.sent[0].environment is None


def test_restart_does_not_guess_when_the_environment_was_taken():
    again = [_event(8, "restarted", attempt=2), _event(9, "restarted", attempt=3)]
    client = FakeClient(
        restart=Acted(done=[3], attempts={3: 3}),
        show=Shown(job=FAILED, attempts=[], events=again),
    )
    result = jobctl("restart", "3", client=client, terminal=True)
    assert result.stderr.startswith("attempt 3, environment as captured (--refresh-env")


def test_restart_of_several_says_it_once():
    client = FakeClient(restart=Acted(done=[3, 4], attempts={3: 2, 4: 5}))
    result = jobctl("restart", "3-4", client=client, terminal=True)
    assert result.stderr == "environment as captured (--refresh-env takes this shell's)\n"


def test_restart_with_this_shells_environment(monkeypatch):
    monkeypatch.setenv("FRESH", "1")
    client = FakeClient(restart=Acted(done=[3]))
    jobctl("restart", "--refresh-env", "3", client=client)
    assert client.sent[0].environment[b"FRESH"] == b"1"
    said = jobctl("restart", "--refresh-env", "3", client=client, terminal=True).stderr
    assert said == "this shell's environment\n"


def test_rm_finished():
    client = FakeClient(rm=Acted(done=[3]))
    assert jobctl("rm", "--finished", client=client).out == "3\n"
    assert set(client.sent[0].selector.states) == {State.COMPLETED, State.FAILED, State.STOPPED}


def test_rm_force_stops_and_waits_first():
    client = FakeClient(
        stop=Acted(done=[3]), wait=Waited(done=True, total=1), rm=Acted(done=[3, 4])
    )
    assert jobctl("rm", "--force", "3-4", client=client).out == "3\n4\n"
    assert [type(request) for request in client.sent] == [Stop, Wait, Rm]


def test_dry_run_prints_what_it_would_act_on():
    client = FakeClient(stop=Acted(done=[2, 5]))
    assert jobctl("stop", "--dry-run", "--all", client=client).out == "2\n5\n"
    assert [request.only_looks for request in client.sent] == [True]
    assert client.sent[0].selector.states == [State.PENDING, State.RUNNING]


def test_rm_force_only_pretends():
    """That those which would be stopped still run is nothing against them."""
    runs = Note(id=3, text="is running; stop it first, or use rm --force")
    kept = Note(id=5, text="cannot be removed: 9 waits for it; remove that with it")
    client = FakeClient(stop=Acted(done=[3]), rm=Acted(done=[4], errors=[runs, kept]))
    result = jobctl("rm", "--force", "--dry-run", "3-5", client=client)
    assert (result.code, result.out) == (1, "3\n4\n")
    assert result.stderr == f"jobctl: job 5 {kept.text}\n"
    assert all(request.only_looks for request in client.sent)


# --- watch --------------------------------------------------------------------------------


def _event(seq, name, number=3, **data):
    return Event(seq=seq, at=NOON, job=number, event=name, user="me", data=data)


EVENTS = [
    EventPage(events=[], next=10, unfinished=1),
    EventPage(
        events=[
            _event(11, "started", attempt=2),
            _event(12, "progress", percent=40.0, message=None),
            _event(13, "progress", percent=12.5, message="epoch\x1b 4"),
            _event(14, "workers", None, workers=5),
        ],
        next=14,
        unfinished=1,
    ),
    EventPage(
        events=[
            _event(15, "failed", reason="exit code 2"),
            _event(16, "stopped", reason="by user"),
        ],
        next=16,
        unfinished=1,
    ),
    EventPage(events=[_event(17, "completed")], next=17, unfinished=0),
]


def test_watch_prints_a_line_per_change():
    client = FakeClient(events=list(EVENTS), list=Page(jobs=[RUNNING]))
    result = jobctl("watch", client=client)
    assert result.code == 0
    assert result.out.splitlines() == [
        "job 1 running: 40%, 3m left",
        "job 3 started (attempt 2)",
        "job 3 progress: 40%",
        "job 3 progress: 12.5%, epoch\\x1b 4",
        "workers: 5",
        "job 3 failed (exit code 2)",
        "job 3 stopped (by user)",
        "job 3 completed",
    ]


def test_watch_json_is_one_event_a_line():
    client = FakeClient(events=list(EVENTS), list=Page(jobs=[RUNNING]))
    lines = jobctl("watch", "--json", client=client).out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [11, 12, 13, 14, 15, 16, 17]


def test_leaving_watch_is_no_error():
    assert jobctl("watch", client=FakeClient(events=KeyboardInterrupt())).code == 0


def test_watching_what_does_not_exist():
    client = FakeClient(
        events=EventPage(events=[], next=1, unfinished=0), list=Page(jobs=[], missing=[9])
    )
    result = jobctl("watch", "9", client=client)
    assert (result.code, result.stderr) == (1, "jobctl: job 9 does not exist\n")


SECOND = "attempt 2 of job 7 has not started yet; the one before: jobctl logs --attempt 1 7\n"


def test_watching_says_why_it_is_silent():
    over = FakeClient(events=EventPage(events=[], next=1, unfinished=0), list=Page(jobs=[]))
    result = jobctl("watch", client=over)
    assert (result.code, result.stdout) == (0, b"")
    assert result.stderr == "nothing to watch: all of it has finished\n"
    waits = [EventPage(events=[], next=1, unfinished=n) for n in (1, 1, 1, 0)]
    result = jobctl("watch", client=FakeClient(events=waits, list=Page(jobs=[])))
    assert result.stderr == "nothing runs yet; a line follows with each change\n"


def test_waiting_for_a_range_with_no_job_in_it():
    client = FakeClient(wait=Waited(done=True, total=0))
    result = jobctl("wait", "90-99", client=client)
    assert (result.code, result.stderr) == (0, "no jobs selected\n")


def test_what_came_to_its_own_end_was_not_stopped():
    ended = Page(jobs=[job(4, "completed")])
    counts = {State.STOPPED: 1, State.COMPLETED: 1}
    client = FakeClient(
        stop=Acted(done=[3, 4]), wait=Waited(done=True, total=2, counts=counts), list=ended
    )
    result = jobctl("stop", "3-4", client=client)
    assert (result.code, result.out, result.stderr) == (0, "3\n", "job 4 has already completed\n")


def test_gpus_that_there_are_not_are_stuck():
    waits = job(5, "pending", reason="resources", gpus=2, slots=9)
    lacks = [
        Lack(what=Resource.WORKERS, needs=9, have=3),
        Lack(what=Resource.GPUS, needs=2, have=1),
    ]
    status = DaemonStatus(workers=3, gpus=1, jobs={State.PENDING: 1})
    page = Page(jobs=[waits], lacks={5: lacks})
    client = FakeClient(status=status, list=page, groups=GROUPS, show=_shown)
    assert "stuck    5: needs 2 GPUs, there is 1" in jobctl("status", client=client).out


def test_what_waits_for_the_first_worker_of_all_is_not_stuck_by_itself():
    heavy = job(5, "pending", reason="resources", slots=2)
    page = Page(jobs=[heavy], lacks={5: [Lack(what=Resource.WORKERS, needs=2, have=0)]})
    status = DaemonStatus(workers=0, jobs={State.PENDING: 1})
    client = FakeClient(status=status, list=page, groups=GROUPS, show=_shown)
    found = json.loads(jobctl("status", "--json", client=client).out)
    assert [entry["why"] for entry in found["stuck"]] == ["nothing starts: there are no workers"]
    assert [(entry["jobs"], entry["why"]) for entry in found["waiting"]] == [([5], "why of 5")]


def test_a_filter_that_matches_nothing_is_told_to_a_person_alone():
    for terminal, said in ((True, "no jobs selected\n"), (False, "")):
        result = jobctl(
            "stop", "--since", "1h", client=FakeClient(stop=Acted(done=[])), terminal=terminal
        )
        assert (result.code, result.out, result.stderr) == (0, "", said)


def test_a_group_is_no_job_that_was_not_found():
    client = FakeClient(pause=Acted(done=[]), groups=GROUPS)
    said = jobctl("pause", "--group", "b", client=client, terminal=True).stderr
    assert said == "group b is paused; resume it with: jobctl resume --group b\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["logs", "--attempt", "x"], "'--attempt': 'x' is no number from 1 on"),
        (["submit", "--slots", "0", "true"], "'--slots': '0' is no number from 1 to 1000"),
        (["submit", "--nice", "1.5", "true"], "'--nice': '1.5' is no number from -20 to 19"),
    ],
)
def test_a_number_out_of_bounds(words, said):
    result = jobctl(*words, client=FakeClient())
    assert (result.code, said in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("args", "attempt", "state", "ended", "said"),
    [
        ([], 1, "pending", False, "job 7 has not started yet; follow: jobctl logs -f 7\n"),
        (["-f"], 1, "pending", True, "job 7 has not started yet; its output follows\n"),
        ([], 0, "stopped", True, "job 7 never started; why: jobctl show 7\n"),
        ([], 2, "pending", False, SECOND),
        ([], 1, "running", False, "job 7 has printed nothing yet; follow: jobctl logs -f 7\n"),
        (["-f"], 1, "running", True, "job 7 left no output\n"),
        ([], 1, "completed", True, "job 7 left no output\n"),
    ],
)  # fmt: skip
def test_logs_say_why_there_are_none(args, attempt, state, ended, said):
    piece = Piece(
        id=7, attempt=attempt, data=b"", offset=0, ended=ended, state=State(state), path=""
    )
    result = jobctl("logs", *args, "7", client=FakeClient(output=piece))
    assert (result.code, result.stdout, result.stderr) == (0, b"", said)


def test_logs_of_what_is_gone_do_not_say_that_there_never_was_any():
    gone = "17 bytes of its output are gone"
    piece = msgspec.structs.replace(_piece(b"", 0, State.COMPLETED, ended=True), lost=gone)
    assert jobctl("logs", "7", client=FakeClient(output=piece)).stderr == f"job 7: {gone}\n"


def test_a_path_that_is_no_text_is_printed_as_it_is():
    piece = msgspec.structs.replace(
        _piece(b"", 0, State.COMPLETED, ended=True), path="/caf\ufffd", path_bytes=b"/caf\xe9"
    )
    done = jobctl("logs", "--path", "7", client=FakeClient(output=piece))
    assert done.stdout == b"/caf\xe9\n"


def test_logs_say_what_a_power_cut_took():
    said = "60 bytes of its output were lost with the power before 2026-11-26T05:00:00Z"
    piece = Piece(
        id=7, attempt=1, data=b"rest\n", offset=0, ended=True, state=State.COMPLETED, path="/x",
        lost=said,
    )  # fmt: skip
    result = jobctl("logs", "7", client=FakeClient(output=piece))
    assert result.out == "rest\n"
    assert "job 7: 60 bytes of its output were lost with the power before " in result.stderr


def test_who_follows_a_job_that_is_held_or_silent_is_told_so_once():
    silent = [_piece(b"", 0, State.RUNNING)] * 3
    held = msgspec.structs.replace(_piece(b"", 0, State.PENDING), why="held")
    end = _piece(b"", 0, State.COMPLETED, ended=True)
    nothing = "job 7 has printed nothing yet; its output follows\n"
    for pieces, said in [
        ([*silent, end], nothing),
        ([held, *silent, end], "job 7 has not started yet: held; its output follows\n"),
        ([*silent, _piece(b"x", 0, State.RUNNING), _piece(b"", 1, State.FAILED, ended=True)],
         nothing),
    ]:  # fmt: skip
        result = jobctl("logs", "-f", "7", client=FakeClient(output=pieces))
        assert (result.code, result.stderr) == (0, said)


def test_logs_of_one_line_of_output_say_nothing_beside_it():
    piece = _piece(b"x", 0, State.COMPLETED, ended=True)
    assert jobctl("logs", "7", client=FakeClient(output=piece)).stderr == ""
    none_asked_for = _piece(b"", 5, State.COMPLETED, ended=True)
    assert jobctl("logs", "-n", "0", "7", client=FakeClient(output=none_asked_for)).stderr == ""


def test_logs_say_in_a_line_of_their_own_that_output_was_emptied():
    anew = msgspec.structs.replace(_piece(b"two", 0, State.RUNNING), anew=True)
    end = _piece(b"", 3, State.COMPLETED, ended=True)
    said = "job 7 made its output shorter, or replaced it; what is there now follows\n"
    for args in (["-f"], []):
        client = FakeClient(output=[_piece(b"one one", 0, State.RUNNING), anew, end])
        result = jobctl("logs", *args, "7", client=client, terminal=True)
        assert (result.stdout, result.stderr) == (b"one onetwo", f"\n{said}")
        first, second, third = client.of(Output)
        assert [first.seen, second.seen, third.seen] == [b"", b"one one", b"two"]
    client = FakeClient(output=[_piece(b"one\n", 0, State.RUNNING), anew, end])
    assert jobctl("logs", "7", client=client, terminal=True).stderr == said


def test_events_and_show_name_who_did_something_unless_it_was_the_owner():
    events = [
        _event(11, "submitted"),
        msgspec.structs.replace(_event(12, "held"), user="anna"),
        msgspec.structs.replace(_event(13, "started"), user=""),
    ]
    page = EventPage(events=events, next=13, owner="me")
    out = jobctl("events", client=FakeClient(events=[page, EventPage(events=[], next=13)])).out
    said = [line.rsplit("  ", 1)[-1] for line in out.splitlines()]
    assert said == ["job 3 submitted", "job 3 held by anna", "job 3 started"]
    shown = Shown(job=job(3, user="me"), attempts=[], events=events)
    history = jobctl("show", "3", client=FakeClient(show=shown)).out.splitlines()[-3:]
    assert [line.split("  ")[-1] for line in history] == ["submitted", "held by anna", "started"]
