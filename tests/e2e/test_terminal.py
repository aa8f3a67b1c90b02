"""A real daemon, a real terminal, and names that try to be more than names."""

import json
import os
import re

import pytest

from tests.e2e.instance import Instance
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

EVIL = b"\x1b]0;x\x07\n\xc2\x9b1m\xe2\x80\xae\x7f"
NAME = EVIL.decode()
SHOWN = "\\x1b]0;x\\x07\\n\\x9b1m\\u202e\\x7f"
_OURS = re.compile(r"\x1b\[\d+A\r|\x1b\[[KJ]|\A\r")
"""How `watch` moves the cursor."""


@pytest.fixture
def evil(home):
    """An instance whose home, directory and jobs all have such names."""
    (home / NAME).mkdir()
    made = Instance(home / NAME / "jobd", home / NAME / "work")
    made.start()
    yield made
    made.close()


def assert_fit(text):
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)


def test_no_name_reaches_the_terminal_as_an_order(evil):
    gate = evil.gate()
    evil.jobctl("submit", "--", EVIL, b"x" + EVIL)
    evil.jobctl("submit", "-e", b"EVIL=" + EVIL, "exit 3")
    evil.jobctl("submit", 'jobctl progress 40 -m "$EVIL"; read _ <gate', env={"EVIL": NAME})
    wait_until(lambda: evil.job(3).progress_message == SHOWN)
    evil.wait(1, 2)
    for words in (
        ["ls"], ["ls", "--json"], ["ls", "--format", "ndjson"], ["ls", "--format", "csv"],
        ["show", "1"], ["show", "1", "--json"], ["show", "2", "--env"], ["show", "3"],
        ["show", "2", "--env", "--json"], ["events"], ["events", "--json"], ["status", "--json"],
        ["logs", "--path", "1"], ["logs", "1"],
    ):  # fmt: skip
        assert_fit(evil.on_terminal("jobctl", *words))
    assert_fit(evil.on_terminal("jobctl", "wait", "1", code=127))
    for words in (["status"], ["status", "--json"], ["check"], ["log"]):
        assert_fit(evil.on_terminal("jobd", *words))
    assert SHOWN in evil.on_terminal("jobctl", "show", "1")
    assert_fit(evil.paths.log.read_text())
    gate.open()
    evil.wait(3)


def test_a_script_gets_what_it_asked_for(evil):
    evil.jobctl("submit", "--", "true", EVIL)
    evil.wait(1)
    (listed,) = json.loads(evil.jobctl("ls", "--json").stdout)
    assert listed["argv"] == ["true", NAME]
    path = evil.jobctl("logs", "--path", "1", text=False).stdout
    assert path.startswith(os.fsencode(evil.home))
    assert os.path.exists(path.removesuffix(b"\n"))
    assert listed["output_path"] == path.decode().removesuffix("\n")


def test_a_job_is_watched_without_a_look_at_its_tricks(evil):
    gate = evil.gate()
    line = "printf '%s' \"$EVIL\"; read _ <gate; exit 1"
    evil.jobctl("submit", "-n", "tricky", line, env={"EVIL": NAME})
    wait_until(lambda: evil.output(1))
    gate.open()
    assert_fit(_OURS.sub("", evil.on_terminal("jobctl", "watch", "1")))


def test_why_it_does_not_start_is_told_of_a_directory_of_any_bytes(home):
    state = home / os.fsdecode(b"\xff" + EVIL)
    state.mkdir(mode=0o700)
    (state / "jobd.db").write_bytes(b"no database" * 1000)
    instance = Instance(state, home / "work")
    said = instance.start(code=1).stderr
    assert said.startswith("jobd: jobd cannot start: ")
    assert f"\ufffd{SHOWN}/jobd.db" in said
    assert said.count("\n") == 1
    log = instance.paths.log.read_text()
    assert_fit(log)
    assert "Traceback" not in log
