import os
from datetime import datetime

import pytest

from jobctl.parsing.param_types import parse_array
from jobctl.submission import job_options
from jobd.contract.models import (
    Acted,
    Command,
    Options,
    Page,
    Recipe,
    Show,
    Shown,
    Stop,
    Submit,
    Submitted,
    Waited,
)
from tests.jobctl.commands.test_submit import ONE, submitted
from tests.jobctl.fakes import FakeClient, job, jobctl


def test_every_field_of_the_options_is_an_option_and_the_other_way_round():
    others = {"cwd", "clean_env", "array", "notify_when_all"}
    names = {option.name for option in job_options.of_job()}
    assert names - others == set(Options.__struct_fields__)


def test_all_options_travel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    request = submitted(
        "-t", "a", "--tag", "b", "-g", "gpu", "--hold", "--nice", "5", "--shell", "sh",
        "--stdin", "in", "--after", "1,3-4", "--after", "9", "--after-any", "2", "--delay", "1m",
        "--time-limit", "1h", "--retries", "3", "--retry-delay", "2s", "--retry-on", "1,75",
        "--slots", "2", "--gpus", "1", "--key", "k", "--progress", "none", "--max-output", "1kB",
        "--engine-option", "--mem=8G", "--engine-option=--exclusive",
        "--array", "1-3,7", "-c", "x",
    )  # fmt: skip
    found = request.options
    assert found.tags == ["a", "b"]
    assert (found.group, found.hold, found.nice, found.key) == ("gpu", True, 5, "k")
    assert os.path.isabs(found.shell)
    assert found.stdin == os.fsencode(tmp_path / "in")
    assert (found.after, found.after_any) == ([(1, 1), (3, 4), (9, 9)], [(2, 2)])
    assert (found.delay, found.time_limit) == (60, 3600)
    assert (found.retries, found.retry_delay, found.retry_on) == (3, 2, [1, 75])
    assert (found.slots, found.gpus, found.progress, found.max_output) == (2, 1, "none", 1000)
    assert found.engine_options == ["--mem=8G", "--exclusive"]
    assert request.array == [(1, 3), (7, 7)]


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("1-10", [(1, 10)]),
        ("0", [(0, 0)]),
        ("7-9,1,3", [(1, 1), (3, 3), (7, 9)]),
        ("1-3,4", [(1, 4)]),
        ("1-30:10", [(1, 1), (11, 11), (21, 21)]),
        ("2-3:5", [(2, 2)]),
    ],
)
def test_array(text, ranges):
    assert parse_array(text) == ranges


@pytest.mark.parametrize(
    "text", ["", "x", "3-1", "1-", "1,1", "1-5,3", "1-9:0", "1-10%2", "0-1000000", "2147483648"]
)
def test_no_array(text):
    with pytest.raises(ValueError):
        parse_array(text)


@pytest.mark.parametrize(
    "args",
    [
        ["--nice", "20", "x"],
        ["--shell", "/no/such", "-c", "x"],
        ["--shell", "sh", "a", "b"],
        ["--stdin", "-", "x"],
        ["--time-limit", "0", "x"],
        ["--retry-on", "0", "x"],
        ["--slots", "0", "x"],
        ["--at", "soon", "x"],
        ["--after", "latest", "x"],
        ["--tag", "a b", "x"],
        ["--max-output", "much", "x"],
        ["--engine-option", "mem=8G", "x"],
        ["--engine-option", "--mem 8G", "x"],
        ["--stop-on-interrupt", "x"],
        ["--script", "f", "-c", "x"],
        ["--key", "k"],
    ],
)
def test_wrong_usage_sends_nothing(args):
    client = FakeClient()
    result = jobctl("submit", *args, client=client)
    assert result.code == 2
    assert result.stderr.startswith("jobctl: ")
    assert not client.sent


def test_at_is_echoed():
    client = FakeClient(submit=ONE)
    result = jobctl("submit", "--at", "2099-01-01T10:00", "true", client=client)
    assert client.sent[0].options.at == datetime(2099, 1, 1, 10).astimezone().timestamp()
    assert result.stderr.startswith("not before Thu 2099-01-01 10:00:00")


def test_a_clean_environment_keeps_who_one_is(monkeypatch):
    for name, value in {"LC_TIME": "C", "SECRET": "1", "USER": "me", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)
    environment = submitted("--clean-env", "-e", "A=1", "true").environment
    kept = {"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TZ", "USER", "A"}
    names = {os.fsdecode(name) for name in environment}
    assert {"LC_TIME", "USER", "TZ", "A", "PATH"} <= names
    assert not [name for name in names - kept if not name.startswith("LC_")]


def test_a_stdin_that_is_not_there_yet_is_a_warning_unless_something_is_waited_for():
    given = ["--stdin", "/no/such", "--", "true"]
    assert jobctl("submit", *given, client=FakeClient(submit=ONE)).stderr == (
        "jobctl: warning: /no/such: no such file\n"
    )
    assert not jobctl("submit", "--after", "1", *given, client=FakeClient(submit=ONE)).stderr


