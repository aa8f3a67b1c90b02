"""Commands as a person would type them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import msgspec

from jobd.store.records import spec_decoder


def text(raw: bytes) -> str:
    """What is not UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "replace")


def command_line(argv: Sequence[bytes], *, shell: bool) -> str:
    """As a person would type it."""
    return text(argv[0]) if shell else shlex.join(text(word) for word in argv)


def command_of(blob: object) -> str:
    """The command line in a stored spec; of a script without its directory, which not everybody is
    told. Empty where it is damaged.
    """
    try:
        spec = spec_decoder.decode(blob) if isinstance(blob, bytes) else None
    except msgspec.DecodeError:
        spec = None
    if spec is None or not spec.argv:
        return ""
    argv = spec.argv
    if spec.packed_script:
        argv = [os.path.basename(argv[0]), *argv[1:]]
    return command_line(argv, shell=spec.shell)
