"""groups, workers of a group, pause, resume, edit: what is sent, and what is said."""

import json
from datetime import UTC, datetime

import pytest

from jobd.contract.errors import Refused
from jobd.contract.models import (
    Acted,
    Edit,
    Groups,
    GroupShare,
    GroupsReply,
    Note,
    Pause,
    Resume,
    Selector,
)
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, jobctl

SHARES = GroupsReply(
    groups=[
        GroupShare(name="default", busy=3, pending=1041),
        GroupShare(name="gpu", workers=1, paused=True, pending=2),
    ]
)


def group_client():
    return FakeClient(groups=SHARES)


# --- groups -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["groups"], ["groups", "list"]])
def test_groups_are_listed(words):
    client = group_client()
    assert jobctl(*words, client=client).out == (
        "GROUP    WORKERS  BUSY  PENDING  PAUSED\n"
        "default      all     3    1,041  -\n"
        "gpu            1     0        2  yes\n"
    )
    assert client.sent == [Groups()]


def test_groups_in_json_are_an_array():
    found = json.loads(jobctl("groups", "--json", client=group_client()).out)
    assert found[1] == {"name": "gpu", "workers": 1, "paused": True, "busy": 0, "pending": 2}


@pytest.mark.parametrize(
    ("words", "sent", "said"),
    [
        (["add", "gpu", "--workers", "1"], Groups(action="add", name="gpu", workers=1), "gpu: 1 w"),
        (["add", "default"], Groups(action="add", name="default"), "default: all workers, 3 busy"),
        (["set", "gpu", "--workers", "all"], Groups(action="set", name="gpu"), "gpu: 1 worker, 0"),
        (["set", "gpu", "--workers", "0"], Groups(action="set", name="gpu", workers=0), "gpu: 1"),
        (["rm", "old"], Groups(action="rm", name="old"), "old: removed\n"),
    ],
)
def test_groups_are_changed(words, sent, said):
    client = group_client()
    result = jobctl("groups", *words, client=client)
    assert (result.code, client.sent) == (0, [sent])
    assert result.out.startswith(said)


def test_a_group_that_is_not_empty_stays():
    refusal = Refused("group gpu is not empty: 2 pending; move them: jobctl edit ID --group G")
    result = jobctl("groups", "rm", "gpu", client=FakeClient(groups=refusal))
    assert (result.code, result.out) == (1, "")
    assert "not empty" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["remove", "gpu"], "did you mean: jobctl groups rm gpu"),
        (["ad", "gpu"], "did you mean: jobctl groups add gpu"),
        (["zzz"], "they are list, add, set, rm"),
        (["set", "gpu"], "--workers"),
        (["add", "a b"], "no name of a group"),
        (["add", "gpu", "--workers", "x"], "no number of workers"),
        (["--json", "add", "gpu"], "write --json behind add"),
    ],
)
def test_groups_wrongly_used(words, said):
    client = group_client()
    result = jobctl("groups", *words, client=client)
    assert (result.code, client.sent) == (2, [])
    assert said in result.stderr


@pytest.mark.parametrize("verb", ["list", "add", "set", "rm"])
def test_every_verb_of_groups_has_an_example(verb):
    assert f"Example:\n    jobctl groups {verb}" in jobctl("groups", verb, "--help").out


# --- workers of a group ---------------------------------------------------------------------


def test_workers_of_a_group():
    client = group_client()
    assert jobctl("workers", "--group", "gpu", client=client).out == (
        "gpu: 1 worker, 0 busy, 2 pending, paused\n"
    )
    jobctl("workers", "2", "-g", "gpu", client=client)
    jobctl("workers", "all", "-g", "gpu", client=client)
    assert client.sent == [
        Groups(),
        Groups(action="set", name="gpu", workers=2),
        Groups(action="set", name="gpu", workers=None),
    ]


def test_workers_of_a_group_that_is_not_there():
    result = jobctl("workers", "-g", "nope", client=group_client())
    assert result.code == 1
    assert result.stderr == "jobctl: there is no group 'nope'; see: jobctl groups\n"


def test_all_workers_are_no_number():
    assert jobctl("workers", "all").code == 2


# --- pause, resume --------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "kind"), [("pause", Pause), ("resume", Resume)])
def test_jobs_are_paused_and_resumed(verb, kind):
    acted = Acted(done=[3, 4], notices=[Note(id=5, text="is already so")])
    client = FakeClient(**{verb: acted})
    result = jobctl(verb, "3-5", client=client)
    assert (result.code, result.out, result.stderr) == (0, "3\n4\n", "job 5 is already so\n")
    jobctl(verb, "--all", client=client)
    assert client.sent == [
        kind(selector=Selector(ids=[(3, 5)])),
        kind(selector=Selector(all=True, states=[State.RUNNING])),
    ]


