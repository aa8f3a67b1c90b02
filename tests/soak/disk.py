"""A small disk of the instance's own, which can be full for a while."""

import contextlib
import os
import subprocess

_SIZE = 256 * 1024 * 1024
"""Bytes; memory, as far as they are in use."""
_BLOCK = 4096


class Disk:
    """A tmpfs at the state directory. Raises: OSError (none can be mounted here)."""

    def __init__(self, directory):
        self._directory = directory
        directory.mkdir(mode=0o700)
        command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "none", directory]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip())
        self._ballast = directory / "ballast"

    def fill(self):
        """Take whatever is free; again, and what has become free since is taken, too."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = _SIZE
            while size >= _BLOCK:
                try:
                    os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
                except OSError:
                    size //= 2
        finally:
            os.close(descriptor)

    def make_room(self):
        with contextlib.suppress(FileNotFoundError):
            self._ballast.unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self._directory], check=True)
