"""What people type who come from other queues is answered with what to type here."""

import shlex
from pathlib import Path

import click
import pytest

from jobctl.cli import COMMANDS, _takes, group
from jobctl.parsing import command_options, hints, option_hints, slurm
from jobd.admin.cli import main as jobd
from jobd.contract.models import Submitted
from tests.jobctl.fakes import FakeClient, jobctl

TABLE = [
    line.split("\t")
    for line in (Path(__file__).parent / "words.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
ACCEPTED = ("submit -t ", "submit -n ", "submit --time-limit")
"""These are options here, too: they are done, and a person is told what they mean."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].removeprefix("jobctl "))
def test_a_word_of_another_tool(row):
    line, *told = row
    program, *words = shlex.split(line)
    client = FakeClient(submit=Submitted(first=1, last=1, starts_now=True))
    result = jobctl(*words, client=client, terminal=True)
    is_accepted = line.startswith(tuple(f"{program} {begin}" for begin in ACCEPTED))
    assert result.code == (0 if is_accepted else 2)
    assert [part for part in told if part not in result.stderr] == []
    assert bool(client.sent) == is_accepted


def test_no_script_is_told_what_may_have_been_meant_otherwise():
    client = FakeClient(submit=Submitted(first=1, last=1))
    assert jobctl("submit", "-n", "4", "--time-limit", "10", "true", client=client).stderr == ""


@pytest.mark.parametrize("words", [["-n", "lr3"], ["-t", "night"], ["--time-limit", "10m"], []])
def test_what_is_plain_is_not_explained(words):
    assert option_hints.doubts(words) == []


def test_every_hint_names_what_there_is():
    for typed in (row[0] for row in TABLE):
        word, *rest = shlex.split(typed)[1:]
        meant = None if word in COMMANDS else hints.of([word, *rest], COMMANDS, _takes)
        if meant is not None:
            program, name = meant.split()[:2]
            assert name in {"jobctl": COMMANDS, "jobd": jobd.commands}[program]


def test_every_option_of_other_queues_is_none_of_ours():
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in COMMANDS}
    found["add"] = found["groups"].get_command(context, "add")
    for name, options in command_options.OPTIONS.items():
        own = {word for param in found[name].params for word in param.opts}
        assert not own & set(options), name


@pytest.mark.parametrize("word", ["abort", "prune", "sbatch", "nonsense"])
def test_where_nothing_is_near_nothing_is_guessed(word):
    assert hints.closest(word, COMMANDS) is None


def test_a_slip_of_the_fingers_keeps_what_stood_behind_it():
    assert "did you mean: jobctl logs -f 7\n" in jobctl("lgos", "-f", "7").stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["-Jx"], "--name x"),
        (["--job-name", "--hold"], "--name NAME"),
        (["--dependency"], "--after 1,2 (all completed), or --after-any 1,2 (ended)"),
        (["--dependency=afterok:1,afterany:2:3"], "--after 1 --after-any 2,3"),
        (["--gres=lustre:1"], "--gpus N"),
        (["--gres=gpu:a100:2"], "--gpus 2"),
        (["--begin=now+1hour"], "--delay 1h"),
        (["--export=ALL,A=1,B=2"], "--env A=1 --env B=2"),
        (["--export=NONE"], "--clean-env"),
        (["--restart=on-failure:3"], "--retries 3"),
        (["-D", "/data"], "--cwd /data"),
    ],
)
def test_an_option_of_another_queue_with_its_value(typed, meant):
    result = jobctl("submit", *typed, "true")
    assert result.code == 2
    assert f"; did you mean: {meant}\n" in result.stderr


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("1-00:00:00", "1d"),
        ("2-12", "2d12h"),
        ("2-12:30", "2d12h30m"),
        ("30", "30m"),
        ("90:30", "1h30m30s"),
        ("08:00:00", "8h"),
        ("0", None),
        ("UNLIMITED", None),
        ("1:2:3:4", None),
    ],
)
def test_a_time_of_slurm(written, limit):
    assert slurm.time_limit(written) == limit


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("status=Queued", "jobctl ls --state pending"),
        ("group=gpu first 5", "jobctl ls --group gpu -n 5"),
        ("order_by start", "jobctl ls --sort started_at"),
        ("status=nonsense", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_query_of_pueue(query, meant):
    assert hints.query([query]) == meant
