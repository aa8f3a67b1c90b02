"""`ls` to a person: what fits the screen, which columns there are, and what is cut where."""

import os
from datetime import datetime, timedelta

import pytest

from jobctl.render import text
from jobctl.render.names import cut_apart
from jobd.contract.errors import VersionMismatch
from jobd.contract.models import Array, GroupShare, GroupsReply, List, Page
from jobd.contract.states import State
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")


def size(monkeypatch, columns, lines=24):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))


def ls(*args, jobs=(), **page):
    client = FakeClient(
        list=Page(jobs=list(jobs), **page), groups=GroupsReply(groups=[GroupShare(name="gpu")])
    )
    result = jobctl("ls", *args, client=client, terminal=True)
    width = int(os.environ["COLUMNS"])
    assert all(text.columns(line) <= width for line in result.out.splitlines()[:-1])
    return result


def header(result):
    return result.out.splitlines()[0].split()


# --- rows ---------------------------------------------------------------------------------


def some(state, count, first):
    return [job(number, state) for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("running", "pending", "finished", "shown"),
    [
        (3, 30, 30, {"Running": 3, "Pending": 6, "Completed": 12}),
        (3, 2, 30, {"Running": 3, "Pending": 2, "Completed": 16}),
        (3, 30, 4, {"Running": 3, "Pending": 14, "Completed": 4}),
        (30, 30, 30, {"Running": 21}),
        (1, 1, 1, {"Running": 1, "Pending": 1, "Completed": 1}),
    ],
)
def test_it_ends_where_the_screen_ends(running, pending, finished, shown):
    jobs = [
        *some("running", running, 1),
        *some("pending", pending, 101),
        *some("completed", finished, 201),
    ]
    counts = {State.RUNNING: running, State.PENDING: pending, State.COMPLETED: finished}
    result = ls(jobs=jobs, counts=counts)
    lines = result.out.splitlines()
    assert len(lines) <= 23
    assert {name: sum(name in line for line in lines) for name in shown} == shown
    left = running + pending + finished - sum(shown.values())
    assert lines[-1].startswith(f"{running} running, {pending} pending, {finished} completed")
    assert (f"; {left} not shown (-n 0 shows all)" in lines[-1]) == bool(left)


def test_no_more_is_asked_for_than_fits(monkeypatch):
    size(monkeypatch, 80, 10)
    client = FakeClient(list=Page(jobs=[]))
    jobctl("ls", client=client, terminal=True)
    assert client.sent == [List(running=7, pending=7, finished=7, collapsed=True)]


def test_a_selection_ends_there_too_and_says_so():
    result = ls("--tag", "a", jobs=some("failed", 30, 1), counts={State.FAILED: 99})
    assert result.out.splitlines()[-1] == (
        "21 shown; there are more (-n 0 shows all). Why: jobctl show 1"
    )


def test_of_states_it_is_known_how_many_there_are():
    counts = {State.FAILED: 99, State.COMPLETED: 5}
    result = ls("--state", "failed", jobs=some("failed", 30, 1), counts=counts)
    assert result.out.splitlines()[-1].startswith("99 failed; 78 not shown (-n 0 shows all)")


def test_all_are_shown_where_that_is_asked_for():
    result = ls("-n", "0", jobs=some("failed", 99, 1), counts={State.FAILED: 99})
    assert len(result.out.splitlines()) == 101
    assert result.out.splitlines()[-1] == "99 failed. Why: jobctl show 1"


def test_so_many_are_shown_as_are_asked_for():
    result = ls("-n", "2", jobs=some("failed", 2, 1), counts={State.FAILED: 99})
    assert result.out.splitlines()[-1].startswith("99 failed; 97 not shown")


def test_nothing_is_selected():
    assert ls("--tag", "a").stderr == "no jobs selected\nno job has the tag a\n"
    assert ls("--name", "a b").stderr.splitlines()[1:] == [
        "--name has to fit as a whole; a part of it: --name '*a b*'"
    ]
    assert ls("--command", "*make").stderr == "no jobs selected\n"
    assert ls("--group", "gpuu").stderr.endswith("there is no group gpuu; did you mean: gpu\n")
    assert ls().stderr == "no jobs; submit one: jobctl submit COMMAND\n"