def test_a_stdin_that_is_there_and_no_file_is_a_warning_too(tmp_path):
    pipe, loop, file = tmp_path / "pipe", tmp_path / "loop", tmp_path / "file"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    file.touch()
    for path, why in (
        (tmp_path, "is a directory"), (pipe, "is no file"),
        (loop, "too many levels of symbolic links"), (file, ""), ("/dev/null", ""),
    ):  # fmt: skip
        said = jobctl("submit", "--stdin", str(path), "--", "true", client=FakeClient(submit=ONE))
        assert said.stderr == (f"jobctl: warning: {path}: {why}\n" if why else "")


# --- scripts ------------------------------------------------------------------------------

SCRIPT = b"""#!/bin/sh
# A comment.
#JOBCTL --priority high -t a -e X=1   # why
#JOBCTL --name 'night run' --delay 1m

#JOBCTL -t b
#JOBCTLX --nonsense
echo
#JOBCTL --nonsense
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "nightly.sh"
    path.write_bytes(SCRIPT)
    return str(path)


def test_a_script_is_sent_as_it_is_and_asks_for_itself(script):
    request = submitted("--script", script, "a  b", "--fast")
    (command,) = request.commands
    assert command.argv == [os.fsencode(script), b"a  b", b"--fast"]
    assert (command.script, command.shell) == (SCRIPT, False)
    options = request.options
    assert (options.priority, options.name, options.delay) == (100, "night run", 60)
    assert options.tags == ["a", "b"]
    assert request.environment[b"X"] == b"1"


def test_the_command_line_wins_over_the_script(script):
    request = submitted(
        "-n", "mine", "-p", "regular", "--at", "2099-01-01", "-e", "X=2", "--script", script
    )
    options = request.options
    assert (options.priority, options.name, options.delay) == (0, "mine", None)
    assert request.environment[b"X"] == b"2"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--prio high", "line 2: no option --prio; did you mean: --priority"),
        ("--priority urgent", "line 2: Invalid value for '-p'"),
        ("--wait", "line 2: no option --wait"),
        ("make", "line 2: Got unexpected extra argument"),
        ("--name 'x", "line 2: no closing quotation"),
    ],
)
def test_a_wrong_line_of_a_script_is_named(tmp_path, line, said):
    path = tmp_path / "s"
    path.write_text(f"#!/bin/sh\n#JOBCTL {line}\n")
    client = FakeClient()
    result = jobctl("submit", "--script", str(path), client=client)
    assert result.code == 2
    assert f"{path}, {said}" in result.stderr
    assert not client.sent


SBATCH = b"""#!/bin/bash
#SBATCH --job-name=train --time=1-00:00:00
#SBATCH -a 1-3 -d afterok:1:2
#SBATCH --gres=gpu:2   # both
#SBATCH --cpus-per-task 4 --begin=now+1hour --chdir=/usr --nice=5
#SBATCH --mem=8G -p gpu --requeue
##SBATCH --time=1
echo
#SBATCH --hold
"""


def saved(tmp_path, content):
    path = tmp_path / "train.sh"
    path.write_bytes(content)
    return str(path)


def test_a_script_for_slurm_asks_in_its_words(tmp_path):
    path = saved(tmp_path, SBATCH)
    client = FakeClient(submit=ONE)
    result = jobctl("submit", "--script", path, client=client)
    said = f"{path}: left out of its #SBATCH lines: --mem=8G, -p gpu\n"
    assert (result.code, result.stderr) == (0, said)
    (request,) = client.of(Submit)
    options = request.options
    assert (options.name, options.time_limit, options.gpus, options.slots) == ("train", 86400, 2, 4)
    assert (options.after, options.delay, options.nice) == ([(1, 1), (2, 2)], 3600, 5)
    assert (options.requeue, options.hold) == (True, False)
    assert (request.cwd, request.array) == (b"/usr", [(1, 3)])


def test_the_command_line_wins_over_a_script_for_slurm(tmp_path):
    request = submitted("-n", "mine", "--script", saved(tmp_path, SBATCH))
    assert request.options.name == "mine"


def test_lines_for_slurm_do_not_count_beside_our_own(tmp_path):
    path = saved(tmp_path, b"#!/bin/sh\n#SBATCH --mem=8G -J theirs\n#JOBCTL -t a\n")
    client = FakeClient(submit=ONE)
    assert jobctl("submit", "--script", path, client=client).stderr == ""
    assert client.of(Submit)[0].options.name == ""


def test_of_an_array_the_limit_of_running_elements_alone_is_left_out(tmp_path):
    path = saved(tmp_path, b"#!/bin/sh\n#SBATCH --array=1-10%2\n")
    client = FakeClient(submit=ONE)
    result = jobctl("submit", "--script", path, client=client)
    assert client.of(Submit)[0].array == [(1, 10)]
    assert result.stderr == f"{path}: left out of its #SBATCH lines: %2 of --array=1-10%2\n"


@pytest.mark.parametrize(
    ("lines", "slots", "gpus", "hold"),
    [
        ("#SBATCH -H", 1, 0, True),
        ("#SBATCH -n 4", 4, 0, False),
        ("#SBATCH --ntasks=4 --cpus-per-task=2", 8, 0, False),
        ("#SBATCH -c 2\n#SBATCH -n 4\n#SBATCH -n 3", 6, 0, False),
        ("#SBATCH -G 2", 1, 2, False),
        ("#SBATCH --gpus=a100:2 -vH", 1, 2, True),
        ("#SBATCH --gpus-per-node=2", 1, 2, False),
    ],
)
def test_what_else_a_script_for_slurm_asks_for(tmp_path, lines, slots, gpus, hold):
    options = submitted("--script", saved(tmp_path, f"#!/bin/sh\n{lines}\n".encode())).options
    assert (options.slots, options.gpus, options.hold) == (slots, gpus, hold)


def test_a_wrong_line_for_slurm_is_named(tmp_path):
    path = saved(tmp_path, b"#!/bin/sh\n\n#SBATCH --array=9-1\n")
    result = jobctl("submit", "--script", path)
    assert result.code == 2
    assert f"{path}, line 3: " in result.stderr


@pytest.mark.parametrize("content", [None, b"", b" \n", b"x" * (1024 * 1024 + 1)])
def test_no_script(tmp_path, content):
    path = tmp_path / "s"
    if content is not None:
        path.write_bytes(content)
    result = jobctl("submit", "--script", str(path))
    assert result.code == 1
    assert str(path) in result.stderr


# --- like, array, hints -------------------------------------------------------------------


def _like(**options):
    recipe = Recipe(
        command=Command(argv=[b"make", b"\xff"]), cwd=b"/old", options=Options(**options)
    )
    return FakeClient(submit=ONE, show=Shown(job=job(7), attempts=[], events=[], recipe=recipe))


def test_like_takes_command_directory_and_options():
    client = _like(priority=5, retries=2, retry_delay=9.0)
    assert jobctl("submit", "--like", "7", "-n", "again", client=client).code == 0
    (request,) = client.of(Submit)
    assert request.commands == [Command(argv=[b"make", b"\xff"])]
    assert request.cwd == b"/old"
    assert request.options == Options(priority=5, retries=2, retry_delay=9.0, name="again")
    assert client.of(Show) == [Show(id=7, recipe=True)]


def test_what_is_written_wins_over_the_other_job():
    client = _like(priority=5, retries=2, retry_delay=9.0)
    given = ["--like", "7", "-C", "/", "--retries", "0", "true", "x"]
    assert jobctl("submit", *given, client=client).code == 0
    (request,) = client.of(Submit)
    assert request.commands == [Command(argv=[b"true", b"x"])]
    assert request.cwd == b"/"
    assert request.options == Options(priority=5)


def test_json_of_an_array_is_an_array():
    client = FakeClient(submit=ONE, list=Page(jobs=[job(12)]))
    given = ["--json", "--array", "5", "true"]
    assert jobctl("submit", *given, client=client).out.startswith("[")


@pytest.mark.parametrize(
    ("reason", "more", "hint"),
    [
        ("dependency", {"waits_for": [1, 2]}, "waits for 1,2\n"),
        ("held", {}, "held; let it go: jobctl start 2\n"),
        ("queued", {}, "queued (3 of 3 workers busy); follow: jobctl logs -f 2\n"),
    ],
)
def test_hints_say_what_it_waits_for(reason, more, hint):
    now = Shown(job=job(2, "pending", reason=reason, **more), attempts=[], events=[])
    client = FakeClient(submit=Submitted(first=2, last=2, busy=3, workers=3), show=now)
    assert jobctl("submit", "--hold", "true", client=client, terminal=True).stderr == hint


def test_a_key_that_is_there_already():
    client = FakeClient(
        submit=Submitted(first=2, last=2, existing=True, workers=3),
        show=Shown(job=job(2), attempts=[], events=[]),
    )
    result = jobctl("submit", "--key", "k", "true", client=client, terminal=True)
    assert (result.out, result.stderr) == ("2\n", "is there already with this key: completed\n")


def test_stop_on_interrupt():
    ended = job(12, "stopped", reason="by user")
    waited = Waited(done=True, total=1, counts={ended.state: 1}, jobs=[ended])
    client = FakeClient(submit=ONE, events=KeyboardInterrupt(), stop=Acted(done=[12]), wait=waited)
    result = jobctl("submit", "-w", "--stop-on-interrupt", "true", client=client)
    assert result.code == 130
    assert [request.selector.ids for request in client.of(Stop)] == [[(12, 12)]]
    assert "stopping job 12" in result.stderr


def test_help_shows_the_common_options_first():
    text = jobctl("submit", "--help-all").out
    sections = [line for line in text.splitlines() if line.endswith(":") and line[:1].isalpha()]
    assert sections[-6:] == [f"{name}:" for name in job_options.SECTIONS]
    common = text.split("Common options:")[1].split("What runs:")[0]
    assert [word for word in common.split() if word.startswith("--")] == [
        "--name", "--priority", "--after", "--wait", "--file",
    ]  # fmt: skip
