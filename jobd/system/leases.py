"""Whether anybody has a file open for writing, asked of the kernel (fcntl(2), leases)."""

from __future__ import annotations

import errno
import fcntl
import signal


def is_written_to(descriptor: int) -> bool:
    """Whether somebody has this file of ours open for writing just now; `descriptor` only reads.

    A lease for readers is given where there is no writer. It is given back at once; whoever opens
    the file just then waits for that, and the signal that tells us of them is one that is ignored.

    Raises: OSError (the file system knows no leases: nobody can tell).
    """
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
