"""Shorthands, filters and ids only ever narrow each other, in every command and every pair.

What there is to try is found in click's own objects: an option that nobody has classified here
fails. Each command line meets the same real queue; what it decides there, in the writer's
transaction, is compared with the intersection of plain sets, and then taken back.
"""

import itertools
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from jobctl.cli import group
from jobd.client.client import Client
from jobd.contract.models import Command, Groups, Options, Pause, Resume, Submit, Waited
from jobd.contract.states import FINISHED, State
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT, Inside, ids
from tests.jobctl.fakes import jobctl

AGE = timedelta(days=10)
"""Between the old jobs and the new ones."""
BETWEEN = (datetime.now(UTC) - AGE / 2).isoformat()
KINDS = ("completed", "failed", "stopped", "queued", "held", "running", "paused")
ROWS = [(a, b, c, (a + b + c) % 2) for a, b, c in itertools.product((0, 1), repeat=3)]
"""Group, tag, name and age: of any three of them every combination is there."""


class Known(NamedTuple):
    """A job of the queue, as the test has made it."""

    id: int
    kind: str
    group: str
    tag: str
    name: str
    old: bool

    @property
    def user(self):
        """Every third one is somebody else's."""
        return "bob" if self.id % 3 else "eve"

    @property
    def state(self):
        return State({"queued": "pending", "held": "pending", "paused": "running"}.get(
            self.kind, self.kind
        ))  # fmt: skip


class Choice(NamedTuple):
    """Words of a command line, and the jobs that they leave."""

    words: tuple[str, ...]
    leaves: object
    states: frozenset[State] = frozenset(State)
    """Those of which one must be, where the words speak of states."""


class Given(NamedTuple):
    """An option as it is written."""

    option: str
    choice: Choice


def chosen(*words, leaves):
    return Choice(words, leaves)


def in_states(words, *names):
    states = frozenset(map(State, names))
    return Choice(tuple(words), lambda job: job.state in states, states)


ENDS = [state.value for state in FINISHED]
IDS = "5-44,47"
NARROWS = {
    "--state": [
        in_states(["--state", "completed"], "completed"),
        in_states(["--state", "failed,pending"], "failed", "pending"),
        in_states(["--state", "running"], "running"),
        in_states(["--state", "stopped", "--state", "running"], "stopped", "running"),
    ],
    "--group": [chosen("--group", "a", leaves=lambda job: job.group == "a")],
    "--tag": [chosen("--tag", "t", leaves=lambda job: job.tag == "t")],
    "--name": [chosen("--name", "tr*", leaves=lambda job: job.name == "train")],
    "--command": [
        chosen("--command", "exec s*", leaves=lambda job: job.kind not in ("completed", "failed"))
    ],
    "--until": [chosen("--until", BETWEEN, leaves=lambda job: job.old)],
    "--ended-since": [
        chosen(
            "--ended-since", "5d", leaves=lambda job: not job.old and job.state in FINISHED
        )
    ],
    "--user": [chosen("--user", "eve,nobody", leaves=lambda job: job.user == "eve")],
    "--since": [chosen("--since", BETWEEN, leaves=lambda job: not job.old)],
    "--all": [chosen("--all", leaves=lambda job: True)],
    "--finished": [in_states(["--finished"], *ENDS)],
    "--failed": [in_states(["--failed"], "failed")],
    "--unfinished": [in_states(["--unfinished"], "pending", "running")],
    "--older-than": [
        Choice(
            ("--older-than", "5d"), lambda job: job.old and job.state in FINISHED,
            frozenset(FINISHED),
        )
    ],
    "SELECTOR": [chosen(IDS, leaves=lambda job: 5 <= job.id <= 44 or job.id == 47)],
}  # fmt: skip
"""What each option leaves, whatever else is written."""
ONCE = {"--name", "--command", "--since", "--until", "--ended-since", "--older-than"}
"""Their values are no alternatives: a second one is refused."""
NAMES_NOTHING = {"--older-than"}
"""Narrows what is named, and does not name it."""
SELECTS_NOT = {
    "--color", "--columns", "--dry-run", "--expand", "--follow", "--force", "--format", "--from",
    "--grace", "--ids", "--json", "--limit", "--refresh-env", "--signal", "--sort", "--timeout",
    "-n", "--any", "--last", "--lines", "--fail-fast", "--idle", "--quiet",
    "--attempt", "--grep", "--merge-attempts", "--no-prefix", "--path",
}  # fmt: skip
"""They say how, or how much of it is shown; `-n` is short for one of these, or for `--name`."""
OF_THE_PAST = {"history", "report"}
"""Their filters are about attempts that have ended, also of jobs that are there no more."""
OF_A_GROUP = {"--group", "--running"}
"""Of `pause` and `resume`: a group itself, in the place of jobs. `wait --running` says how."""
ACTS_ON = {
    "stop": ("queued", "held", "running", "paused"),
    "hold": ("queued",),
    "start": ("stopped", "held"),
    "restart": ("completed", "failed", "stopped"),
    "rm": ("completed", "failed", "stopped"),
    "pause": ("running",),
    "resume": ("paused",),
}
"""Kinds of jobs that each changing command changes."""

