"""Processes in namespaces of their own: whatever is begun in there ends with them."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

_COPY = """
set -e
scratch=$0 inside=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
cd "$scratch"
mkdir changed work root
mount -t overlay -o "lowerdir=/,upperdir=$scratch/changed,workdir=$scratch/work" overlay root
mount -t proc proc root/proc
mount --bind root/proc/sys root/proc/sys
mount -o remount,bind,ro root/proc/sys
mount -t sysfs -o ro sysfs root/sys
mount -t tmpfs tmpfs root/run
mount -t tmpfs -o mode=755 tmpfs root/dev
while read -r name minor; do
    mknod -m 666 root/dev/$name c 1 $minor
done <<NODES
null 3
zero 5
full 7
random 8
urandom 9
NODES
ln -s /proc/self/fd root/dev/fd
mkdir root/dev/shm
for shared; do
    mkdir -p "root$shared"
    mount --bind "$shared" "root$shared"
done
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
group=root/sys/fs/cgroup/$(basename "$scratch")
mkdir "$group"
echo 0 >"$group/cgroup.procs"
exec unshare --cgroup --uts --ipc /bin/sh -ec '
    umount root/sys/fs/cgroup
    mount -t cgroup2 cgroup2 root/sys/fs/cgroup
    exec chroot root /bin/sh -ec "$0"
' "$inside"
"""
"""A copy of the machine: what is changed in it goes with it, but for directories that are shared.
Devices are nodes of its own, since somebody may give them away in there. The kernel is the same, so
nothing may be set in there that is the kernel's."""
_GROUPS_GONE = """
mount -t cgroup2 cgroup2 /mnt
find "/mnt/$0" -depth -type d -exec rmdir {} +
"""


class Namespaces:
    """Of processes and mounts: begun by a shell script as process 1; `run` is in there, too."""

    def __init__(self, script, *words, env, log):
        """`log`: a file for what the script says. Its standard input ends with `end`."""
        self.env = env
        with log.open("wb") as out:
            self._first = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc",
                 "/bin/sh", "-c", script, *map(str, words)],
                env=env, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd="/",
            )  # fmt: skip

    def inside(self):
        """Its process 1, as a directory of /proc. Raises: OSError, IndexError (there is none)."""
        task = f"/proc/{self._first.pid}/task/{self._first.pid}/children"
        return Path("/proc", Path(task).read_text().split()[0])

    def run(self, *words, code=0, at="/", env=None, patience=PATIENCE):
        """A command in there, to its end; `code`: its exit code, None: any."""
        inside = self.inside()
        done = subprocess.run(
            ["nsenter", f"--target={inside.name}", "--all", f"--root={inside}/root",
             f"--wd={inside}/root{at}", "--", *map(str, words)],
            env=env or self.env, capture_output=True, text=True, check=False, timeout=patience,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        return done

    def is_there(self):
        return self._first.poll() is None

    def end(self):
        """Until its last process is gone."""
        self._first.stdin.close()
        with contextlib.suppress(OSError, IndexError):
            os.kill(int(self.inside().name), signal.SIGKILL)
        self._first.wait(PATIENCE)


@contextlib.contextmanager
def machine(scratch, begin, *, shared, env, ready):
    """A copy of this machine, in `scratch` (an empty directory), whose process 1 is the shell
    script `begin`; `shared`: directories that are the same. `ready`: a command in there that
    succeeds once it has begun; the test is skipped where it never does.
    """
    log = scratch.with_suffix(".log")
    made = Namespaces(_COPY, scratch, begin, *shared, env=env, log=log)

    def has_begun():
        with contextlib.suppress(OSError, IndexError, AssertionError):
            return made.run(*ready)

    try:
        try:
            wait_until(has_begun, PATIENCE)
        except AssertionError:
            pytest.skip(f"no copy of this machine can run here: {log.read_text()[-500:]}")
        yield made
    finally:
        made.end()
        subprocess.run(
            ["unshare", "--mount", "/bin/sh", "-c", _GROUPS_GONE, scratch.name], check=False
        )
