"""The first minutes with the product, played from top to bottom: piped, and on a terminal."""

import re
import subprocess

import pytest

from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

JOBS = """
# a batch
true
echo "KeyError: 'lr'"; exit 1

kill -KILL $$
pyhton x
"""
NIGHTLY = """
ids=$(jobctl submit --file jobs.txt) || exit
jobctl wait "$ids" && exec ./publish
jobctl ls "$ids" --state failed --ids | jobctl restart -
"""
TRAIN = "for n in 1 2 3 4; do echo epoch $n/10 loss 0.31; done; read _ < gate"


def on_terminal(instance, *args, code=0):
    """What a command shows on a terminal, and that it fits there."""
    text = instance.on_terminal(*args, code=code)
    assert all(len(line) <= 80 for line in text.splitlines()), text
    return text


@pytest.fixture
def prepared(instance):
    work = instance.work
    (work / "eval.sh").write_text("#!/bin/sh\necho ok\n")
    (work / "eval.sh").chmod(0o755)
    (work / "train.sh").write_text(TRAIN)
    (work / "prep.sh").write_text("echo 'make: *** No rule to make target' >&2; exit 2\n")
    (work / "jobs.txt").write_text(JOBS)
    (work / "nightly.sh").write_text(NIGHTLY)
    instance.gate()
    instance.configure()
    return instance


def progressed(instance, job):
    wait_until(lambda: instance.job(job).progress == 40, PATIENCE)


def test_on_a_terminal(prepared):
    def show(*args, code=0):
        return on_terminal(prepared, *args, code=code)

    not_running = "jobctl: jobd is not running. Start it with: jobd start\n"
    assert show("jobctl", "submit", "sh", "train.sh", code=69) == not_running
    assert re.fullmatch(r"jobd \S+ started: pid \d+, 3 workers\n", show("jobd", "start"))
    assert show("jobctl", "submit", "-n", "lr3", "sh", "train.sh") == (
        "1\nstarts now (1 of 3 workers busy); follow: jobctl logs -f 1\n"
    )
    assert show("jobctl", "submit", "-n", "eval", "--after", "1", "./eval.sh") == "2\nwaits for 1\n"
    assert show("jobctl", "submit", "-n", "prep", "sh", "prep.sh").startswith("3\n")
    prepared.wait(3)
    progressed(prepared, 1)
    listed = show("jobctl", "ls").splitlines()
    assert listed[0].split() == ["ID", "STATE", "NAME", "WHEN", "TIME", "DETAIL", "COMMAND"]
    clock = r"(\w\w\w )?\d\d:\d\d"
    assert re.fullmatch(rf"  1  Running  lr3   {clock} +\S+ +40%.*  sh train\.sh", listed[1])
    assert re.fullmatch(r"  2  Pending  eval  - +- +waits for 1 +\./eval\.sh", listed[2])
    assert re.fullmatch(rf"  3  Failed   prep  {clock} +\S+ +exit code 2 +sh prep\.sh", listed[3])
    assert listed[4] == "1 running, 1 pending, 1 failed. Why: jobctl show 3"
    assert show("jobctl", "logs", "-n", "1", "3") == "make: *** No rule to make target\n"
    assert re.fullmatch(
        r"3\nattempt 2, environment of \d\d:\d\d \(--refresh-env takes this shell's\)\n",
        show("jobctl", "restart", "3"),
    )
    assert re.fullmatch(
        r"job 4\nmake: \*\*\* No rule to make target\n"
        r"job 4 failed \(exit code 2\) after \S+; retry: jobctl restart 4\n",
        show("jobctl", "submit", "-w", "sh", "prep.sh", code=2),
    )
    prepared._gates[0].open()
    prepared.wait(1, 4)
    status = show("jobd", "status").splitlines()
    assert re.fullmatch(rf"jobd \S+ running, pid \d+, up \S+, engine {prepared.engine}", status[0])
    assert status[1] == "workers  0 of 3 busy"
    assert status[2] == "jobs     0 running, 0 pending, 2 completed, 2 failed, 0 stopped"
    assert re.fullmatch(r"state    \S+ \(\d+ \wB, output \d+ k?B\)", status[3])
    assert show("jobd", "stop") == "jobd stopped\n"


def test_in_a_script(prepared):
    prepared.start()
    assert prepared.jobctl("submit", "sh", "train.sh").stderr == ""
    done = subprocess.run(
        ["sh", "nightly.sh"], env=prepared.env, cwd=prepared.work, capture_output=True, text=True,
        timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout == "3\n4\n5\n"
    said = done.stderr.splitlines()
    assert said[0] == "1 of 4 completed, 3 failed: 3-5"
    assert said[1] == "   3 failed (exit code 1): KeyError: 'lr'                   jobctl logs 3"
    assert said[2] == "   4 failed (signal KILL)                                   jobctl logs 4"
    assert re.fullmatch(
        r"   5 failed \(exit code 127\): .*pyhton: not found +jobctl logs 5", said[3]
    )
    assert len(said) == 4
    prepared.wait(3, 5)
    stopping = prepared.begin("jobd", "stop")
    assert stopping.stderr.readline() == b"waiting for 1; new jobs are refused\n"
    assert stopping.stderr.readline() == (b"Ctrl-C leaves it draining; jobd stop --now ends them\n")
    assert "shutting down" in prepared.jobctl("submit", "true", code=75).stderr
    prepared._gates[0].open()
    assert stopping.wait(PATIENCE) == 0
    assert stopping.stdout.read() == b"jobd stopped\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("kill 7", "stop 7"), ("cancel 7", "stop 7"), ("add x", "submit x"), ("run x", "submit x"),
        ("queue", "ls"), ("list", "ls"), ("ps", "ls"), ("log 7", "logs 7"), ("tail 7", "logs 7"),
        ("delete 7", "rm 7"), ("remove 7", "rm 7"), ("status 7", "show 7"),
    ],
)  # fmt: skip
def test_words_that_people_type(instance, typed, meant):
    done = instance.jobctl(*typed.split(), code=2)
    assert done.stderr.rstrip().endswith(f": jobctl {meant}")