@pytest.mark.parametrize("columns", [1, 5, 20])
def test_a_tiny_screen(monkeypatch, columns):
    size(monkeypatch, columns, 1)
    assert ls(jobs=some("failed", 3, 1), counts={State.FAILED: 3}).code == 0


# --- columns ------------------------------------------------------------------------------


def test_columns_that_say_nothing_are_left_out():
    assert header(ls(jobs=[job(1, "pending")])) == ["ID", "STATE", "COMMAND"]
    assert header(ls(jobs=[job(1, name="a", priority=5, run_s=1.0, reason="x")])) == [
        "ID", "STATE", "PRIO", "NAME", "TIME", "DETAIL", "COMMAND"
    ]  # fmt: skip


def test_a_group_is_told_where_there_is_more_than_one():
    assert "GROUP" not in header(ls(jobs=[job(1, group="gpu"), job(2, group="gpu")]))
    assert "GROUP" in header(ls(jobs=[job(1, group="gpu"), job(2)]))


def test_columns_that_were_asked_for_are_there():
    assert header(ls("--columns", "id,key,priority", jobs=[job(1)])) == ["ID", "KEY", "PRIORITY"]


def test_when_it_ended_or_else_started():
    started, ended = NOON, NOON + timedelta(hours=1)
    rows = ls(
        jobs=[
            job(1, "running", started_at=started),
            job(3, "pending"),
            job(2, started_at=started, finished_at=ended),
        ]
    ).out.splitlines()
    assert "WHEN" in rows[0]
    assert text.when(started) in rows[1]
    assert " -  " in rows[2]
    assert text.when(ended) in rows[3]


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(hours=1), "13:02"),
        (timedelta(hours=15), "Mon 23:02"),
        (timedelta(days=6), "Wed 14:02"),
        (timedelta(days=7), "17 Nov"),
        (timedelta(days=365), "24 Nov 2025"),
        (timedelta(days=-1), "25 Nov"),
    ],
)
def test_a_short_time(ago, said):
    now = datetime(2026, 11, 24, 14, 2).astimezone()
    assert text.when(now - ago, now) == said


def test_no_time():
    assert text.when(None) == "-"


# --- widths -------------------------------------------------------------------------------

LONG = [f"resnet50-imagenet-lr{lr:.4f}-seed-1-final" for lr in (0.1, 0.01, 0.001)]


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 120])
def test_an_outcome_is_never_cut(monkeypatch, columns):
    size(monkeypatch, columns)
    listed = [
        job(number, "failed", name=name, reason=reason, run_s=4000.0, finished_at=NOON,
            command="python train.py " * 9)
        for number, (name, reason) in enumerate(
            zip(LONG, ["exit code 127", "dependency failed: 123", "signal KILL"], strict=True), 1
        )
    ]  # fmt: skip
    out = ls(jobs=listed).out
    assert all(one.reason in out for one in listed)
    out = arrays(jobs=listed[:2]).out
    assert all(one.reason in out for one in listed[:2])


def test_on_a_small_screen_a_name_stands_for_the_command(monkeypatch):
    size(monkeypatch, 40)
    failed = {"state": "failed", "reason": "exit code 127", "command": "python train.py"}
    assert header(ls(jobs=[job(1, name="train", **failed)])) == ["ID", "STATE", "NAME", "DETAIL"]
    assert header(ls(jobs=[job(1, **failed)])) == ["ID", "STATE", "DETAIL", "COMMAND"]