# --- what there is ------------------------------------------------------------------------------


def commands(within=group, path=()):
    """Every command, those of groups of commands, too."""
    context = click.Context(within)
    for name in within.list_commands(context):
        found = within.get_command(context, name)
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


def option(param):
    """Its long name; `SELECTOR` for the words that name jobs."""
    if isinstance(param, click.Argument):
        return "SELECTOR" if "SELECTOR" in (param.metavar or "") else str(param.name).upper()
    return max(param.opts, key=len)


def selecting():
    """The commands that take more than one job."""
    return {
        path[0]: found
        for path, found in commands()
        if path[0] not in OF_THE_PAST
        and (
            "SELECTOR" in map(option, found.params)
            or any(str(param.name).startswith("only_") for param in found.params)
        )
    }


def options_of(name):
    """Those of its options that narrow."""
    found = map(option, SELECTING[name].params)
    if name in ("pause", "resume"):
        found = [each for each in found if each not in OF_A_GROUP]
    return [each for each in found if each in NARROWS]


SELECTING = selecting()


def combinations(name):
    """One option of a command, and two, one with itself, too; with each value that is tried."""
    given = [Given(each, choice) for each in options_of(name) for choice in NARROWS[each]]
    yield from ((each,) for each in given)
    yield from itertools.combinations_with_replacement(given, 2)


def test_every_option_is_classified():
    """A new one says here what it leaves."""
    assert set(SELECTING) == {*ACTS_ON, "ls", "watch", "wait", "events", "logs"}
    for name, found in SELECTING.items():
        known = {
            *NARROWS,
            *SELECTS_NOT,
            *(OF_A_GROUP if name in ("pause", "resume", "wait") else ()),
        }
        assert set(map(option, found.params)) <= known, name
        assert "SELECTOR" in options_of(name)


# --- a queue that stays as it is -----------------------------------------------------------------


