import errno
import json
import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from jobd.admin import control
from jobd.admin.cli import main
from jobd.admin.error_boundary import MEANT
from jobd.admin.findings import Finding, Report
from jobd.contract.errors import JobdError
from jobd.contract.models import DaemonStatus
from jobd.contract.paths import locate
from jobd.contract.wording import closest, counted, no_option


def jobd(*args):
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["kill"], "jobd: no command 'kill'; did you mean: jobd stop --now\n"),
        (["stauts"], "jobd: no command 'stauts'; did you mean: jobd status\n"),
        (["submit", "x"], "jobd: no command 'submit'; did you mean: jobctl submit\n"),
        (["xyzzy"], "jobd: no command 'xyzzy'; see: jobd --help\n"),
        (["stop", "--noww"], "jobd: no option --noww; did you mean: --now\n"),
        (["--nope"], "jobd: no option --nope\n"),
        (
            ["completion"],
            "jobd: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish\n",
        ),
        (["stop", "--timeout", "soon"], "jobd: --timeout: 'soon' is no duration"),
    ],
)
def test_wrong_usage_is_told_what_was_meant(args, said):
    result = jobd(*args)
    assert result.exit_code == 2
    assert result.output.startswith(said)


def test_every_command_has_an_example():
    assert isinstance(main, click.Group)
    for name in main.commands:
        text = jobd(name, "--help").output
        assert re.search(rf"Example:\n.*jobd {name}", text), name
        assert text.index("Options:") < text.index("Example:"), name


def test_help_and_version():
    assert jobd("help").output == jobd("--help").output
    assert jobd("help", "log").output == jobd("log", "--help").output
    assert jobd("help", "nonsense").exit_code == 2
    assert jobd("version").output == jobd("-V").output == jobd("--version").output


@pytest.mark.parametrize("args", [["status"], ["status", "--json"], ["start", "--help"]])
def test_output_that_cannot_be_written_is_one_line(args, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from jobd.admin.cli import main; main()", *args],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={"JOBD_HOME": str(tmp_path)},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "jobd: cannot write: No space left on device\n")


def test_what_is_meant_exists():
    from jobctl.cli import COMMANDS  # the other program's

    for meant in MEANT.values():
        program, name, *_ = meant.split()
        assert name in (main.commands if program == "jobd" else COMMANDS)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--prio", "--priority"), ("--pri", "--priority"), ("--tiem", "--time"), ("--zzz", None)],
)
def test_closest(word, meant):
    assert closest(word, ["--priority", "--time", "--progress"]) == meant


def test_short_options_are_not_proposed():
    assert no_option("-x", ["-y", "--yes"]) == "no option -x"


def test_the_help_of_every_command_fits():
    """click leaves two columns of a terminal free, and not of a runner's."""
    text = CliRunner().invoke(main, ["--help"], terminal_width=78).output
    assert "..." not in text.partition("Commands:")[2]
    assert re.findall(r"^  (\w+) ", text.partition("Commands:")[2], re.MULTILINE)[:4] == [
        "start", "stop", "restart", "status",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [["check"], ["log"]])
def test_what_is_another_users_is_no_defect(words, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "/home/other/jobd.db")

    monkeypatch.setattr("jobd.admin.here.locate", refuse)
    result = jobd(*words)
    assert result.exit_code == 77
    assert result.output == "jobd: /home/other/jobd.db: permission denied\n"


def test_status_in_json_where_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("JOBD_HOME", str(tmp_path))
    result = jobd("status", "--json")
    found = json.loads(result.output)
    assert (result.exit_code, found["running"], found["pid"]) == (3, False, None)
    assert set(found["jobs"].values()) == {0}


