"""A script is kept with its job, and its copy lasts as long as the job runs."""

import pytest

from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


def test_the_copy_outlives_the_daemon_and_the_file(running):
    gate = running.gate()
    script = running.work / "nightly.sh"
    script.write_text(
        f'#!/bin/sh\n#JOBCTL -n night --retries 1 --retry-delay 0\necho "$1" >>ran\n'
        f'read _ <{gate.path}\ntail -n 1 "$0"\nexit 3 # the end\n'
    )
    job = running.id_of("--script", str(script), "a  b")
    script.unlink()
    running.await_lines("ran", 1)
    pid = running.status().pid
    running.kill(pid)
    running.answers_anew(pid)
    gate.open()
    running.await_lines("ran", 2)
    gate.open()
    found = running.wait(job)[job]
    assert (found.name, found.reason, found.attempt) == ("night", "exit code 3", 2)
    assert running.lines("ran") == ["a  b", "a  b"]
    for attempt in "1", "2":
        assert running.output(job, "--attempt", attempt) == b"exit 3 # the end\n"
    wait_until(lambda: not list(running.paths.scripts.iterdir()))
    assert running.jobctl("rm", str(job)).stdout == f"{job}\n"


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbf#!/bin/sh\n#JOBCTL -n saved\necho $0\n",
    b"#!/bin/sh\r\n#JOBCTL -n saved\r\necho ok\r\n",
    b"\xef\xbb\xbf#JOBCTL -n saved\r\necho ok\r\n",
])  # fmt: skip
def test_a_script_runs_as_other_systems_save_it(shared, content):
    job = shared.id_of("--script", "-", input=content)
    found = shared.wait(job)[job]
    assert (found.name, found.reason) == ("saved", None)


def test_a_job_like_another_has_what_was_given_to_that_alone(shared):
    job = shared.id_of("-e", "COLOUR=a b", "-e", "SIZE=1", "true")
    told = shared.jobctl(
        "submit", "-w", "-e", "SIZE=2", "--like", str(job), "-c", "echo $COLOUR $SIZE",
        env={"COLOUR": "of the shell"},
    )  # fmt: skip
    assert told.stdout == "a b 2\n"


def test_an_array_of_a_manifest_runs_once_for_each_index(shared):
    text = (
        "[jobs.sum]\ncommand = 'cat part.* | sort'\nafter = ['part']\n"
        "[jobs.part]\ncommand = 'echo $JOBD_ARRAY_INDEX >part.$JOBD_ARRAY_INDEX'\n"
        "array = '1-3,9'\n"
    )
    told = shared.jobctl("submit", "--manifest", "-", input=text.encode()).stdout
    first, last = map(int, told.strip().split("-"))
    jobs = shared.wait(first, last)
    assert [jobs[job].array_index for job in sorted(jobs)] == [1, 2, 3, 9, None]
    assert jobs[last].after == [*range(first, last)]
    assert shared.jobctl("logs", str(last)).stdout == "1\n2\n3\n9\n"