class Queue:
    """Jobs of every kind, and command lines that are decided and taken back."""

    def __init__(self, home):
        self.inside = Inside(home, workers=len(ROWS))
        self.acted = []
        for name in "ab":
            self.inside.client.groups(Groups(action="add", name=name))
        self.jobs = [job for kind in KINDS for job in self._make(kind)]
        self._grow_old([job.id for job in self.jobs if job.old])
        self.inside.sql("UPDATE jobs SET user = IIF(id % 3, 'bob', 'eve')")
        self._rehearse()

    def _make(self, kind):
        """Half of them where they have processes, so that there is a worker for each."""
        rows = ROWS[:4] if kind == "running" else ROWS[4:] if kind == "paused" else ROWS
        found = [
            Known(self._submit(kind, row), kind, "ab"[row[0]], "tu"[row[1]],
                  ("train", "eval")[row[2]], bool(row[3]))
            for row in rows
        ]  # fmt: skip
        chosen = ids(*(job.id for job in found))
        if kind == "stopped":
            self.inside.client.stop(chosen)
        elif kind in ("completed", "failed"):
            self.inside.wait(*(job.id for job in found))
        elif kind in ("running", "paused"):
            wait_until(lambda: {self.inside.job(job.id).state for job in found} == {State.RUNNING})
        if kind == "paused":
            self.inside.client.pause(Pause(selector=chosen))
        return found

    def _submit(self, kind, row):
        line = {"completed": "true", "failed": "exit 1"}.get(kind, "exec sleep 1000")
        request = Submit(
            commands=[Command(argv=[line.encode()], shell=True)], cwd=b"/", environment=ENVIRONMENT,
            options=Options(
                group="ab"[row[0]], tags=["tu"[row[1]]], name=("train", "eval")[row[2]],
                hold=kind in ("stopped", "held"), delay=1e6 if kind == "queued" else None,
            ),
        )  # fmt: skip
        return self.inside.client.submit(request).first

    def _grow_old(self, jobs):
        self.inside.sql(
            "UPDATE jobs SET submitted_at = submitted_at - ?, finished_at = finished_at - ?"
            f" WHERE id IN ({','.join(map(str, jobs))})",
            *[AGE.total_seconds() * 1e6] * 2,
        )

    def _rehearse(self):
        """What is decided about a slice of jobs is noted, and neither saved nor carried out."""
        daemon, files = self.inside.daemon.built, self.inside.daemon.files
        bulk = daemon.verbs.bulk
        decide, act = bulk._slice, bulk.act

        def rehearsed(change, piece, since):
            files.connection.execute("SAVEPOINT rehearsal")
            acted = decide(change, piece, since)
            files.connection.execute("ROLLBACK TO rehearsal")
            files.connection.execute("RELEASE rehearsal")
            daemon.ground.undo.play()
            daemon.ground.tables.event_log.recall_last()
            return acted

        def acted(selector, call, verb, *, dry_run):
            verb.committed = lambda _: None
            answer = act(selector, call, verb, dry_run=dry_run)
            self.acted += () if dry_run else answer.done
            return answer

        bulk._slice, bulk.act = rehearsed, acted

    def on_disk(self):
        return self.inside.sql("SELECT id, state, held, paused, attempt FROM jobs ORDER BY id")

    def meant(self, given):
        """What is left where values of one option are alternatives, and all else has to hold."""
        options = {each.option for each in given}
        groups = [[g.choice for g in given if g.option == each] for each in options]
        return [
            job
            for job in self.jobs
            if all(any(choice.leaves(job) for choice in group) for group in groups)
        ]

    def jobctl(self, *words):
        self.acted.clear()
        with Onlooker(self.inside.paths.socket) as client:
            return jobctl(*words, client=client), client

    def close(self):
        self.inside.close()


class Onlooker(Client):
    """Does not wait for what is only rehearsed, and looks once where others would go on."""

    watched = ()

    def wait(self, request):
        return Waited(done=True, total=0) if request.wait else super().wait(request)

    def events(self, request):
        if request.wait:
            raise KeyboardInterrupt
        if request.after is not None:
            self.watched = request.selector.ids
        return super().events(request)


@pytest.fixture(scope="module")
def queue():
    base = Path(tempfile.mkdtemp(prefix="jn-", dir="/tmp"))
    made = Queue(base / "h")
    before = made.on_disk()
    yield made
    assert made.on_disk() == before
    made.close()
    shutil.rmtree(base)


def refusal(given):
    """Why nobody can mean that, or None."""
    options = [each.option for each in given]
    if len(set(options)) < len(options):
        return "once" if options[0] in ONCE else None
    if {"--since", "--until"} <= set(options):
        return "nothing lies between them"
    if {"--all", "SELECTOR"} == set(options):
        return "--all and single jobs exclude each other"
    if not frozenset.intersection(*(each.choice.states for each in given)):
        return "exclude each other: no job is both"
    return "name jobs" if set(options) <= NAMES_NOTHING else None


def words_of(given):
    return [word for each in given for word in each.choice.words]


def printed(said):
    return sorted(map(int, said.out.split()))


@pytest.mark.parametrize(("name", "forced"), [*((name, False) for name in ACTS_ON), ("rm", True)])
def test_what_is_changed_is_what_all_options_leave(queue, name, forced):
    force = ["--force"] if forced else []
    tried = 0
    for given in combinations(name):
        words = [name, *words_of(given), *force]
        said, _ = queue.jobctl(*words)
        acted = sorted(queue.acted)
        wrong, meant = refusal(given), queue.meant(given)
        dry, _ = queue.jobctl(*words, "--dry-run")
        assert not queue.acted, words
        if wrong is not None:
            for each in (said, dry):
                assert (each.code, each.out) == (2, ""), words
                assert wrong in each.stderr, words
            assert not acted, words
            continue
        tried += bool(meant)
        expected = [job.id for job in meant if forced or job.kind in ACTS_ON[name]]
        assert acted == expected, words
        assert forced or printed(said) == expected, words
        assert printed(dry) == expected, words
        assert forced or (dry.code, dry.stderr) == (said.code, said.stderr), words
    assert tried > 40


