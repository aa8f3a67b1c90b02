"""`jobd reload`, `jobd config` and SIGHUP: the file is read again, and no job is touched."""

import json
import os
import signal
import threading

import pytest

from jobd.contract.errors import JobdError
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

RELOADS = 20
"""Under load; `JOBD_RELOADS` says how many else."""
BEHIND = 50
"""Jobs that may wait then: on a cluster they come more quickly than they run."""


@pytest.fixture
def configure(instance):
    """Write the configuration."""
    return instance.configure


def sources(instance):
    found = json.loads(instance.jobd("config", "--json").stdout)
    return {one["key"]: (one["value"], one["source"]) for one in found["settings"]}


def test_it_says_line_by_line_what_has_changed_and_when_it_counts(instance, configure):
    configure('[daemon]\ngrace = "5s"\n')
    instance.start("--workers", "2")
    configure('[daemon]\nworkers = 9\ngrace = "1m"\nshell = "/bin/bash"\n')
    assert instance.jobd("reload").stdout.splitlines() == [
        'daemon.shell: "/bin/sh" → "/bin/bash"; counts after jobd restart',
        "daemon.grace: 5 → 60; counts now",
    ]
    assert instance.status().workers == 2, "an option counts more than the file"
    assert sources(instance)["daemon.workers"] == (2, "option")
    assert sources(instance)["daemon.shell"] == ("/bin/sh", "default")
    instance.jobd("restart")
    assert sources(instance)["daemon.shell"] == ("/bin/bash", "file")
    done = instance.jobd("reload")
    assert (done.stdout, "nothing has changed" in done.stderr) == ("", True)
    assert json.loads(instance.jobd("reload", "--json").stdout)["changes"] == []


def test_a_wrong_file_is_named_with_line_and_key_and_changes_nothing(instance, configure):
    configure("[daemon]\nworkers = 2\n")
    instance.start()
    before = sources(instance)
    configure("[daemon]\nwokers = 9\n")
    file = instance.paths.config
    for command in (["reload"], ["config", "--check", file]):
        done = instance.jobd(*command, code=1)
        assert f"{file}, line 2: " in done.stderr
        assert "[daemon] has no key wokers" in done.stderr
    told = json.loads(instance.jobd("config", "--check", file, "--json", code=1).stdout)
    assert "line 2" in told["error"]
    assert sources(instance) == before
    configure("[daemon]\nworkers = 9\n")
    assert "a daemon can go by it" in instance.jobd("config", "--check", file).stdout
    for wrong, why in ((file / "no", "does not exist"), (file.parent, "is a directory")):
        said = instance.jobd("config", "--check", wrong, code=2).stderr
        assert said == f"jobd: --check: {wrong} {why}\n"


def test_what_was_reloaded_outlives_the_daemon_and_not_the_next_start(instance, configure):
    """A daemon that is killed is followed by one that goes by it; `jobd start` reads the file."""
    configure("")
    instance.start()
    configure("[daemon]\nworkers = 7\ngrace = 1\n[gpus]\ndevices = [3]\n")
    instance.jobd("reload")
    configure("[daemon]\nworkers = 1\n")
    old = instance.status().pid
    instance.kill(old)
    instance.answers_anew(old)
    found = sources(instance)
    assert found["daemon.grace"] == (1, "file")
    assert found["gpus.devices"] == ([3], "file")
    assert instance.status().workers == 7
    instance.jobd("stop")
    done = instance.jobd("config")
    assert "is not running" in done.stderr
    assert "daemon.workers = 1 " in done.stdout
    assert instance.jobd("reload", code=69).stdout == ""
    instance.start()
    assert sources(instance)["gpus.devices"] == ([], "default")
    assert instance.status().workers == 1


def test_the_file_that_was_named_is_the_one_that_is_read_again(instance, configure):
    configure("[daemon]\nworkers = 2\n")
    other = instance.home / "other.toml"
    other.write_text(instance.configured("[daemon]\nworkers = 4\n"))
    instance.start("--config", "other.toml" if instance.work == instance.home else str(other))
    other.write_text(instance.configured("[daemon]\nworkers = 5\n"))
    assert instance.jobd("reload").stdout == "daemon.workers: 4 → 5; counts now\n"
    found = json.loads(instance.jobd("config", "--json").stdout)
    assert (found["file"], found["file_source"]) == (str(other), "option")
    other.unlink()
    assert "does not exist" in instance.jobd("reload", code=2).stderr


def test_sighup_does_the_same(instance, configure):
    configure("[daemon]\nworkers = 2\n")
    instance.start()
    found = instance.status()
    job = instance.submit("sleep 0.5")
    configure("[daemon]\nworkers = 6\n")
    os.kill(found.supervisor_pid, signal.SIGHUP)
    wait_until(lambda: instance.status().workers == 6)
    configure("no\n")
    os.kill(found.supervisor_pid, signal.SIGHUP)
    wait_until(lambda: "stays as it is" in instance.paths.log.read_text())
    configure("[daemon]\nworkers = 3\n")
    os.kill(found.pid, signal.SIGHUP)
    wait_until(lambda: instance.status().workers == 3)
    assert instance.status().pid == found.pid
    instance.wait(job)
    assert instance.job(job).attempt == 1


def test_under_load_no_request_is_lost_and_no_job_touched(instance, configure):
    """Also `jobd restart` comes in between: what was reloaded last is what holds then."""
    configure("[daemon]\nworkers = 2\n")
    instance.start()
    over, jobs, failures = threading.Event(), [], []

    def load():
        client = instance.client()
        try:
            while not over.is_set():
                if client.status().jobs["pending"] < BEHIND:
                    jobs.append(instance.submit(f"echo {len(jobs)} >>ran", client=client))
        except JobdError as error:
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    count = int(os.environ.get("JOBD_RELOADS", RELOADS))
    with instance.client() as client:
        for number in range(count):
            configure(
                f"[daemon]\nworkers = {number % 3 + 1}\ngrace = {number + 11}\n"
                f"[groups.g{number % 5}]\nworkers = {number % 4}\n"
                f"[[notify]]\nname = 'r{number}'\non = ['lost']\ncommand = 'true'\n"
            )
            assert any(one.key == "daemon.grace" for one in client.reload().changes)
            if number == count // 2:
                instance.jobd("restart")
    over.set()
    for thread in threads:
        thread.join()
    assert not failures
    instance.wait(min(jobs), max(jobs))
    assert sources(instance)["daemon.grace"] == (count + 10, "file")
    assert sorted(jobs) == list(range(1, len(jobs) + 1))
    assert len(instance.lines("ran")) == len(jobs)
    assert "failed" not in instance.jobctl("events", "--json").stdout
