"""`jobctl history`: what it asks for, and how it prints what it has counted."""

import csv
import json

import pytest

from jobd.contract.models import History, HistoryPage, WorkersReply
from tests.jobctl.actions.test_history import ended
from tests.jobctl.fakes import FakeClient, jobctl

DONE = [
    ended(1, 1, "failed", "exit code 3", name="train", exit_code=3),
    ended(1, 2, name="train"),
    ended(2, 1, name="eval,\nlate", user="anna"),
]


def a_client(*pages):
    pages = pages or (DONE,)
    history = [
        HistoryPage(attempts=list(page), next=None if page is pages[-1] else (n, 1))
        for n, page in enumerate(pages, 1)
    ]
    return FakeClient(history=history, workers=WorkersReply(workers=3, busy=0))


def test_it_asks_for_what_is_meant_page_by_page():
    client = a_client(DONE[:1], DONE[1:])
    words = ["--group", "g,h", "--user", "anna", "--user", "ben", "-n", "t*"]
    words += ["--state", "failed,stopped"]
    words += ["--since", "2026-01-01T00:00Z", "--until", "2026-02-01T00:00Z"]
    assert jobctl("history", *words, client=client).code == 0
    first, second = client.of(History)
    assert (first.groups, first.users, first.name) == (["g", "h"], ["anna", "ben"], "t*")
    assert first.states == ["failed", "stopped"]
    assert (first.since, first.until) == (1767225600, 1769904000)
    assert (first.after, second.after, second.name) == ((0, 0), (1, 1), "t*")


def test_all_of_it_in_a_few_lines():
    out = jobctl("history", client=a_client()).out.splitlines()
    assert out[0].startswith("attempts   3 of 2 jobs, 2026-01-0")
    assert "failed     1 (33.3%)" in out
    assert "ran        10s in 50%, 10s in 90%, 10s in 99%, 10s at most; 30s in all" in out
    assert out[-1].endswith("of the time of 3")


@pytest.mark.parametrize(
    ("peak", "said"),
    [(None, "unknown"), (2048, "2 MB in 50%, 2 MB in 90%, 2 MB in 99%, 2 MB at most")],
)
def test_memory_that_is_known_of_none_is_unknown(peak, said):
    out = jobctl("history", client=a_client([ended(1, 1, max_rss_kb=peak)])).out.splitlines()
    assert f"memory     {said}" in out


def test_a_line_for_each_name():
    head, first, second = jobctl("history", "--by", "name", client=a_client()).out.splitlines()
    assert head.split()[:4] == ["NAME", "ATTEMPTS", "FAILED", "STOPPED"]
    assert first.split()[:4] == ["train", "2", "1", "(50%)"]
    assert second.startswith("eval,\\nlate ")
    only = jobctl("history", "--by", "name", "--limit", "1", client=a_client()).out.splitlines()
    assert [line.split() for line in only] == [head.split(), first.split()]


def test_json_and_csv_have_the_same_keys():
    found = json.loads(jobctl("history", "--by", "exit-code", "--json", client=a_client()).out)
    assert [line["exit_code"] for line in found] == ["0", "3"]
    out = jobctl("history", "--by", "exit-code", "--format", "csv", client=a_client()).out
    rows = list(csv.DictReader(out.splitlines()))
    assert [*rows[0]] == [*found[0]]
    assert rows[0]["attempts"] == "2"
    assert rows[0]["first_started_at"] == found[0]["first_started_at"] == "2026-01-02T12:00:00Z"
    [all_] = json.loads(jobctl("history", "--json", client=a_client()).out)
    assert "key" not in all_


def test_csv_keeps_a_name_as_it_is():
    out = jobctl("history", "--by", "name", "--format", "csv", client=a_client()).out
    assert '"eval,\nlate",1,' in out


def test_nothing_is_said_to_be_nothing():
    result = jobctl("history", client=a_client([]))
    assert (result.code, result.out) == (0, "")
    assert "no finished attempt" in result.stderr
    [all_] = json.loads(jobctl("history", "--json", client=a_client([])).out)
    assert (all_["attempts"], all_["run_p50_s"]) == (0, None)
    assert json.loads(jobctl("history", "--json", "--by", "day", client=a_client([])).out) == []


def test_what_nobody_will_live_to_see_adds_nothing_to_the_time_of_workers():
    words = ["history", "--json", "--since", "2026-01-02T12:00Z"]
    [now] = json.loads(jobctl(*words, client=a_client()).out)
    [later] = json.loads(jobctl(*words, "--until", "2090-01-01", client=a_client()).out)
    assert later["use_percent"] == pytest.approx(now["use_percent"], rel=1e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--state", "running"], "no finished attempt is running"),
        (["--by", "colour"], "day"),
        (["--limit", "3"], "--limit is for the lines of --by"),
        (["--json", "--format", "csv"], "exclude each other"),
        (["--since", "1h", "--until", "2h"], "nothing lies between"),
        (["--since", "1h", "--until", "1h"], "nothing lies between"),
        (["--user", ","], "is no login"),
        (["--since", "soon"], "is no"),
        (["--since", "1h", "--since", "2h"], "give --since once"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(words, said):
    result = jobctl("history", *words)
    assert (result.code, said in result.stderr) == (2, True), result.stderr
