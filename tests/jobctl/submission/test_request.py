"""The request of `submit` as an API or another view builds it: no click, no prints."""

import os
import subprocess
import sys

import pytest

from jobctl.submission import request
from jobctl.submission.environment import umask
from jobctl.submission.request import Asked, Like
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import Command, Options, Recipe

MAKE = Command(argv=[b"make", b"-j4"])


def test_it_has_what_this_process_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLOUR", "blue")
    monkeypatch.setenv("JOBD_JOB_ID", "7")
    found = request.submit_of([MAKE], Asked(options={"name": "n"}, variables={b"A": b"1"}))
    assert (found.commands, found.options) == ([MAKE], Options(name="n", env=[b"A"]))
    assert (found.cwd, found.umask) == (os.fsencode(tmp_path), umask())
    assert (found.environment[b"COLOUR"], found.environment[b"A"]) == (b"blue", b"1")
    assert b"JOBD_JOB_ID" not in found.environment
    bare = request.submit_of([MAKE], Asked(clean=True, cwd="/"))
    assert (bare.cwd, b"COLOUR" in bare.environment) == (b"/", False)


def test_another_job_stands_in_for_what_is_not_said():
    old = Options(name="old", retries=3, env=[b"A", b"B"])
    like = Like(Recipe(command=MAKE, options=old, cwd=b"/tmp"), {b"A": b"1", b"B": b"2"})
    found = request.submit_of([], Asked(options={"name": "new"}, variables={b"B": b"3"}), like)
    assert (found.environment[b"A"], found.environment[b"B"]) == (b"1", b"3")
    assert sorted(found.options.env) == [b"A", b"B"]
    assert (found.commands, found.cwd) == ([MAKE], b"/tmp")
    assert (found.options.name, found.options.retries) == ("new", 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: request.submit_of([], Asked()), "give a command"),
        (lambda: request.submit_of([MAKE], Asked(cwd="/none")), "--cwd: /none is not a directory"),
        (
            lambda: request.submit_of([MAKE], Asked(options={"shell": b"/bin/sh"})),
            "runs a shell line, and this is none",
        ),
        (lambda: request.command_of([b" "], argv=False), "the command is empty"),
        (lambda: request.command_of([b"", b"x"], argv=False), "first word is empty"),
    ],
)
def test_what_makes_no_request_is_wrong_usage(wrong, said):
    with pytest.raises(WrongUsage, match=said) as found:
        wrong()
    assert found.value.exit_code == 2


def test_what_is_not_there_is_told_as_data(tmp_path, capfd):
    asked = Asked(options={"stdin": os.fsencode(tmp_path / "none")}, cwd=str(tmp_path))
    found = request.missing_in(request.submit_of([Command(argv=[b"./none"])], asked))
    assert (found.programs, found.files) == (["./none"], {str(tmp_path / "none"): "no such file"})
    assert capfd.readouterr() == ("", "")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(JobdError, match=r"cannot read .*: Is a directory"):
        request.read_lines(str(tmp_path))


def test_it_comes_without_click():
    code = "import jobctl.submission.request, sys; print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "False"
