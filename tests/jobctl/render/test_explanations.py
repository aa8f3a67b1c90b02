"""How what waits is shown: the DETAIL of `ls`, the sheet of `show`, the lines of events."""

from datetime import UTC, datetime, timedelta

import pytest

from jobctl.render import live, words
from jobctl.render.text import clock, localized, moment
from jobd.contract.models import Event, Page, Shown
from jobd.contract.wording import instant
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl


def pending(reason, **fields):
    return job(7, "pending", reason=reason, **fields)


def soon(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (pending("queued"), "queued"),
        (pending("held"), "held"),
        (pending("group full", group="a"), "group full"),
        (pending("group paused"), "group paused"),
        (pending("dependency", after=[1, 2, 3], waits_for=[2, 3]), "waits for 2,3"),
        (pending("dependency", after=[4], after_any=[1, 2]), "waits for 1,2,4"),
        (pending("dependency"), "dependency"),
        (pending("resources", gpus=1), "waits for 1 GPU"),
        (pending("resources", gpus=2, slots=3), "waits for 2 GPUs"),
        (pending("resources", slots=4), "waits for 4 workers"),
        (pending("delayed"), "delayed"),
        (pending("retry backoff"), "retry backoff"),
        (job(7, "running", paused=True, progress=40), "paused, 40%"),
        (job(7, "failed", reason="dependency failed: 3"), "dependency failed: 3"),
    ],
)
def test_detail(given, detail):
    assert words.detail(given) == detail


def test_detail_with_times():
    later = soon(7200)
    assert words.detail(pending("delayed", not_before=later)) == f"starts at {clock(later)}"
    near = words.detail(pending("delayed", not_before=soon(38.9)))
    assert near in ("starts in 38s", "starts in 37s")
    again = pending("retry backoff", not_before=soon(38.9), failures=2, retries=5)
    assert words.detail(again) in ("retry 2 of 5 in 38s", "retry 2 of 5 in 37s")
    over = pending("retry backoff", not_before=NOON, failures=2, retries=5)
    assert words.detail(over) == "retry 2 of 5 in 0.0s"


def test_ls_shows_it():
    client = FakeClient(list=Page(jobs=[pending("dependency", waits_for=[1, 2])]))
    assert "waits for 1,2" in jobctl("ls", client=client).out


def sheet(given, why=None):
    client = FakeClient(show=Shown(job=given, attempts=[], events=[], why=why))
    lines = jobctl("show", "7", client=client).out.splitlines()[1:]
    return dict(line.strip().split("  ", 1) for line in lines)


def test_show_has_what_was_asked_for():
    found = sheet(
        pending(
            "dependency",
            group="gpu",
            tags=["a", "b"],
            slots=2,
            gpus=1,
            after=[1, 2, 3],
            after_any=[5],
            not_before=NOON,
            time_limit_s=5400.0,
            retries=5,
            failures=2,
            key="build-42",
            array_index=0,
        ),
        why="waits for 1 (running, 40%)",
    )
    assert {label: fact.strip() for label, fact in found.items()} == {
        "state": "Pending (dependency)",
        "why": "waits for 1 (running, 40%)",
        "command": "make data",
        "directory": "/tmp",
        "priority": "0",
        "group": "gpu",
        "tags": "a, b",
        "slots": "2",
        "GPUs": "1",
        "after": "1-3",
        "after any": "5",
        "not before": moment(NOON),
        "time limit": "1h30m",
        "retries": "5, 2 failed so far",
        "key": "build-42",
        "array": "element 0",
        "submitted": moment(NOON),
    }


def test_show_is_silent_about_what_is_usual():
    labels = set(sheet(job(7)))
    assert labels == {"state", "command", "directory", "priority", "submitted"}


@pytest.mark.parametrize(
    ("number", "event", "data", "said"),
    [
        (3, "paused", {}, "job 3 paused"),
        (3, "resumed", {}, "job 3 resumed"),
        (None, "paused", {"group": "gpu"}, "group gpu paused"),
        (None, "resumed", {"group": "gpu"}, "group gpu resumed"),
        (None, "workers", {"workers": 4}, "workers: 4"),
        (None, "workers", {"group": "gpu", "workers": 2}, "group gpu workers: 2"),
        (None, "workers", {"group": "gpu", "workers": None}, "group gpu workers: all"),
        (None, "workers", {"group": "gpu", "removed": True}, "group gpu removed"),
        (3, "held", {}, "job 3 held"),
        (3, "edited", {"held": False}, "job 3 edited (let go)"),
        (3, "edited", {"priority": 100, "name": ""}, "job 3 edited (priority 100, name none)"),
        (3, "edited", {"after": "[[1,1],[4,6]]"}, "job 3 edited (after 1,4-6)"),
        (3, "edited", {"after_any": "[]"}, "job 3 edited (after any none)"),
        (3, "edited", {"tags": '["a","b"]'}, "job 3 edited (tags a,b)"),
        (3, "edited", {"after": "what"}, "job 3 edited (after what)"),
        (
            3,
            "edited",
            {"time_limit": 5400, "delay": 0},
            "job 3 edited (time limit 1h30m, delay none)",
        ),
        (3, "edited", {"at": NOON.timestamp()}, f"job 3 edited (at {clock(NOON)})"),
        (3, "edited", {}, "job 3 edited"),
        (3, "retrying", {"reason": "exit code 1", "exit_code": 1}, "job 3 retrying (exit code 1)"),
        (3, "submitted", {"last": 12}, "job 3 submitted (an array, up to job 12)"),
        (3, "submitted", {"last": 12, "jobs": 10}, "job 3 submitted (10 jobs, up to job 12)"),
        (3, "restarted", {"attempt": 2}, "job 3 restarted (attempt 2)"),
        (3, "failed", {"reason": "dependency failed: 1"}, "job 3 failed (dependency failed: 1)"),
    ],
)
def test_events_read_well(number, event, data, said):
    value = Event(seq=1, at=NOON, job=number, event=event, user="", data=data)
    assert live.sentence(value) == said


def test_an_instant_in_words_of_the_daemon_is_shown_as_the_readers_clock():
    later = NOON.replace(year=2030)
    written = later.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert localized(f"not before {written}, in 2d") == f"not before {clock(later)}, in 2d"
    assert instant(later.timestamp()) == written


@pytest.mark.parametrize(
    "words",
    ["key '2030-01-01T00:00:00Z' is taken", "2030-99-01T00:00:00Z", "x2030-01-01T00:00:00Z", ""],
)
def test_what_others_wrote_stays(words):
    assert localized(words) == words


@pytest.mark.parametrize(
    ("given", "label", "said"),
    [
        (
            job(7, "running", cpu_s=0.5, rss_kb=2048, max_rss_kb=1024, gpu_memory_kb=4096),
            "uses", "0.5s CPU, 2 MB memory, 4 MB GPU memory, 1 MB at most in one process",
        ),
        (job(7, "running", cpu_s=0.5), "uses", "0.5s CPU"),
        (job(7, "failed", cpu_s=0.5, max_rss_kb=1024), "used", "0.5s CPU, 1 MB memory at most"),
        (job(7, "failed", cpu_s=0.5), "used", "0.5s CPU, peak of memory unknown"),
    ],
)  # fmt: skip
def test_what_a_job_uses(given, label, said):
    assert sheet(given)[label].strip() == said


@pytest.mark.parametrize("state", ["running", "pending", "stopped"])
def test_where_nobody_knows_what_a_job_uses_nothing_is_said(state):
    assert not {"uses", "used"} & set(sheet(job(7, state)))
