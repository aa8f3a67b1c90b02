"""What supervisor and daemon are started with, on its way from process to process.

It lies in a file in memory whose descriptor is the one argument: what the configuration says is
not for everybody who can run ps(1). The daemon keeps that file open, so that whoever replaces one
that hangs finds in it what it was told (`jobd/admin/lock_holders.py`).

The plan itself may be the argument, too: after an upgrade in place it is an older supervisor that
starts the next daemon, or becomes the next supervisor. Standard library only.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from jobd.system import linux

Plan = dict[str, Any]
_NAME: Final = b"jobd.plan"


def opened(plan: Plan) -> int:
    """A descriptor to hand over, close-on-exec; the caller closes it. Raises: OSError."""
    return linux.memory_file(_NAME, json.dumps(plan).encode())


def descriptor_in(word: str) -> int | None:
    """The descriptor that an argument names; None: it is the plan itself."""
    return int(word) if word.isdecimal() else None


def read(word: str) -> Plan:
    """What an argument of this process leads to. Raises: OSError, ValueError."""
    descriptor = descriptor_in(word)
    if descriptor is None:
        return parse(word)
    return parse(os.pread(descriptor, os.fstat(descriptor).st_size, 0))


def parse(text: str | bytes) -> Plan:
    """Raises: ValueError."""
    plan = json.loads(text)
    if not isinstance(plan, dict):
        raise ValueError("no plan")  # noqa: TRY004 - one error for all that is none
    return plan
