from datetime import datetime, timedelta

import pytest

from jobctl.parsing.times import parse_at, parse_since
from jobd.contract.errors import NotRunning
from jobd.contract.models import (
    Acted,
    EventPage,
    GroupShare,
    GroupsReply,
    Hold,
    Note,
    Page,
    Rm,
    Start,
    Waited,
)
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job, jobctl

NOW = datetime(2026, 11, 24, 14, 2).astimezone()
GROUPS = GroupsReply(groups=[GroupShare(name="default"), GroupShare(name="gpu")])
FILTERED = ["ls", "watch", "events", "wait", "stop", "start", "hold", "restart", "rm"]


def sent(*args, stdin=b"", **replies):
    """The selector of the first request that a command line sends."""
    answer = Acted(done=[])
    client = FakeClient(
        list=Page(jobs=[]), wait=Waited(done=True, total=0),
        groups=GROUPS,
        **dict.fromkeys(["stop", "start", "hold", "restart", "rm"], answer), **replies,
    )  # fmt: skip
    result = jobctl(*args, client=client, stdin=stdin)
    assert result.code == 0, result.stderr
    return client.sent[0].selector


def test_all_filters_travel():
    chosen = sent(
        "ls", "3-9", "--state", "failed,stopped", "--state", "running", "--group", "gpu,cpu",
        "--tag", "a", "--tag", "b", "--name", "train*", "--since", "1970-01-02T00:00Z",
        "--until", "1970-01-03T00:00Z", "--ended-since", "1970-01-04T00:00Z", "--user", "eve,bob",
    )  # fmt: skip
    assert chosen.ids == [(3, 9)]
    assert chosen.states == [State.FAILED, State.STOPPED, State.RUNNING]
    assert chosen.groups == ["gpu", "cpu"]
    assert chosen.tags == ["a", "b"]
    assert chosen.name == "train*"
    assert (chosen.since, chosen.until, chosen.ended_since) == (86400, 2 * 86400, 3 * 86400)
    assert chosen.users == ["eve", "bob"]


@pytest.mark.parametrize("command", FILTERED)
def test_short_options_mean_what_they_mean_to_submit(command):
    acted = dict.fromkeys(["stop", "start", "hold", "restart", "rm"], Acted(done=[]))
    client = FakeClient(
        list=Page(jobs=[]), wait=Waited(done=True, total=0), groups=GROUPS,
        events=EventPage(events=[], next=0), **acted,
    )  # fmt: skip
    assert jobctl(command, "-g", "gpu", "-t", "a", "-n", "x*", client=client).code == 0
    chosen = next(request.selector for request in client.sent if request.selector.named)
    assert (chosen.groups, chosen.tags, chosen.name) == (["gpu"], ["a"], "x*")


@pytest.mark.parametrize("command", ["ls", "events"])
def test_a_number_behind_n_is_how_many(command):
    client = FakeClient(list=Page(jobs=[]), events=EventPage(events=[], next=0))
    assert jobctl(command, "-n", "5", client=client).code == 0
    assert not client.sent[0].selector.name
    assert jobctl(command, "-n", "x*", "--name", "y*").code == 2


@pytest.mark.parametrize("command", ["ls", "events"])
def test_of_two_counts_none_is_left_out_in_silence(command):
    for words in (["-n", "5", "-n", "6"], ["-n", "x*", "-n", "y*"]):
        result = jobctl(command, *words, client=FakeClient())
        kind = "N" if words[-1] == "6" else "GLOB"
        assert (result.code, f"give -n {kind} once\n" in result.stderr) == (2, True)
    client = FakeClient(
        list=Page(jobs=[]), events=EventPage(events=[], next=0), wait=Waited(done=True, total=0)
    )
    assert jobctl(command, "-n", "5", "-n", "x*", client=client).code == 0
    assert client.sent[0].selector.name == "x*"


COUNTING = [("ls", "--limit"), ("events", "--last"), ("logs", "--lines")]


@pytest.mark.parametrize(("command", "option"), COUNTING)
def test_the_long_name_of_a_count_takes_a_number_and_nothing_else(command, option):
    for words in ([option, "x"], [option, "-1"], ["-n", "-1"]):
        client = FakeClient()
        result = jobctl(command, *words, client=client)
        assert (result.code, client.sent) == (2, [])
        assert f"'{words[1]}' is no number from 0 on" in result.stderr
    both = jobctl(command, option, "5", "-n", "5")
    assert (both.code, "exclude each other" in both.stderr) == (2, True)


@pytest.mark.parametrize(("command", "option"), COUNTING[:2])
def test_a_count_and_a_name_are_given_together(command, option):
    client = FakeClient(
        list=Page(jobs=[]), events=EventPage(events=[], next=0), wait=Waited(done=True, total=0)
    )
    assert jobctl(command, option, "5", "-n", "x*", client=client).code == 0
    assert client.sent[0].selector.name == "x*"
    assert jobctl(command, option, "5", client=client).code == 0
    assert not client.sent[-1].selector.name


