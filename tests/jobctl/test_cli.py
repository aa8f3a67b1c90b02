import itertools
import re
import shlex
import tempfile

import click
import pytest

from jobctl.cli import COMMANDS, group
from jobctl.render.topics import TOPICS
from jobd.contract.errors import NotRunning, Refused
from jobd.contract.models import Acted, Note
from tests.jobctl.fakes import FakeClient, jobctl


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["kill", "7"], "jobctl stop 7"),
        (["cancel", "3-9"], "jobctl stop 3-9"),
        (["add", "ls"], "jobctl submit ls"),
        (["run", "x"], "jobctl submit x"),
        (["queue"], "jobctl ls"),
        (["list"], "jobctl ls"),
        (["ps"], "jobctl ls"),
        (["log", "3"], "jobctl logs 3"),
        (["tail", "-f", "3"], "jobctl logs -f 3"),
        (["delete", "3"], "jobctl rm 3"),
        (["remove", "3"], "jobctl rm 3"),
        (["sbmit"], "jobctl submit"),
        (["kill", "-9", "7"], "jobctl stop --signal KILL 7"),
        (["kill", "-s", "TERM", "7"], "jobctl stop --signal TERM 7"),
        (["kill", "-SIGINT", "7", "8"], "jobctl stop --signal INT 7 8"),
        (["scancel", "7"], "jobctl stop 7"),
        (["abort", "7"], "jobctl stop 7"),
        (["sbatch", "a.sh"], "jobctl submit a.sh"),
        (["enqueue", "make", "all"], "jobctl submit make all"),
        (["enqueue", "7"], "jobctl start 7"),
        (["queue", "make"], "jobctl submit make"),
        (["run", "echo 'a b'; ls"], """jobctl submit 'echo '"'"'a b'"'"'; ls'"""),
        (["true", "5"], "jobctl submit true 5"),
        (["squeue"], "jobctl ls"),
        (["cat", "7"], "jobctl logs 7"),
        (["tail", "-20", "7"], "jobctl logs -n 20 7"),
        (["follow", "7"], "jobctl logs -f 7"),
        (["info", "7"], "jobctl show 7"),
        (["scontrol", "show", "job", "7"], "jobctl show 7"),
        (["sstat", "7"], "jobctl show 7"),
        (["forget", "7"], "jobctl rm 7"),
        (["clean"], "jobctl rm --finished"),
        (["prune"], "jobctl rm --finished"),
        (["reset"], "jobctl stop --all, and then jobctl rm --finished"),
        (["stash", "7"], "jobctl hold 7"),
        (["release", "7"], "jobctl start 7"),
        (["rerun", "7"], "jobctl restart 7"),
        (["switch", "3", "7"], "jobctl edit 7 --priority high"),
        (["urgent", "7"], "jobctl edit 7 --priority high"),
        (["parallel", "4"], "jobctl workers 4"),
        (["sinfo"], "jobctl groups"),
        (["shutdown"], "jobd stop"),
        (["sacct"], "jobctl ls --state completed,failed,stopped, or counted: jobctl history"),
        (["srun", "make"], "jobctl submit --wait make"),
        (["suspend", "7"], "jobctl pause 7"),
        (["continue", "7"], "jobctl resume 7"),
    ],
)
def test_did_you_mean(typed, meant):
    result = jobctl(*typed)
    assert result.code == 2
    assert result.stdout == b""
    assert result.stderr.startswith(f"jobctl: no command {typed[0]!r}; did you mean: {meant}\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "jobctl: there is not enough memory for this (see: ulimit -v"),
        (RuntimeError("can't start new thread"), "jobctl: the machine gives no further thread"),
    ],
)
def test_what_the_machine_refuses_is_no_defect(error, said):
    class Poor(FakeClient):
        def __getattribute__(self, name):
            if name == "status":
                raise error
            return super().__getattribute__(name)

    result = jobctl("status", client=Poor())
    assert result.code == 1
    assert result.stderr.startswith(said)
    assert "defect" not in result.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["-l"], "jobctl ls"),
        (["-c", "7"], "jobctl logs 7"),
        (["-C"], "jobctl rm --finished"),
        (["-u", "7"], "jobctl edit 7 --priority high"),
        (["-S", "4"], "jobctl workers 4"),
    ],
)
def test_did_you_mean_by_an_option_of_another_queue(typed, meant):
    result = jobctl(*typed)
    assert result.code == 2
    assert result.stderr.startswith(f"jobctl: no option {typed[0]}; did you mean: {meant}\n")


def test_status_of_a_job_is_show():
    result = jobctl("status", "7")
    assert result.code == 2
    assert "status takes no job; for one job: jobctl show 7" in result.stderr
    assert "show takes one job; for several: jobctl ls 1,2" in jobctl("show", "1", "2").stderr
    assert "is more than one job, and only one is taken here" in jobctl("show", "1-5").stderr