@pytest.mark.parametrize(
    ("lines", "first"), [(1, "g\n"), (2, "f\n"), (3, "e\n"), (6, "b\n"), (99, "a\n")]
)
def test_the_log_goes_on_into_those_before_it(lines, first, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JOBD_HOME", str(tmp_path))
    log = locate().log
    log.parent.mkdir(exist_ok=True)
    for name, text in (("", "f\ng\n"), (".1", "d\ne\n"), (".2", "a\nb\nc\n")):
        log.with_name(log.name + name).write_text(text)
    assert jobd("log", "-n", str(lines)).exit_code == 0
    said = capfd.readouterr().out
    assert said.startswith(first)
    assert said == "a\nb\nc\nd\ne\nf\ng\n"[-len(said) :]


def test_a_tail_that_somebody_has_put_into_the_path_is_not_run(tmp_path, monkeypatch, capfd):
    """Root may have the PATH of the user that it came from (su -m)."""
    monkeypatch.setenv("JOBD_HOME", str(tmp_path / "home"))
    theirs = tmp_path / "bin/tail"
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/sh\necho theirs\n")
    theirs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{theirs.parent}:{os.environ['PATH']}")
    locate().log.parent.mkdir()
    locate().log.write_text("ours\n")
    assert jobd("log").exit_code == 0
    assert capfd.readouterr().out == "ours\n"


def test_one_or_several():
    assert [counted(n, "job") for n in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]


# --- what a daemon says, and what paths are called ----------------------------------------

EVIL = "\x1b]0;x\x07\x7f\x9b1m\n\u2028FORGED\r\u202e"


def assert_fit(said):
    assert all(line.isprintable() and not line.startswith("FORGED") for line in said.split("\n"))


def evil_status(**fields):
    texts = ("version", "engine", "socket", "log", "state_dir", "access_socket", "error")
    return DaemonStatus(**{**dict.fromkeys(texts, EVIL), **fields})


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["start"]])
@pytest.mark.parametrize("uptime", [1.0, float("inf"), float("nan"), -1.0])
def test_whatever_a_daemon_says_of_itself_drives_no_terminal(words, uptime, monkeypatch, jobd_home):
    found = evil_status(uptime_s=uptime)
    monkeypatch.setattr(control, "running", lambda *_, **__: found)
    result = jobd(*words)
    assert result.exit_code == 0
    assert "\\x9b1m" in result.output or "\\u009b1m" in result.output
    assert_fit(result.output)


@pytest.mark.parametrize("words", [["start"], ["stop"], ["restart"], ["check"], ["backup", "x"]])
def test_an_error_drives_no_terminal(words, monkeypatch, jobd_home):
    def fail(*_, **__):
        raise JobdError(f"no: {EVIL}")

    for name in ("start", "stop", "restart", "running"):
        monkeypatch.setattr(control, name, fail)
    monkeypatch.setattr("jobd.admin.check.check", fail)
    monkeypatch.setattr("jobd.store.backup.backup", fail)
    result = jobd(*words)
    assert result.exit_code == 1
    assert result.output.startswith("jobd: no: \\x1b]0;x\\x07")
    assert_fit(result.output)


def test_the_end_of_a_log_stands_below_its_error(monkeypatch, jobd_home):
    def fail(*_, **__):
        raise JobdError("it does not answer. The end of its log:\none\ntwo\x1b[2J")

    monkeypatch.setattr(control, "restart", fail)
    assert jobd("restart").output == (
        "jobd: it does not answer. The end of its log:\n    one\n    two\\x1b[2J\n"
    )


@pytest.mark.parametrize("words", [["check"], ["check", "--json"]])
def test_what_check_finds_drives_no_terminal(words, monkeypatch, jobd_home):
    finding = Finding("record", EVIL, EVIL, 1)
    report = Report(EVIL, False, 1, 1, 1, [finding], [EVIL])
    monkeypatch.setattr("jobd.admin.check.check", lambda *_: report)
    result = jobd(*words)
    assert result.exit_code == 1
    assert_fit(result.output)
    if "--json" in words:
        assert json.loads(result.stdout)["findings"][0]["text"] == EVIL


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [["status"], ["log"], ["check"], ["status", "--json"]])
def test_a_home_of_any_bytes_in_any_encoding(tmp_path, words, encoding):
    home = os.path.join(os.fsencode(tmp_path), b"\xff\x9b\n", "中文\x85".encode())
    done = subprocess.run(
        [sys.executable, "-c", "from jobd.admin.cli import main; main()", *words],
        capture_output=True, timeout=60, check=False,
        env={b"JOBD_HOME": home, b"PYTHONIOENCODING": encoding.encode()},
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode(encoding)
    assert done.returncode in (1, 3), said
    assert "Traceback" not in said
    assert_fit(said)
    if "--json" in words:
        shown = home.decode("utf-8", "replace")
        assert json.loads(done.stdout)["state_dir"] == shown


def test_what_is_no_file_is_neither_overwritten_nor_read(tmp_path, monkeypatch, jobd_home):
    """As root, `--force` would take /dev/stdout away from all."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"other")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name in ("link", "fifo", "directory"):
        before = os.lstat(name)
        for force in ([], ["--force"]):
            result = jobd("backup", name, *force)
            assert (result.exit_code, "is no regular file; name another one" in result.output) == (
                1, True,
            )  # fmt: skip
        assert os.lstat(name) == before
    for name in ("fifo", "directory"):
        result = jobd("restore", name)
        assert (result.exit_code, "is no regular file" in result.output) == (1, True)
    result = jobd("restore", "link")
    assert result.exit_code == 1
    assert "Nothing was changed; name another backup" in result.output
    assert "jobd check" not in result.output


@pytest.mark.parametrize("words", [["backup"], ["restore"], ["start", "--config"]])
def test_an_empty_name_is_that_of_no_file(words):
    result = jobd(*words, "")
    assert (result.exit_code, "a name is needed; this one is empty" in result.output) == (2, True)
