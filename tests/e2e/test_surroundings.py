"""A process without what nearly all have: descriptors 0 to 2, a home, a directory, a login."""

import os
import shlex
import subprocess

import pytest

from tests.e2e.instance import BIN
from tests.users import BIN as BIN_FOR_OTHERS
from tests.users import PATIENCE, needs_users

pytestmark = pytest.mark.e2e

CLOSED = ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"]
NOBODY = 54321
"""A number that has no login."""


def told_without(instance, closed, *words):
    """A command some of whose streams are closed. The others go to files, which take no numbers."""
    line = f"{BIN}/{shlex.join(words)} >{instance.work}/out 2>{instance.work}/err {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=instance.env, cwd=instance.work, check=False, timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    out, err = ((instance.work / name).read_text() for name in ("out", "err"))
    assert "Traceback" not in err, err
    assert "defect" not in err, err
    return done.returncode, out, err


@pytest.mark.parametrize("closed", CLOSED)
def test_a_daemon_is_started_restarted_and_stopped_without_streams(closed, instance):
    instance.configure()
    assert told_without(instance, closed, "jobd", "start")[0] == 0
    unheard = int("1>&-" in closed)
    try:
        # What is asked for, and cannot be told.
        assert told_without(instance, closed, "jobd", "status")[0] == unheard
        job = instance.id_of("echo out; echo err >&2; cat")
        instance.jobctl("wait", str(job))
        assert instance.jobctl("logs", str(job)).stdout == "out\nerr\n"
        assert told_without(instance, closed, "jobd", "restart")[0] == 0
        assert told_without(instance, closed, "jobd", "check")[0] == unheard
        for pid in supervisor_and_daemon(instance):
            for number in range(3):
                found = os.readlink(f"/proc/{pid}/fd/{number}")
                assert found in (os.devnull, str(instance.paths.log)), (number, found)
    finally:
        assert told_without(instance, closed, "jobd", "stop", "--now")[0] == 0


def supervisor_and_daemon(instance):
    status = instance.client().status()
    return status.supervisor_pid, status.pid


@pytest.mark.parametrize("closed", ["1>&-", "0<&- 1>&-"])
def test_data_that_nobody_can_get_is_an_error(closed, shared):
    job = str(shared.id_of("--hold", "true"))
    for words in (["ls"], ["ls", "--json"], ["show", job], ["ls", "--ids"], ["events"], ["--help"]):
        code, _, err = told_without(shared, closed, "jobctl", *words)
        assert (code, err) == (1, "jobctl: cannot write: Bad file descriptor\n"), words
    for line in (
        "status", "status --json", "check", "config", "config --json", "log", "help", "help start",
        "--help", "start --help", "version", "--version", "completion bash", "metrics --dashboard",
    ):  # fmt: skip
        code, _, err = told_without(shared, closed, "jobd", *line.split())
        assert (code, err.rpartition(": ")[2]) == (1, "Bad file descriptor\n"), line
    code, _, err = told_without(shared, closed, "jobctl", "submit", "true")
    assert code == 1
    assert (
        err == f"jobctl: {int(job) + 1} was submitted, and cannot be printed: Bad file descriptor\n"
    )


@pytest.mark.parametrize("closed", ["0<&-", "0<&- 2>&-"])
def test_words_that_nobody_can_read_are_an_error(closed, shared):
    for words in (["ls", "-"], *(["submit", f"--{what}", "-"] for what in ("file", "script"))):
        code, _, err = told_without(shared, closed, "jobctl", *words)
        assert code == 1, words
        assert "2>" in closed or err == "jobctl: cannot read stdin: Bad file descriptor\n", words


def test_a_directory_that_was_deleted(running):
    gone = running.work / "gone"
    job = running.id_of("pwd")

    def told(*words, code, **env):
        line = f"mkdir {gone} && cd {gone} && rmdir {gone} && exec {BIN}/{shlex.join(words)}"
        done = subprocess.run(
            ["/bin/sh", "-c", line], env={**running.env, **env}, cwd=running.work, check=False,
            capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, done
        return done.stderr

    for words in (
        ["submit", "true"], ["submit", "-C", "there", "true"], ["submit", "--manifest", "there"],
        ["submit", "-C", "/", "--stdin", "there", "cat"],
    ):  # fmt: skip
        assert "the current directory is gone; " in told("jobctl", *words, code=2)
    for words in (["submit", "-C", "/", "true"], ["submit", "--like", str(job)], ["ls"]):
        told("jobctl", *words, code=0)
    told("jobd", "restart", code=0)
    told("jobd", "check", code=0)
    assert told("jobd", "backup", "copy", code=2) == (
        "jobd: copy: the current directory is gone; write an absolute path\n"
    )
    assert told("jobd", "restore", "copy", code=2) == (
        "jobd: copy: the current directory is gone; write an absolute path\n"
    )
    for program, words in (("jobctl", ["ls"]), ("jobd", ["status"])):
        said = told(program, *words, code=2, JOBD_HOME="there")
        assert said.endswith(
            "there: the current directory is gone; set JOBD_HOME to an absolute path\n"
        )
    told("jobctl", "ls", code=69, JOBD_SOCKET="there/jobd.sock")


@needs_users
@pytest.mark.local("Slurm takes jobs of users with a login alone")
def test_nobody_without_a_home(roots):
    home = roots / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)

    def told(*words, code, **env):
        done = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--",
             BIN_FOR_OTHERS / words[0], *words[1:]],
            env={"PATH": "/usr/bin:/bin", **mark(), **env}, cwd=home, check=False,
            capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, done
        return done

    for words in (["jobd", "status"], ["jobd", "start"], ["jobd", "check"], ["jobctl", "ls"]):
        assert "you have no home directory; set HOME, or JOBD_HOME" in told(*words, code=2).stderr
    told("jobctl", "--help", code=0)
    assert not [*home.iterdir()]
    env = {"JOBD_HOME": str(home / "jobd")}
    told("jobd", "start", code=0, **env)
    try:
        assert told("jobctl", "submit", "-w", "id -u", code=0, **env).stdout == f"{NOBODY}\n"
        assert f'"user": "{NOBODY}"' in told("jobctl", "show", "1", "--json", code=0, **env).stdout
        for words in (["jobctl", "ls"], ["jobctl", "events"],
                      ["jobd", "status"], ["jobd", "check"], ["jobd", "restart"]):  # fmt: skip
            told(*words, code=0, **env)
    finally:
        told("jobd", "stop", "--now", code=0, **env)


def mark():
    return {name: value for name, value in os.environ.items() if name.startswith("JOBD_TEST")}


def test_a_full_disk_behind_stdout_hides_nothing(shared):
    with open("/dev/full", "wb") as full:
        process = shared.begin("jobctl", "submit", "true", stdout=full)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.endswith(b" was submitted, and cannot be printed: No space left on device\n")
    assert b"Traceback" not in err