def test_an_option_misspelt():
    assert "--state" in jobctl("ls", "--stat", "failed").stderr


def test_a_word_too_few():
    assert jobctl("completion").stderr == (
        "jobctl: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish\n"
    )


def test_a_word_too_many():
    assert jobctl("progress", "40", "50").stderr == (
        "jobctl: too many words: 50 is left over; usage: jobctl progress [OPTIONS] PERCENT\n"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["ls", "--failed"], "--state failed"),
        (["logs", "--running"], "--state running"),
        (["wait", "--finished"], "--state completed,failed,stopped"),
    ],
)
def test_a_state_as_an_option(typed, meant):
    assert f"; did you mean: {meant}\n" in jobctl(*typed).stderr
    assert "--state" not in jobctl("show", "--failed").stderr


def test_a_state_misspelt():
    result = jobctl("ls", "--state", "faild,running")
    assert result.code == 2
    assert "did you mean: failed" in result.stderr
    assert "they are pending, running" in jobctl("ls", "--state", "zzz").stderr


@pytest.mark.parametrize(
    ("given", "red"),
    [
        ([], False),
        (["--color", "auto"], False),
        (["--color", "always"], True),
        (["--color=never"], False),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_colour_as_told(given, red, behind):
    words = ["workers", *given] if behind else [*given, "workers"]
    result = jobctl(*words, client=FakeClient(workers=Refused("no")))
    assert result.stderr == ("\x1b[31mjobctl:\x1b[0m no\n" if red else "jobctl: no\n")


def test_no_color_and_a_dumb_terminal_on_stderr(monkeypatch):
    def said():
        client = FakeClient(workers=Refused("no"))
        return jobctl("workers", client=client, terminal=True).stderr

    monkeypatch.setenv("TERM", "xterm")
    assert said().startswith("\x1b[31mjobctl:")
    monkeypatch.setenv("NO_COLOR", "1")
    assert said() == "jobctl: no\n"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert said() == "jobctl: no\n"


def test_no_idea():
    assert jobctl("zzzzz").stderr == "jobctl: no command 'zzzzz'\n"
    assert jobctl("zzzzz", terminal=True).stderr.count("see: jobctl --help") == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_has_an_example(command, flag):
    result = jobctl(command, flag)
    assert result.code == 0
    assert re.search(rf"Example:\n\s+\S*jobctl {command}", result.out)


def test_help_fits_the_screen():
    result = jobctl("--help")
    assert result.code == 0
    assert all(len(line) <= 80 for line in result.out.splitlines())
    assert "..." not in result.out.split("Commands:")[1].split("Example:")[0]


def test_nothing_typed_is_wrong_usage():
    result = jobctl()
    assert result.code == 2
    assert "Commands:" in result.out


def test_version():
    said = jobctl("--version").out
    assert said.startswith("jobctl ")
    assert jobctl("-V").out == jobctl("version").out == said


# --- help ---------------------------------------------------------------------------------


def test_the_help_of_submit_is_one_screen_with_ten_options():
    lines = jobctl("submit", "--help").out.splitlines()
    assert lines[0].startswith("Usage: jobctl submit ")
    assert len(lines) <= 23, "with the prompt behind it the first line is still there"
    assert all(len(line) <= 80 for line in lines)
    options = lines[lines.index("Common options:") + 1 : lines.index("  Example:") - 1]
    assert [option.lstrip()[0] for option in options] == ["-"] * 10
    assert "--help-all" in lines[-1]


def test_all_options_of_submit_are_in_the_other_one():
    said = jobctl("submit", "--help-all").out
    command = group.get_command(click.Context(group), "submit")
    for param in command.params:
        assert isinstance(param, click.Argument) or param.hidden or param.opts[-1] in said
    assert "Keeping track:" in said


@pytest.mark.parametrize("words", [[], ["submit"], ["ls"], ["groups", "add"]])
def test_help_is_that_of_the_command(words):
    said = jobctl("help", *words).out
    assert said == jobctl(*words, "--help").out


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_about_something_else(topic):
    result = jobctl("help", topic)
    assert result.code == 0
    assert "Example:\n  jobctl " in result.out
    assert all(len(line) <= 100 for line in result.out.splitlines())
    assert topic in " ".join(jobctl("help", "--help").out.split())


@pytest.mark.parametrize("page", [*TOPICS, *COMMANDS])
def test_an_example_can_be_typed(page):
    """`jobctl submit --script nightly.sh --fast` was one: there is no such option."""
    said = jobctl("help", page).out.partition("Example")[2]
    root = click.Context(group, **group.context_settings)
    for line in said.splitlines()[1:]:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        for ends, (*found,) in itertools.groupby(words, lambda word: not word.strip("|&;<>")):
            if not ends and found[0] == "jobctl" and len(found) > 1:
                command = group.get_command(root, found[1])
                command.make_context(found[1], found[2:], parent=root)


def test_no_such_page():
    assert "did you mean: jobctl help manifest" in jobctl("help", "manifset").stderr
    result = jobctl("help", "groups", "nonsense")
    assert (result.code, "topics: manifest, script" in result.stderr) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_durations_have_one_word(command):
    said = jobctl(command, "--help-all" if command == "submit" else "--help").out
    assert not re.search(r"--[a-z-]+ D\b", said)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NotRunning("jobd is not running. Start it with: jobd start"), 69, "jobd start"),
        (Refused("no"), 1, "no"),
        (KeyboardInterrupt(), 130, None),
        (OSError(28, "No space left on device"), 1, "cannot write: No space left on device"),
    ],
)
def test_the_boundary(error, code, message, monkeypatch):
    monkeypatch.setattr("jobctl.render.streams.abandon_stdout", lambda: None)
    result = jobctl("workers", client=FakeClient(workers=error))
    assert result.code == code
    assert "Traceback" not in result.stderr
    assert message is None or message in result.stderr