def listed(queue, words):
    return printed(queue.jobctl("ls", "--ids", *words)[0])


def waited_for(queue, words):
    said, _ = queue.jobctl("wait", "--json", "--timeout", "0", *words)
    return existing(queue, json.loads(said.out)["ids"])


def told(queue, words):
    said, _ = queue.jobctl("events", "--json", *words)
    return sorted({json.loads(line)["job"] for line in said.out.splitlines()})


def watched(queue, words):
    _, client = queue.jobctl("watch", "--json", *words)
    return existing(queue, client.watched)


def existing(queue, ranges):
    return [job.id for job in queue.jobs if any(low <= job.id <= high for low, high in ranges)]


@pytest.mark.parametrize(
    ("name", "seen"), [("ls", listed), ("wait", waited_for), ("events", told), ("watch", watched)]
)
def test_what_is_seen_is_what_all_options_leave(queue, name, seen):
    for given in combinations(name):
        words = words_of(given)
        wrong = refusal(given)
        if wrong is not None:
            said, _ = queue.jobctl(name, *words)
            assert (said.code, said.out) == (2, ""), words
            assert wrong in said.stderr, words
            continue
        assert seen(queue, words) == [job.id for job in queue.meant(given)], words


@pytest.mark.parametrize("name", ["pause", "resume"])
def test_a_group_is_paused_alone(queue, name):
    """And with --running its jobs, none of another one."""
    for each in options_of(name):
        for choice in NARROWS[each]:
            for more in ([], ["--running"]):
                said, _ = queue.jobctl(name, "--group", "a", *more, *choice.words)
                assert (said.code, said.out) == (2, ""), choice
                assert "name either jobs or --group G" in said.stderr
            assert queue.jobctl(name, "--running", *choice.words)[0].code == 2
    assert not queue.acted
    assert [share.paused for share in queue.inside.client.groups().groups] == [False] * 3
    said, _ = queue.jobctl(name, "--group", "a", "--running")
    expected = [job.id for job in queue.jobs if job.group == "a" and job.kind in ACTS_ON[name]]
    assert printed(said) == sorted(queue.acted) == expected
    queue.inside.client.resume(Resume(group="a"))


# --- carried out ---------------------------------------------------------------------------------


@pytest.fixture
def four(make):
    """Of each end one, and one that waits: 1 completed, 2 failed, 3 stopped, 4 pending."""
    inside = make(workers=1)
    inside.submit("true", "exit 1")
    inside.wait(1, 2)
    inside.client.workers(0)
    inside.submit("true", "true")
    inside.client.stop(ids(3))
    return inside


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["rm", "--finished", "--state", "completed"], [2, 3, 4]),
        (["rm", "--state", "failed,pending", "--finished"], [1, 3, 4]),
        (["rm", "--finished", "2-9"], [1, 4]),
        (["rm", "--force", "--finished", "--all"], [4]),
        (["rm", "--force", "--state", "pending"], [1, 2, 3]),
        (["rm", "--finished", "--older-than", "1h"], [1, 2, 3, 4]),
    ],
)
def test_what_is_not_meant_is_still_there(four, words, left):
    jobctl(*words, client=four.client)
    assert sorted(four.listed()) == left
    assert {int(file.name.split(".")[0]) for file in four.paths.output.rglob("*.log")} <= {*left}


def test_a_restart_of_failed_jobs_that_are_completed_is_none(four):
    said = jobctl("restart", "--failed", "--state", "completed", client=four.client)
    assert said.code == 2
    assert said.stderr.startswith(
        "jobctl: --failed and --state completed exclude each other: no job is both"
    )
    assert [four.job(job).attempt for job in (1, 2)] == [1, 1]
    assert jobctl("restart", "--failed", "1", client=four.client).out == ""
    assert jobctl("restart", "--failed", "1-2", client=four.client).out == "2\n"