@pytest.mark.parametrize("command", ["stop", "hold", "restart", "rm", "start"])
def test_a_group_that_is_not_there_is_told(command):
    client = FakeClient(groups=GROUPS, **{command: Acted(done=[])})
    result = jobctl(command, "--group", "gpux,nope,gpu", client=client)
    assert (result.code, result.stderr) == (
        0, "there is no group gpux; did you mean: gpu\nthere is no group nope\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("printing", "out"),
    [
        ([], " ID  STATE  PRIO  NAME  TIME  DETAIL  COMMAND\n"),
        (["--sort", "id"], " ID  STATE  PRIO  NAME  TIME  DETAIL  COMMAND\n"),
        (["--ids"], ""),
        (["--json"], "[]\n"),
        (["--format", "ndjson"], ""),
        (["--format", "csv", "--columns", "id,name"], "id,name\n"),
        (["--format", "{id}"], ""),
    ],
)
def test_a_list_of_a_group_that_is_not_there_is_told_however_it_is_printed(printing, out):
    client = FakeClient(groups=GROUPS, list=Page(jobs=[]))
    result = jobctl("ls", "-g", "gpux", *printing, client=client)
    assert (result.code, result.out) == (0, out)
    assert result.stderr == "there is no group gpux; did you mean: gpu\n"
    some = Page(jobs=[], ids=[(1, 1)]) if printing == ["--ids"] else Page(jobs=[job(1)])
    for page in (some, Page(jobs=[], missing=[7])):
        client = FakeClient(list=page)  # it would be asked for groups in vain
        result = jobctl("ls", "-g", "gpux", *printing, client=client)
        assert "group" not in result.stderr
        assert result.code == len(page.missing)
    for words in (["-g", "gpu"], ["-t", "nightl"], []):
        client = FakeClient(groups=GROUPS, list=Page(jobs=[]))
        assert jobctl("ls", *words, *printing, client=client).stderr == ""


def test_a_tag_that_no_job_has_is_told_to_a_person():
    for page, said in (
        (Page(jobs=[]), "no jobs selected\nno job has the tag nightl\n"),
        (Page(jobs=[], ids=[(1, 1)]), "no jobs selected\n"),
        (Page(jobs=[], next="more"), "no jobs selected\n"),
    ):
        client = FakeClient(stop=Acted(done=[]), list=page)
        assert jobctl("stop", "-t", "nightl", client=client, terminal=True).stderr == said
    client = FakeClient(stop=Acted(done=[]))
    assert jobctl("stop", "-t", "nightl", client=client).stderr == ""


def test_that_it_cannot_be_told_changes_nothing():
    client = FakeClient(stop=Acted(done=[]), groups=NotRunning("gone"))
    assert jobctl("stop", "--group", "x", client=client).code == 0


@pytest.mark.parametrize("command", [c for c in FILTERED if c not in ("watch", "events", "start")])
def test_a_filter_alone_names_jobs(command):
    chosen = sent(command, "--tag", "nightly")
    assert chosen.tags == ["nightly"]
    assert not chosen.all


@pytest.mark.parametrize("command", [c for c in FILTERED if c not in ("watch", "events", "start")])
def test_what_has_not_finished_is_a_filter_of_every_command(command):
    assert sent(command, "--unfinished").states == [State.PENDING, State.RUNNING]
    assert sent(command, "--unfinished", "3-9").ids == [(3, 9)]
    assert sent(command, "--unfinished", "--state", "running,failed").states == [State.RUNNING]


@pytest.mark.parametrize("command", [*FILTERED, "pause", "resume"])
def test_it_only_ever_narrows(command):
    client = FakeClient()
    result = jobctl(command, "--unfinished", "--state", "failed", client=client)
    assert (result.code, client.sent) == (2, [])
    assert "--unfinished and --state failed exclude each other" in result.stderr


@pytest.mark.parametrize("command", FILTERED)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--group", "no group"),
        ("--tag", "a b"),
        ("--tag", ""),
        ("--name", ""),
        ("--since", "yesterday"),
        ("--state", "dead"),
    ],
)
def test_a_wrong_filter_is_wrong_usage(command, option, value):
    client = FakeClient()
    result = jobctl(command, option, value, client=client)
    assert result.code == 2
    assert option in result.stderr
    assert not client.sent


@pytest.mark.parametrize("command", ["wait", "stop", "start", "hold", "restart", "rm"])
def test_nothing_named_is_wrong_usage(command):
    result = jobctl(command)
    assert result.code == 2
    assert "name jobs (7, 3-9, -)" in result.stderr
    assert "--since" in result.stderr


def test_jobs_of_a_filter_are_passed_over_where_they_cannot_be_acted_on():
    assert sent("stop", "--tag", "x").states == [State.PENDING, State.RUNNING]
    assert sent("hold", "--all").states == [State.PENDING]
    assert not sent("stop", "7").states


def test_wait_for_a_group_settles_on_its_jobs():
    now = Waited(done=False, total=2, ids=[(3, 4)])
    client = FakeClient(wait=[now, Waited(done=True, total=2, counts={State.COMPLETED: 2})])
    assert jobctl("wait", "--group", "gpu", client=client).code == 0
    assert [request.selector.ids for request in client.sent] == [[], [(3, 4)]]
    assert client.sent[0].selector.groups == ["gpu"]
    assert not client.sent[1].selector.groups