def test_a_defect_leaves_a_file_instead_of_a_traceback(jobd_home):
    jobd_home.mkdir(parents=True)
    result = jobctl("workers", client=FakeClient(workers=ZeroDivisionError("oops")))
    assert result.code == 1
    assert "Traceback" not in result.stderr
    (file,) = jobd_home.glob("jobctl-crash-*.log")
    assert str(file) in result.stderr
    text = file.read_text()
    assert "ZeroDivisionError: oops" in text
    assert "protocol" in text
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("writable", [True, False])
def test_a_defect_quotes_nothing_that_drives_a_terminal(jobd_home, writable, monkeypatch, tmp_path):
    error = ZeroDivisionError("oops \x1b[2J\nFORGED\x9b")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if writable else tmp_path / "none"))
    result = jobctl("workers", client=FakeClient(workers=error))
    assert result.code == 1
    assert all(line.isprintable() for line in result.stderr.split("\n"))
    if writable:
        (file,) = tmp_path.glob("jobctl-crash-*.log")
        assert result.stderr.count("\n") == 1
        said = file.read_text()
        assert "ZeroDivisionError: oops \\x1b[2J\nFORGED\\x9b\n" in said
        assert all(line.isprintable() for line in said.split("\n"))
    else:
        assert "\n    FORGED\\x9b\n" in result.stderr


def test_nobody_reads_any_more(monkeypatch):
    abandoned = []
    monkeypatch.setattr("jobctl.render.streams.abandon_stdout", lambda: abandoned.append(1))
    result = jobctl("ls", client=FakeClient(list=BrokenPipeError()))
    assert (result.code, result.stderr, abandoned) == (0, "", [1])


def test_what_others_wrote_does_not_drive_the_terminal():
    client = FakeClient(workers=Refused("bad \x1b[31mname\n\u202e!"))
    assert jobctl("workers", client=client).stderr == "jobctl: bad \\x1b[31mname\\n\\u202e!\n"


@pytest.mark.parametrize("command", ["start", "stop", "restart", "rm", "wait"])
def test_nothing_named_is_wrong_usage(command):
    client = FakeClient()
    assert jobctl(command, client=client).code == 2
    assert not client.sent


@pytest.mark.parametrize("command", ["start", "hold", "stop", "restart", "rm", "wait", "watch"])
def test_empty_stdin_does_nothing(command):
    client = FakeClient()
    result = jobctl(command, "-", client=client, stdin=b"")
    assert (result.code, result.stdout, client.sent) == (0, b"", [])


@pytest.mark.parametrize("command", ["start", "hold", "stop", "restart", "rm"])
def test_dry_run_changes_nothing(command):
    acted = Acted(done=[], errors=[Note(id=9, text="does not exist")])
    client = FakeClient(**{command: acted})
    result = jobctl(command, "--dry-run", "9", client=client)
    assert (result.code, result.stderr) == (1, "jobctl: job 9 does not exist\n")
    assert all(request.only_looks for request in client.sent)


def test_progress_takes_its_job_from_inside(monkeypatch):
    monkeypatch.setenv("JOBD_JOB_ID", "7")
    client = FakeClient(progress=Acted(done=[7]))
    result = jobctl("progress", "40%", "-m", "epoch 4", client=client)
    assert (result.code, result.stdout) == (0, b"")
    (request,) = client.sent
    assert (request.id, request.percent, request.message) == (7, 40, "epoch 4")


def test_progress_outside_of_a_job():
    result = jobctl("progress", "40")
    assert result.code == 2
    assert "--job" in result.stderr
