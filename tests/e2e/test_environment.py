"""The job's environment is that of the shell, whatever interpreter is in between."""

import os
import subprocess

import pytest

from tests.e2e.instance import BIN, PATIENCE

pytestmark = pytest.mark.e2e

OURS = ("JOBD_", "PYTHONUNBUFFERED=", "PWD=")
"""What a job finds beside it."""


def given_to_a_job(instance, *settings):
    """What `env` prints in a job that was submitted with exactly these variables."""
    given = {f"JOBD_HOME={instance.home}", "PATH=/usr/bin:/bin", *settings}
    done = subprocess.run(
        ["env", "-i", *given, BIN / "jobctl", "submit", "-w", "--", "env", "-0"],
        cwd=instance.work, capture_output=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    found = {os.fsdecode(entry) for entry in done.stdout.split(b"\0") if entry}
    return {entry for entry in found if not entry.startswith(OURS)}, {
        entry for entry in given if not entry.startswith(OURS)
    }


@pytest.mark.local("variables of Slurm are added")
@pytest.mark.parametrize(
    "settings",
    [
        [], ["LC_CTYPE=C"], ["LC_CTYPE=POSIX"], ["LC_CTYPE="], ["LANG=C"], ["LC_ALL=C"],
        ["LC_CTYPE=C.UTF-8"], ["LC_ALL=C", "LC_CTYPE=C.UTF-8"], ["LC_CTYPE=no.such"],
        ["A=caf\udce9", "_=x", "SHLVL=3", "PYTHONCOERCECLOCALE=1", "PYTHONUTF8=0"],
    ],
)  # fmt: skip
def test_a_job_gets_what_the_shell_had(settings, shared):
    found, given = given_to_a_job(shared, *settings)
    assert found == given


@pytest.mark.parametrize("options", [["--refresh-env"], []])
def test_a_restarted_job_too(options, shared):
    job = shared.id_of("--", "env", env={"LC_CTYPE": "C", "LANG": "", "LC_ALL": ""})
    shared.jobctl("wait", str(job))
    shared.jobctl("restart", str(job), *options, env={"LC_CTYPE": "C", "LANG": "", "LC_ALL": ""})
    shared.jobctl("wait", str(job))
    assert "LC_CTYPE=C" in shared.jobctl("logs", str(job)).stdout.splitlines()


def test_a_daemon_gets_what_the_shell_had(instance):
    subprocess.run(
        ["env", "-i", f"JOBD_HOME={instance.home}", instance.mark, "LC_CTYPE=C",
         "JOBD_TEST_SESSION=" + os.environ["JOBD_TEST_SESSION"], BIN / "jobd", "start"],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    supervisor = instance.client().status().supervisor_pid
    with open(f"/proc/{supervisor}/environ", "rb") as file:
        assert b"LC_CTYPE=C" in file.read().split(b"\0")
    found, given = given_to_a_job(instance)
    assert found == given
