"""Arguments, variables and file names that are no UTF-8, long or empty, through real processes."""

import json
import os
import shutil

import click
import pytest

from jobd.admin.cli import main
from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until
from tests.integration.test_any_text import takes_text

pytestmark = pytest.mark.e2e

BYTES = {
    "no UTF-8": b"caf\xe9",
    "long": b"x" * (128 * 1024 - 1),  # what Linux takes as one argument, execve(2)
    "digits": b"9" * 5000,
    "empty": b"",
    "blank": b" ",
    "line breaks": b"a\n\x1b[2Jb\r",
}
TRIED = [
    pytest.param(name, param, id=f"{name} {param.opts[-1]}")
    for name, command in main.commands.items()
    for param in command.params
    if takes_text(param)
]


@pytest.mark.parametrize(("name", "param"), TRIED)
def test_any_bytes_are_taken_or_told_by_jobd(name, param, instance):
    for kind, given in BYTES.items():
        words = [param.opts[-1], given] if isinstance(param, click.Option) else [given]
        done = instance.run("jobd", name, *words)
        assert "Traceback" not in done.stderr, (kind, done.stderr)
        assert done.returncode in (0, 1, 2, 77), (kind, done)
        assert len(done.stderr) < 3000, kind
        if done.returncode:
            assert done.stderr.startswith("jobd: "), (kind, done)


def test_a_home_a_directory_and_files_whose_names_are_no_utf8(instance):
    odd = os.fsencode(instance.work) + b"/caf\xe9"
    os.mkdir(odd)
    for name, content in (
        (b"script", b"#!/bin/sh\n#JOBCTL -n s\npwd; cat\n"),
        (b"lines", b"echo 1\n"),
        (b"jobs.toml", b"[jobs.a]\ncommand = 'pwd'\n"),
    ):
        with open(odd + b"/" + name, "wb") as file:
            file.write(content)
    env = {"JOBD_HOME": odd + b"/home"}
    if text := instance.configured(""):
        os.mkdir(odd + b"/home", 0o700)
        with open(odd + b"/home/config.toml", "w") as file:
            file.write(text)
    instance.jobd("start", env=env)
    try:
        for words in (
            ["-C", odd, "--stdin", odd + b"/lines", "--script", odd + b"/script"],
            ["--file", odd + b"/lines"],
            ["-C", odd, "--manifest", odd + b"/jobs.toml"],
        ):
            instance.jobctl("submit", *words, env=env)
        instance.jobctl("wait", "--all", env=env)
        told = instance.jobctl("logs", "1", env=env, text=False)
        assert told.stdout == odd + b"\necho 1\n"
        path = instance.jobctl("logs", "--path", "1", env=env, text=False).stdout
        assert path.startswith(odd + b"/home/")
        with open(path.removesuffix(b"\n"), "rb") as output:
            assert output.read() == told.stdout
        for words in (["show", "1"], ["ls", "--json"], ["events"]):
            instance.jobctl(*words, env=env, text=False)
        instance.jobd("backup", odd + b"/copy.db", env=env)
        for words in (["check"], ["log"], ["status"], ["restart"]):
            instance.jobd(*words, env=env, text=False)
        assert json.loads(instance.jobd("status", "--json", env=env).stdout)["running"]
    finally:
        instance.jobd("stop", "--now", env=env)


def test_what_is_wrong_with_a_home_whose_name_is_no_utf8_is_told(instance):
    home = os.fsencode(instance.work) + b"/caf\xe9"
    env = {"JOBD_HOME": home}
    instance.jobd("start", env=env)
    try:
        shutil.rmtree(home + b"/output")
        with open(home + b"/output", "w"):
            pass
        instance.jobctl("submit", "true", env=env)
        said = "no job can be started: "
        wait_until(lambda: said in instance.jobctl("status", env=env).stdout, PATIENCE)
        assert said in json.loads(instance.jobd("status", "--json", env=env).stdout)["error"]
        os.unlink(home + b"/output")
        instance.jobctl("wait", "1", env=env)
        os.rename(home + b"/jobd.db", home + b"/elsewhere.db")
        refused = instance.jobctl("submit", "true", env=env, code=1)
        assert "was deleted or moved" in refused.stderr
        assert "was deleted or moved" in instance.jobctl("status", env=env).stdout
    finally:
        instance.jobd("stop", "--now", env=env)


def test_names_that_are_no_utf8_are_shown_and_found(shared):
    job = shared.id_of("-n", b"caf\xe9", "-t", "odd", "true")
    assert json.loads(shared.jobctl("show", str(job), "--json").stdout)["name"] == "caf\ufffd"
    assert shared.jobctl("ls", "--ids", "--name", b"caf\xe9").stdout == f"{job}\n"
    shared.jobctl("progress", "1", "--job", str(job), "-m", b"\xff", code=None)
    refused = shared.jobctl("submit", "--key", b"\xe9", "true", code=2)
    assert "--key" in refused.stderr
    assert "not UTF-8" in refused.stderr


def test_ids_that_are_piped_may_be_anything(shared):
    for words in (b"\xff\xfe", b"\0", b"1\0"):
        told = shared.jobctl("ls", "-", input=words, code=2)
        assert "Traceback" not in told.stderr
        assert "defect" not in told.stderr


@pytest.mark.parametrize("name", ["JOBD_HOME", "JOBD_SOCKET", "HOME", "JOBD_JOB_ID", "TZ", "TERM"])
@pytest.mark.parametrize("value", [b"caf\xe9", b"9" * 5000, b"", b"/\xe9\n"])
def test_variables_may_be_anything(name, value, shared):
    for program, words in (("jobctl", ["ls"]), ("jobctl", ["progress", "1"]), ("jobd", ["status"])):
        told = shared.run(program, *words, env={name: value})
        assert "Traceback" not in told.stderr
        assert "defect" not in told.stderr
        assert told.returncode in (0, 1, 2, 3, 69, 77)
