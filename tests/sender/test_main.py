"""The process that sends, as a courier starts it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import jobd.sender

SENDER = Path(jobd.sender.__file__).with_name("__main__.py")


def sent(line, limit=30.0):
    """Its exit code, and its report."""
    order = {
        "limit": limit, "argv": ["/bin/sh", "-c", line], "url": "", "title": "t", "body": "b",
        "kind": "info", "input": "{}", "variables": {}, "environment": None, "cwd": "",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-S", SENDER],
        input=json.dumps(order).encode(), capture_output=True, process_group=0, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stderr or "null")


def test_of_what_a_program_says_the_end_is_told():
    code, report = sent("seq 1000000; echo the last word >&2; exit 3")
    assert (code, report["exit_code"]) == (1, 3)
    assert report["said"].endswith("\n1000000\nthe last word")
    assert len(report["said"]) <= 2000


def test_a_program_without_end_says_it_into_a_pipe_until_its_time_is_up():
    """Whatever would keep all of it fills the memory of the machine."""
    assert sent("test -p /dev/stdout && test -p /dev/stderr") == (0, None)
    assert sent("yes", limit=0.5) == (-signal.SIGKILL, None)


def test_what_a_program_leaves_behind_is_not_waited_for():
    code, report = sent("sleep 5 & echo said; exit 1")
    assert (code, report["said"]) == (1, "said")


def test_a_program_that_is_not_there_is_named():
    code, report = sent("exec /no/such/program")
    assert (code, report["exit_code"]) == (1, 127)