def test_why_it_could_not_start_may_be_cut(monkeypatch):
    size(monkeypatch, 80)
    reason = "could not start: pyhton: not found"
    named = {"name": "imagenet-resnet50-final", "command": "python " * 9, "run_s": 0.0}
    shown = ls(jobs=[job(100, "failed", reason=reason, finished_at=NOON, **named)]).out
    assert "could not start…" in shown
    # Also where ids of arrays, which are longer, stand above it.
    size(monkeypatch, 80)
    jobs = [job(100, "failed", reason=reason, finished_at=NOON, **named), job(3, "running")]
    array = Array(first=10_025, last=10_224, first_index=1, last_index=200)
    page = {"jobs": jobs, "counts": {State.FAILED: 1}, "arrays": {3: array}}
    assert "could not start…" in ls(**page).out
    size(monkeypatch, 120)
    assert f"  {reason}  " in ls(**page).out
    size(monkeypatch, 60)
    reason = "could not start: /a/very/long/path/to/a/program/that/is/not/there: no such file"
    assert "could not st" in ls(jobs=[job(1, "failed", reason=reason)]).out


def test_names_are_cut_in_the_middle_and_stay_apart(monkeypatch):
    size(monkeypatch, 60)
    jobs = [job(number, name=name, command="x" * 50) for number, name in enumerate(LONG, 1)]
    rows = ls(jobs=jobs).out.splitlines()[1:4]
    cells = [row.split()[2] for row in rows]
    assert all(
        rate in cell for rate, cell in zip(("0.1000", "0.0100", "0.0010"), cells, strict=True)
    )


def test_a_wide_terminal_is_used_to_its_full_width(monkeypatch):
    size(monkeypatch, 200)
    jobs = [job(number, name=name, command="make") for number, name in enumerate(LONG, 1)]
    out = ls(jobs=jobs).out
    assert all(name in out for name in LONG)


def test_paths_are_cut_in_the_middle(monkeypatch):
    size(monkeypatch, 30)
    out = ls("--columns", "id,cwd,command", jobs=[job(1, cwd="/home/anna/work/" * 3 + "end")]).out
    assert "/home" in out
    assert "end  make" in out


@pytest.mark.parametrize(
    ("texts", "width", "cut"),
    [
        (["abcdefghij"], 5, ["ab…ij"]),
        (["abcdefghij"], 10, ["abcdefghij"]),
        (["aaaaaXbbbbb", "aaaaaYbbbbb"], 7, ["aa…X…bb", "aa…Y…bb"]),
        (["aaaaabbbbb", "aaaaa2bbbbb"], 7, ["aa…bbb", "aa…2…bb"]),
        (["aaaaa1bbbbb", "aaaaa22bbbbb"], 7, ["aa…1…bb", "a…22…bb"]),
        (["数据准备数据准备"], 7, ["数…准备"]),
        (
            ["run-lr0.1-warm0-end", "run-lr0.1-warm10-end", "run-lr0.001-warm10-end"],
            16,
            ["r…lr0.1-warm0…nd", "r…lr0.1-warm10…d", "…lr0.001-warm10…"],
        ),
        (["run-lr0.1-warm0-end", "run-lr0.1-warm10-end"], 9, ["r…warm0…d", "…warm10…d"]),
    ],
)
def test_cut_in_the_middle(texts, width, cut):
    assert cut_apart(texts, width) == cut
    assert all(text.columns(each) <= width for each in cut)


# --- a line of one's own ------------------------------------------------------------------


def formatted(form, *args, jobs):
    return jobctl("ls", "--format", form, *args, client=FakeClient(list=Page(jobs=jobs)))


def test_a_line_of_ones_own():
    jobs = [job(1, "failed", name="a b", exit_code=2), job(2, "running", tags=["x", "y"])]
    assert formatted("{id} {state} {name}", jobs=jobs).out == "1 failed a b\n2 running \n"
    assert formatted(r"{id}\t{exit_code};{tags}{{", jobs=jobs).out == ('1\t2;[]{\n2\t;["x","y"]{\n')


def test_nothing_in_it_drives_a_terminal():
    assert formatted("{name}", jobs=[job(1, name="a\nb\x1b[31m")]).out == "a\\nb\\x1b[31m\n"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("{nme}", "did you mean: name"),
        ("{id", "a brace itself is {{ or }}"),
        ("{id:>99999999999}", "only keys stand in braces"),
        ("{id!r}", "only keys stand in braces"),
        ("xml", "is none of table, json, ndjson, csv"),
        ("{}", "is no key of a job"),
        ("{id.real}", "is no key of a job"),
    ],
)
def test_a_wrong_line_of_ones_own(form, said):
    result = formatted(form, jobs=[])
    assert (result.code, said in result.stderr) == (2, True)


