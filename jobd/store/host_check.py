"""Whether the state directory is a place for one machine alone.

SQLite's WAL, the lock and pidfds mean one kernel: a directory that several hosts share would have
two daemons at work on the same queue, each thinking that it is the only one.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError

_SHARED: Final = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.ceph", "fuse.glusterfs",
        "fuse.sshfs", "glusterfs", "lustre", "gpfs", "beegfs", "fhgfs", "orangefs", "pvfs2",
        "ocfs2", "gfs2",
    }
)  # fmt: skip
"""File systems that other hosts may have mounted too, as proc_pid_mountinfo(5) names them."""
WAY_OUT: Final = (
    "Set JOBD_HOME to a directory of this machine; or, if no other host uses this one, write into "
    "config.toml: [daemon] state_is_private = true"
)


def host_id() -> str:
    """Which machine this is: its machine-id(5), so that it may change its name; else its name."""
    try:
        return Path("/etc/machine-id").read_text("ascii").strip() or socket.gethostname()
    except (OSError, UnicodeDecodeError):
        return socket.gethostname()


def this_host() -> str:
    """For the store: id and name."""
    return f"{host_id()} {socket.gethostname()}"


def check_file_system(directory: Path) -> None:
    """Raises: JobdError (it lies on a file system that other hosts may share; the way out)."""
    try:
        table = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return
    kind = kind_of(os.path.realpath(directory), table)
    if kind in _SHARED:
        raise JobdError(
            f"the state directory {directory} lies on a network file system ({kind}), which other "
            f"hosts may share. {WAY_OUT}"
        )


def check_host(directory: Path, last: str | None) -> None:
    """`last`: what `this_host` was when the directory was used last.

    Raises: JobdError (it was another one; the way out).
    """
    known, _, name = (last or "").partition(" ")
    if last is not None and known != host_id():
        raise JobdError(
            f"the state directory {directory} was last used by another host, {name}. {WAY_OUT}"
        )


def kind_of(path: str, mountinfo: str) -> str:
    """The file system that a path (without symlinks) lies on: that of the longest mount point.

    Of several at one point the last one is on top.
    """
    best, kind = "", ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        point = _unescaped(fields.split(" ")[4]) if fields.count(" ") >= 4 else ""
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if point and inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """Blanks stand as octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
