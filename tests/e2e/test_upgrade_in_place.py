"""An upgrade over the real version before: what it has started goes on under the new one."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.local("the version before had no other engine")]
ROOT = Path(__file__).parents[2]
BEFORE = "9e856e1"
"""The last version whose modules lay elsewhere."""
OLD, NEW = "jobd.cli", "jobd.admin.cli"


def tree_of(commit):
    """Both packages as they were, as a tar archive; None: this checkout has no such history."""
    done = subprocess.run(
        ["git", "-C", ROOT, "archive", commit, "jobd", "jobctl"], capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


class Installed:
    """A place of installation of its own; the commands find their modules there first."""

    def __init__(self, instance, directory):
        self._instance = instance
        self._directory = directory
        self.environment = {"PYTHONPATH": str(directory)}

    def old(self):
        archive = tree_of(BEFORE)
        if archive is None:
            pytest.skip(f"the history of this checkout has no {BEFORE}")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(self._directory, filter="data")

    def upgrade(self):
        for name in ("jobd", "jobctl"):
            shutil.rmtree(self._directory / name)
            shutil.copytree(
                ROOT / name, self._directory / name, ignore=shutil.ignore_patterns("__pycache__")
            )

    def jobd(self, module, *args):
        line = f"import sys; from {module} import main; sys.argv[0] = 'jobd'; main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", line, *args],
            env={**self._instance.env, **self.environment},
            cwd=self._instance.work, capture_output=True, text=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture
def installed(instance, tmp_path):
    place = tmp_path / "site"
    place.mkdir()
    return Installed(instance, place)


def test_the_version_before_is_upgraded_in_place(instance, installed):
    """Its jobs run on, the new supervisor and the new daemon are found by their old names."""
    installed.old()
    installed.jobd(OLD, "start", "--workers", "5")
    gate = instance.gate()
    job = instance.submit(f"echo >>ran; read _ <{gate.path}; exit 7")
    instance.await_lines("ran", 1)
    before = instance.status()

    installed.upgrade()
    installed.jobd(NEW, "restart")

    after = instance.status()
    assert (after.workers, after.busy) == (5, 1)
    assert after.pid != before.pid
    for pid, name in ((after.supervisor_pid, b"jobd.supervisor"), (after.pid, b"jobd.daemon")):
        assert name in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    gate.open()
    ended = instance.wait(job)[job]
    assert (ended.exit_code, ended.attempt) == (7, 1)


def test_a_supervisor_of_the_version_before_starts_the_new_daemon(instance, installed):
    """The daemon dies after the upgrade, and nobody has restarted anything."""
    installed.old()
    installed.jobd(OLD, "start")
    gate = instance.gate()
    job = instance.submit(f"echo >>ran; read _ <{gate.path}; exit 7")
    instance.await_lines("ran", 1)
    before = instance.status()

    installed.upgrade()
    instance.kill(before.pid)

    after = instance.answers_anew(before.pid)
    assert after.supervisor_pid == before.supervisor_pid
    gate.open()
    assert instance.wait(job)[job].exit_code == 7