def test_it_goes_with_no_other_choice_of_what_is_printed():
    for other in (["--json"], ["--ids"], ["--columns", "id"]):
        assert formatted("{id}", *other, jobs=[]).code == 2


# --- arrays -------------------------------------------------------------------------------

ARRAY = Array(
    first=3, last=102, first_index=1, last_index=100, eta_s=720.0,
    counts={State.RUNNING: 3, State.PENDING: 54, State.COMPLETED: 42, State.FAILED: 1},
)  # fmt: skip


def arrays(*args, array=ARRAY, jobs=(), more=None, **page):
    found = {3: array, **(more or {})}
    return ls(*args, jobs=[job(3, "running", name="sweep"), *jobs], arrays=found, **page)


def test_an_array_is_one_row():
    result = arrays(jobs=[job(2)], counts={State.RUNNING: 3, State.PENDING: 60})
    told = result.out.splitlines()[1]
    # How far it is comes first where there is no room for all.
    assert told == "3-102  array 1-100  43%, 12m left  3 running, 1 failed, 54 pending, …  sweep"


def test_all_of_it_where_there_is_room(monkeypatch):
    size(monkeypatch, 100)
    assert arrays().out.splitlines()[0] == (
        "3-102  array 1-100  42 completed, 3 running, 1 failed, 54 pending  43%, 12m left  sweep"
    )


def test_which_of_it_have_failed(monkeypatch):
    size(monkeypatch, 100)
    assert arrays().out.endswith(". Which failed: jobctl ls 3-102 --state failed\n")
    two = arrays(jobs=[job(103)], more={103: ARRAY})
    assert two.out.endswith(". Which failed: jobctl ls --state failed\n")
    one = job(1, "failed")
    assert arrays(jobs=[one]).out.endswith(". Why: jobctl show 1\n")


def test_a_batch_has_no_indexes(monkeypatch):
    size(monkeypatch, 100)
    batch = Array(first=3, last=4, counts={State.PENDING: 2})
    assert arrays(array=batch).out.splitlines()[0] == "3-4  batch  2 pending  sweep"


def test_one_that_has_ended_is_not_on_its_way(monkeypatch):
    size(monkeypatch, 100)
    over = Array(first=3, last=4, first_index=1, last_index=2, counts={State.COMPLETED: 2})
    assert arrays(array=over).out.splitlines()[0] == "3-4  array 1-2  2 completed  sweep"


def test_its_elements_are_shown_and_count():
    counts = {State.RUNNING: 3, State.PENDING: 54, State.COMPLETED: 43, State.FAILED: 1}
    assert "; " not in arrays(jobs=[job(2)], counts=counts).out.splitlines()[-1]
    assert "; 1 not shown" in arrays(counts=counts).out.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "is_one"),
    [
        ([], True),
        (["--tag", "a"], True),
        (["--expand"], False),
        (["3-102"], False),
        (["--state", "failed"], False),
        (["--columns", "id"], False),
    ],
)
def test_when_elements_are_asked_for(args, is_one):
    client = FakeClient(list=Page(jobs=[job(1)]))
    jobctl("ls", *args, client=client, terminal=True)
    assert client.sent[0].collapsed == is_one


@pytest.mark.parametrize("args", [[], ["--json"], ["--ids"], ["--format", "csv"]])
def test_a_script_gets_elements(args):
    client = FakeClient(list=Page(jobs=[job(1)]))
    jobctl("ls", *args, client=client)
    assert not client.sent[0].collapsed


def test_a_daemon_that_knows_no_such_rows_lists_elements():
    def answer(request):
        if request.collapsed:
            raise VersionMismatch("an unknown field")
        return Page(jobs=[job(1)])

    client = FakeClient(list=answer)
    assert "Completed" in jobctl("ls", client=client, terminal=True).out


def test_an_element_has_its_index():
    assert header(ls("--expand", jobs=[job(4, array_index=7)])) == [
        "ID",
        "STATE",
        "INDEX",
        "COMMAND",
    ]