def test_what_was_so_already_is_told_of_some():
    notices = [Note(id=number, text="is already paused") for number in range(1, 1001)]
    client = FakeClient(pause=Acted(done=[], notices=notices))
    lines = jobctl("pause", "1-1000", client=client).stderr.splitlines()
    assert lines[19:] == ["job 20 is already paused", "and 980 other jobs where it was so already"]


@pytest.mark.parametrize(("verb", "kind"), [("pause", Pause), ("resume", Resume)])
def test_a_group_is_paused_and_resumed(verb, kind):
    client = FakeClient(**{verb: Acted(done=[])}, groups=SHARES)
    assert jobctl(verb, "--group", "gpu", client=client).code == 0
    assert jobctl(verb, "--group", "gpu", "--running", client=client).code == 0
    assert client.of(kind) == [kind(group="gpu"), kind(group="gpu", running=True)]


@pytest.mark.parametrize(
    ("verb", "group", "said"),
    [
        ("pause", "gpu", "group gpu is already paused\n"),
        ("resume", "default", "group default is not paused\n"),
        ("pause", "default", ""),
        ("resume", "gpu", ""),
    ],
)
def test_a_group_that_is_so_already(verb, group, said):
    client = FakeClient(**{verb: Acted(done=[])}, groups=SHARES)
    result = jobctl(verb, "--group", group, client=client)
    assert (result.code, result.out, result.stderr) == (0, "", said)


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("words", [[], ["--running"], ["7", "--group", "g"], ["--all", "-g", "g"]])
def test_what_is_paused_must_be_named(verb, words):
    client = FakeClient()
    assert jobctl(verb, *words, client=client).code == 2
    assert not client.sent


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_pause_can_be_tried_dry(verb):
    halted = {verb: [Acted(done=[7]), Acted(done=[7]), Acted(done=[])]}
    client = FakeClient(groups=GroupsReply(groups=[]), **halted)
    assert jobctl(verb, "--dry-run", "7", client=client).out == "7\n"
    assert jobctl(verb, "--dry-run", "-g", "gpu", "--running", client=client).out == "7\n"
    last = jobctl(verb, "--dry-run", "-g", "gpu", client=client)
    assert (last.out, last.stderr) == ("", "")
    assert all(request.only_looks for request in client.sent)


def test_a_hint_says_how_the_group_goes_on():
    client = FakeClient(pause=Acted(done=[]), groups=SHARES)
    result = jobctl("pause", "-g", "default", client=client, terminal=True)
    assert "jobctl resume --group default" in result.stderr


# --- edit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--priority", "high"], {"priority": 100}),
        (["--name", ""], {"name": ""}),
        (["-t", "a", "-t", "b"], {"tags": ["a", "b"]}),
        (["--tag", "none"], {"tags": []}),
        (["--group", "gpu"], {"group": "gpu"}),
        (["--after", "3,5-6", "--after", "9"], {"after": [(3, 3), (5, 6), (9, 9)]}),
        (["--after", "none"], {"after": []}),
        (["--after-any", ""], {"after_any": []}),
        (["--delay", "0"], {"delay": 0.0}),
        (["--at", "2026-12-24T18:00:00Z"], {"at": 1798135200.0}),
        (["--time-limit", "1h30m"], {"time_limit": 5400.0}),
        (["--time-limit", "none"], {"time_limit": 0.0}),
        (["--retries", "0", "--retry-delay", "5s"], {"retries": 0, "retry_delay": 5.0}),
        (["--retry-on", "1,75"], {"retry_on": [1, 75]}),
        (["--retry-on", "none"], {"retry_on": []}),
    ],
)
def test_edit(words, changes):
    client = FakeClient(edit=Acted(done=[7]))
    result = jobctl("edit", "7", *words, client=client)
    assert (result.code, result.out) == (0, "7\n")
    assert client.sent == [Edit(id=7, **changes)]


@pytest.mark.parametrize(
    "words",
    [
        ["7"],
        [],
        ["7-9", "--name", "x"],
        ["7", "--after", "x"],
        ["7", "--retry-on", "0"],
        ["7", "--retry-on", "a"],
        ["7", "--tag", "a b"],
        ["7", "--priority", "urgent"],
        ["7", "--time-limit", "soon"],
        ["7", "--at", "teatime"],
        ["7", "--at", "18:00", "--delay", "5"],
    ],
)
def test_edit_wrongly_used(words):
    client = FakeClient()
    assert jobctl("edit", *words, client=client).code == 2
    assert not client.sent


def test_a_time_of_day_is_echoed_with_its_day():
    client = FakeClient(edit=Acted(done=[7]))
    result = jobctl("edit", "7", "--at", "18:00", client=client)
    at = datetime.fromtimestamp(client.sent[0].at, UTC).astimezone()
    assert result.stderr == f"not before {at:%a %Y-%m-%d} 18:00:00 {at:%Z}\n"


def test_edit_of_what_is_not_pending_is_refused():
    client = FakeClient(edit=Refused("job 7 is running"))
    result = jobctl("edit", "7", "--name", "x", client=client)
    assert (result.code, result.out) == (1, "")
