"""`ls`: its formats, columns and order."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from jobctl.render import text
from jobd.contract.errors import VersionMismatch
from jobd.contract.models import List, Page
from jobd.contract.states import State
from jobd.contract.wording import printable
from tests.jobctl.fakes import FakeClient, job, jobctl
from tests.jobctl.hostile import HOSTILE

JOBS = [
    job(4, "running", run_s=130.0, priority=100, name='a, "b"\nc', started_at=None),
    job(2, "pending", after=[1, 7]),
    job(3, "failed", reason="exit code 2", run_s=41.5, exit_code=2, shell=True),
]


def ls(*args, jobs=JOBS, terminal=False, **page):
    client = FakeClient(list=Page(jobs=jobs, **page))
    return jobctl("ls", *args, client=client, terminal=terminal)


# --- formats ------------------------------------------------------------------------------


def test_csv_can_be_read_again():
    rows = list(csv.DictReader(io.StringIO(ls("--format", "csv").out)))
    assert list(rows[0]) == list(job().__struct_fields__)
    assert [row["id"] for row in rows] == ["4", "2", "3"]
    assert rows[0]["name"] == 'a, "b"\nc'
    assert (rows[0]["exit_code"], rows[2]["exit_code"]) == ("", "2")
    assert rows[0]["submitted_at"] == "2026-01-02T12:00:00Z"
    assert (rows[0]["shell"], rows[2]["shell"]) == ("false", "true")
    assert json.loads(rows[1]["after"]) == [1, 7]
    assert json.loads(rows[0]["argv"]) == ["make", "data"]
    assert rows[2]["run_s"] == "41.5"


def test_csv_on_a_terminal_drives_nothing():
    out = ls("--format", "csv", jobs=[job(1, name="\x1b[31m")], terminal=True).out
    assert "\x1b" not in out


def test_csv_of_nothing_has_its_header():
    assert ls("--format", "csv", "--columns", "id,state", jobs=[]).out == "id,state\n"


def test_ndjson_is_a_job_a_line():
    found = [json.loads(line) for line in ls("--format", "ndjson").out.splitlines()]
    assert [entry["id"] for entry in found] == [4, 2, 3]
    assert ls("--format", "ndjson", jobs=[]).out == ""


def test_formats_go_page_by_page():
    pages = [Page(jobs=[job(1)], next="a"), Page(jobs=[job(2)])]
    for form in ("csv", "ndjson", "json"):
        client = FakeClient(list=list(pages))
        out = jobctl("ls", "--format", form, "--columns", "id", client=client).out
        assert "1" in out
        assert "2" in out


def test_format_json_is_json():
    assert ls("--format", "json").out == ls("--json").out == ls("--json", "--format", "json").out


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--format", "csv"],
        ["--ids", "--format", "table"],
        ["--ids", "--json"],
        ["--ids", "--columns", "id"],
        ["--format", "xml"],
    ],
)
def test_formats_that_do_not_go_together(words):
    assert ls(*words).code == 2


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "table"])
def test_a_missing_id_is_an_error_in_any_format(form):
    result = ls("9", "--format", form, jobs=[], missing=[9])
    assert (result.code, result.stderr) == (1, "jobctl: job 9 does not exist\n")


# --- columns ------------------------------------------------------------------------------


def test_columns_of_the_table():
    assert ls("--columns", "id,state,exit_code,run_s,after,shell").out == (
        " ID  STATE    EXIT_CODE  RUN_S  AFTER  SHELL\n"
        "  4  Running          -  2m10s  -      no\n"
        "  2  Pending          -  -      1,7    no\n"
        "  3  Failed           2  41s    -      yes\n"
    )


def test_columns_in_the_order_given():
    assert ls("--columns", "state, id,state").out.splitlines()[:2] == ["STATE    ID", "Running   4"]


def test_columns_restrict_the_json():
    found = json.loads(ls("--json", "--columns", "state,id").stdout)
    assert found[0] == {"state": "running", "id": 4}
    assert list(found[0]) == ["state", "id"]


def test_every_key_can_be_a_column():
    columns = ",".join(job().__struct_fields__)
    for terminal in (False, True):
        assert ls("--columns", columns, terminal=terminal).code == 0


@pytest.mark.parametrize("option", ["--columns", "--sort"])
def test_an_unknown_key(option):
    result = ls(option, "prioritie")
    assert result.code == 2
    assert "did you mean: priority" in result.stderr
    assert "they are id, name" in ls(option, "zzz").stderr


# --- order --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "ids"),
    [
        ("id", "2 3 4"),
        ("-id", "4 3 2"),
        ("run_s", "3 4 2"),
        ("-run_s", "4 3 2"),
        ("state", "2 4 3"),
        ("-priority", "4 2 3"),
    ],
)
def test_sorted(key, ids):
    assert ls("--ids", "--sort", key).out.split() == ids.split()


def test_sorting_reads_everything_and_then_takes_the_first():
    pages = [Page(jobs=[job(1)], next="a"), Page(jobs=[job(9)], next="b"), Page(jobs=[job(5)])]
    client = FakeClient(list=pages)
    assert jobctl("ls", "--ids", "--sort", "-id", "-n", "2", client=client).out == "9\n5\n"
    assert [request.limit for request in client.of(List)] == [None, None, None]


def test_sorted_on_a_terminal_shows_a_screenful():
    many = [job(number) for number in range(1, 101)]
    lines = ls(
        "--sort", "-id", jobs=many, counts={State.COMPLETED: 100}, terminal=True
    ).out.splitlines()
    assert len(lines) == 1 + 21 + 1
    assert lines[-1] == "100 completed; 79 not shown (-n 0 shows all)"


# --- wide characters ----------------------------------------------------------------------

NAMES = [
    "plain",
    "数据准备",
    "naïve",
    "cafe\u0301",
    "🚀 go",
    "한국어",
    "❤\ufe0f",
    "กำลัง",
    "\uff41\uff42",
]


def test_wide_characters_are_aligned():
    jobs = [job(number, name=name) for number, name in enumerate(NAMES, start=1)]
    lines = ls(jobs=jobs).out.splitlines()
    at = {wcswidth(line.partition("make data")[0]) for line in lines[1:]}
    assert at == {lines[0].index("COMMAND")}


@pytest.mark.parametrize("width", [20, 40, 80])
def test_rows_fit_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    jobs = [
        job(number, name=name * 9, command=name * 500, reason="held")
        for number, name in enumerate(NAMES, start=1)
    ]
    rows = ls(jobs=jobs, terminal=True).out.splitlines()[:-1]
    assert len(rows) == len(NAMES) + 1
    assert all(wcswidth(row) <= width for row in rows)
    # On the smallest one neither name nor command is left, which are what is cut.
    assert all("…" in row for row in rows[1:]) == (width > 20)


@pytest.mark.parametrize("terminal", [False, True])
def test_columns_stand_below_each_other_whatever_names_hold(monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    names = [name for name in HOSTILE if text.columns(printable(name)) > 1]
    jobs = [job(number, name=name) for number, name in enumerate(names, start=1)]
    header, *rows = ls("--columns", "id,name,state", jobs=jobs, terminal=terminal).out.splitlines()
    assert len(rows) >= len(jobs)
    begins = {wcswidth(row[: row.index("Completed")]) for row in rows[: len(jobs)]}
    assert begins == {header.index("STATE")}


def test_commands_are_whole_when_piped():
    assert "x" * 5000 in ls(jobs=[job(1, command="x" * 5000)]).out


@given(st.text(), st.integers(1, 30))
def test_a_cut_fits(value, width):
    value = printable(value)
    found = text.cut(value, width)
    assert text.columns(found) <= width
    if text.columns(value) <= width and len(value) <= 8 * width:
        assert found == value
    assert found == value or found.endswith("…")


def test_a_command_has_room_beside_long_names_and_details(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    wordy = job(
        1, name="n" * 40, state=State.FAILED, reason="could not start: /a/long/path: no such file",
        command="make -C /somewhere all && echo done",
    )  # fmt: skip
    monkeypatch.setenv("NO_COLOR", "1")
    header, row = ls(jobs=[wordy, job(2)], terminal=True).out.splitlines()[:2]
    assert row[header.index("COMMAND") :] == "make -C /somewhere all…"
    assert wcswidth(row) <= 80
    assert row.count("…") == 3


# --- what jobs use ------------------------------------------------------------------------

USED = [
    job(4, "running", cpu_s=90.0, rss_kb=2 * 1024**2, max_rss_kb=1024**2, gpu_memory_kb=512),
    job(3, "failed", cpu_s=1.0),
]


def test_words_for_what_jobs_use():
    out = ls("--columns", "id,cpu,mem,gpu", jobs=USED).out
    assert [line.split() for line in out.splitlines()] == [
        ["ID", "CPU_S", "RSS_KB", "MAX_RSS_KB", "GPU_MEMORY_KB"],
        ["4", "1m30s", "2.0", "GB", "1.0", "GB", "512", "kB"],
        ["3", "1.0s", "-", "-", "-"],
    ]
    assert json.loads(ls("--json", "--columns", "mem", jobs=USED).out)[0] == {
        "rss_kb": 2 * 1024**2, "max_rss_kb": 1024**2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "looked"),
    [
        ([], False),
        (["--columns", "id,cpu"], True),
        (["--columns", "id"], False),
        (["--json"], True),
        (["--json", "--columns", "id"], False),
        (["--format", "csv"], True),
        (["--format", "{id} {rss_kb}"], True),
        (["--format", "{id}"], False),
        (["--ids"], False),
        (["--ids", "--sort", "cpu_s"], True),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_jobs_are_looked_at_where_it_is_shown(words, looked, terminal):
    client = FakeClient(list=Page(jobs=USED))
    assert jobctl("ls", *words, client=client, terminal=terminal).code == 0
    assert {request.usage for request in client.of(List)} == {looked}


def test_a_daemon_that_does_not_look_is_asked_for_the_rest():
    def answer(request):
        if request.usage:
            raise VersionMismatch("jobctl asks for what the running jobd does not know")
        return Page(jobs=USED)

    client = FakeClient(list=answer)
    assert len(json.loads(jobctl("ls", "--json", client=client).out)) == 2