def test_hold():
    client = FakeClient(hold=Acted(done=[7, 8]))
    assert jobctl("hold", "7-8", client=client).out == "7\n8\n"
    assert isinstance(client.sent[0], Hold)


def test_hold_only_pretends():
    client = FakeClient(hold=Acted(done=[7]))
    assert jobctl("hold", "--dry-run", "--all", client=client).out == "7\n"
    assert client.sent[0].selector.states == [State.PENDING]
    assert client.sent[0].only_looks


def test_start_lets_held_and_stopped_jobs_go_and_no_others():
    client = FakeClient(start=[Acted(done=[9]), Acted(done=[3])])
    assert jobctl("start", "--all", client=client).out == "3\n9\n"
    stopped, held = (request.selector for request in client.of(Start))
    assert (stopped.states, stopped.held) == ([State.STOPPED], False)
    assert (held.states, held.held) == ([State.PENDING], True)


def test_start_of_single_jobs_asks_for_just_these():
    client = FakeClient(start=Acted(done=[7]))
    assert jobctl("start", "7", client=client).out == "7\n"
    assert client.sent[0].selector.states == []


def test_start_only_pretends():
    missing = Note(id=5, text="does not exist")
    client = FakeClient(start=[Acted(done=[9], errors=[missing]), Acted(done=[3])])
    result = jobctl("start", "--dry-run", "--tag", "x", client=client)
    assert (result.code, result.out) == (1, "3\n9\n")
    assert [request.dry_run for request in client.of(Start)] == [True, True]


def test_rm_of_what_finished_long_ago(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    client = FakeClient(rm=Acted(done=[1]))
    assert jobctl("rm", "--finished", "--older-than", "1h", client=client).code == 0
    (request,) = client.of(Rm)
    assert request.selector.ended_before == 1_000_000 - 3600
    assert request.selector.states == [State.COMPLETED, State.FAILED, State.STOPPED]


def test_older_than_alone_names_nothing():
    assert jobctl("rm", "--older-than", "1h").code == 2


# --- times --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [("18:00", 24, "18:00"), ("14:03", 24, "14:03"), ("14:02", 25, "14:02"), ("9:30", 25, "09:30")],
)
def test_the_next_time_of_day(text, day, clock):
    found = datetime.fromtimestamp(parse_at(text, NOW)).astimezone()
    assert (found.day, found.strftime("%H:%M")) == (day, clock)


def test_iso_times():
    assert parse_at("2026-12-24T18:00Z") == 1_798_135_200
    assert parse_at("2026-12-24T18:00") == datetime(2026, 12, 24, 18).astimezone().timestamp()
    assert parse_at("2026-12-24") == datetime(2026, 12, 24).astimezone().timestamp()


@pytest.mark.parametrize("text", ["", "24:00", "18", "tomorrow", "18:60", "0001-01-01", "1:2:3:4"])
def test_no_time(text):
    with pytest.raises(ValueError):
        parse_at(text, NOW)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("14:00", timedelta(minutes=2)),
        ("14:03", timedelta(hours=23, minutes=59)),
        ("9:02", timedelta(hours=5)),
        ("9:00:00", timedelta(hours=5, minutes=2)),
        ("09:00:00", timedelta(hours=5, minutes=2)),
        ("1:30:00", timedelta(hours=12, minutes=32)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2026-11-24T14:00", timedelta(minutes=2)),
    ],
)
def test_since(text, ago):
    assert parse_since(text, NOW) == (NOW - ago).timestamp()


@pytest.mark.parametrize("text", ["yesterday", ""])
def test_no_time_since(text):
    with pytest.raises(ValueError, match="is no time; write 90, 15m"):
        parse_since(text, NOW)


@pytest.mark.parametrize(
    "text", ["25:00", "9:60", "90:00", "100:00", "9:00.5", "30:00:00", "9:", "1:2:3:4"]
)
def test_what_has_a_colon_is_no_duration_since(text):
    """`25:00` was the last 25 minutes, `100:00` still those, and `9:00:00` the last nine hours."""
    with pytest.raises(ValueError, match=r"is no time of day; write 18:00, or 1h30m for so long"):
        parse_since(text, NOW)


@pytest.mark.parametrize("command", ["ls", "events", "stop", "wait", "logs", "history"])
@pytest.mark.parametrize("words", [["01:00Z", "00:59Z"], ["01:00Z", "01:00Z"]])
def test_between_two_times_that_are_no_span_lies_nothing(command, words):
    """At 01:49 `--since 01:00 --until 02:00` asked for what was before yesterday's 02:00."""
    since, until = (f"1970-01-02T{word}" for word in words)
    client = FakeClient()
    result = jobctl(command, "--since", since, "--until", until, client=client)
    assert (result.code, client.sent) == (2, [])
    shown = datetime.fromtimestamp(86400 + 3600).isoformat()  # noqa: DTZ006 # as it is shown
    assert f"--since ({shown}) is not before --until (" in result.stderr
    assert "): nothing lies between them\n" in result.stderr
