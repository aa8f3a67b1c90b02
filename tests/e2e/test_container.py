"""The Containerfile: built and run by a real podman, on a stand-in for the image that it names."""

import faulthandler
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.instance import PATIENCE
from tests.e2e.namespaces import Namespaces
from tests.helpers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.local("a container has no cluster")]

ROOT = Path(__file__).parents[2]
NEEDED = ("podman", "crun", "debootstrap", "unshare", "nsenter")
BEGIN = """
set -e
mount --make-rprivate /
# A container's user is given what is its standard input: that is not to be the machine's own.
mount -t tmpfs tmpfs "$0"
mknod -m 666 "$0/null" c 1 3
mount --bind "$0/null" /dev/null
# crun takes either version of control groups, and not both.
[ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
: >"$0/begun"
exec bash -c 'read _' # which reaps
"""
LONG = 400.0
"""Seconds that a Debian, or an image, may take on a machine that is busy."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Of the machine: its network may have its own."""


class Podman:
    """With images and containers of its own."""

    def __init__(self, base):
        self._mounted = base / "mounted"
        self._mounted.mkdir()
        self._inside = Namespaces(
            BEGIN, self._mounted, env=dict(os.environ), log=base / "namespaces.log"
        )
        self._flags = [
            "--root", base / "images", "--runroot", base / "run", "--storage-driver", "overlay",
            "--cgroup-manager", "cgroupfs", "--events-backend", "none",
        ]  # fmt: skip
        wait_until(self._begun, PATIENCE)

    def _begun(self):
        try:
            return self._inside.run("test", "-e", self._mounted / "begun")
        except (OSError, IndexError, AssertionError):
            return False

    def __call__(self, *words, **options):
        return self._inside.run("podman", *self._flags, *words, **options)

    def start(self, name, *, host, volume="queue", code=0):
        """A jobd in a container, as the page has it, with the limits that this machine allows."""
        limits = [
            f"--ulimit={limit}={most}:{most}"
            for limit in ("nofile", "nproc")
            for most in [resource.getrlimit(getattr(resource, f"RLIMIT_{limit.upper()}"))[1]]
        ]  # fmt: skip
        return self(
            "run", "-d", "--name", name, "--hostname", host, "--network", "host", *limits,
            "--cgroups=disabled", "--stop-timeout", "60", "-v", f"{volume}:/var/lib/jobd", "jobd",
            code=code,
        )  # fmt: skip

    def ready(self, name):
        wait_until(lambda: self.jobd(name, "status", code=None).returncode == 0, PATIENCE)

    def jobd(self, name, *words, **options):
        return self("exec", name, "jobd", *words, **options)

    def jobctl(self, name, *words, **options):
        return self("exec", name, "jobctl", *words, **options)

    def exit_code(self, name):
        """Once it has ended."""
        return self("wait", name).stdout.strip()

    def end(self):
        self._inside.end()


def base_image(podman, base):
    """A Debian with Python, by the name that the Containerfile has."""
    (name,) = set(re.findall(r"^FROM (\S+)", (ROOT / "Containerfile").read_text(), re.MULTILINE))
    root = base / "debian"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase",
         "--include=python3,python3-venv,python-is-python3,ca-certificates", "stable", root],
        capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no Debian can be had here: {done.stdout[-300:]}{done.stderr[-300:]}")
    shutil.rmtree(root / "var/cache/apt/archives")
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
    packed = base / "debian.tar"
    subprocess.run(["tar", "-C", root, "-cf", packed, "."], check=True)
    shutil.rmtree(root)
    podman("import", packed, name)
    packed.unlink()


@pytest.fixture
def podman():
    """With the image `jobd`."""
    # All of this takes longer than pytest gives a test.
    faulthandler.dump_traceback_later(3 * LONG, exit=True, file=sys.__stderr__)
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces for containers")
    if any(shutil.which(name) is None for name in NEEDED):
        script = Path(__file__).with_name("install-containers")
        done = subprocess.run([script], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(done.stdout.strip())
    with tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as directory:
        made = Podman(Path(directory))
        try:
            base_image(made, Path(directory))
            made("build", "--format", "docker", "--isolation", "chroot", "--pull=never", "-t",
                 "jobd", ROOT, patience=LONG)  # fmt: skip
            yield made
        finally:
            made.end()


def test_the_containerfile_makes_an_image_that_jobs_can_live_in(podman):
    podman.start("jobs", host="jobs")
    podman.ready("jobs")
    it_is_process_1_has_its_own_user_and_is_healthy(podman)
    it_reaps_what_jobs_and_those_that_look_in_leave_behind(podman)
    stopped_it_waits_for_jobs_and_knows_afterwards_how_they_ended(podman)
    another_container_with_its_name_alone_takes_the_queue_over(podman)
    podman("stop", "jobs")
    assert podman.exit_code("jobs") == "0"


def it_is_process_1_has_its_own_user_and_is_healthy(podman):
    assert '"supervisor_pid": 1' in podman.jobd("jobs", "status", "--json").stdout
    done = podman.jobctl("jobs", "submit", "--wait", "id -un; exit 3", code=3)
    assert "jobd" in done.stdout.splitlines()
    podman("healthcheck", "run", "jobs")


def it_reaps_what_jobs_and_those_that_look_in_leave_behind(podman):
    orphans = "(setsid sh -c 'exit 0' &); (sh -c 'exit 0' &)"
    podman("exec", "jobs", "sh", "-c", orphans)
    podman.jobctl("jobs", "submit", "--wait", orphans)
    look = "grep -l '^State:.Z' /proc/[0-9]*/status"
    wait_until(lambda: podman("exec", "jobs", "sh", "-c", look, code=None).stdout == "", PATIENCE)


def stopped_it_waits_for_jobs_and_knows_afterwards_how_they_ended(podman):
    submitted = podman.jobctl("jobs", "submit", "mkfifo ~/gate; read _ <~/gate; exit 4")
    job = submitted.stdout.strip()
    wait_until(lambda: "Running" in podman.jobctl("jobs", "ls").stdout, PATIENCE)
    podman("kill", "--signal", "TERM", "jobs")
    wait_until(
        lambda: '"draining": true' in podman.jobd("jobs", "status", "--json").stdout, PATIENCE
    )
    podman("exec", "jobs", "sh", "-c", "echo >~/gate")
    assert podman.exit_code("jobs") == "0"
    podman("start", "jobs")
    podman.ready("jobs")
    assert "exit code 4" in podman.jobctl("jobs", "show", job).stdout


def another_container_with_its_name_alone_takes_the_queue_over(podman):
    podman("rm", "-f", "-t", "5", "jobs")
    podman.start("others", host="others")
    assert podman.exit_code("others") != "0"
    assert "host" in podman("logs", "others").stderr
    podman.start("jobs", host="jobs")
    podman.ready("jobs")
    assert "exit code 4" in podman.jobctl("jobs", "ls").stdout
