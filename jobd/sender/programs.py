"""A message goes to a program: the job as JSON on its stdin, and in its environment."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import Final

from jobd.contract.states import exit_code_reason, signal_reason

_SAID: Final = 2000
"""Bytes of the end of what it printed."""


def run(argv: list[str], content: bytes, cwd: str) -> str:
    """Run it to its end. Empty: it succeeded; else why not, with the end of what it printed.

    Files are its stdin and its output, no pipes: one that reads nothing does not fail for that, and
    whatever it leaves behind keeps nobody waiting.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(content)
        given.seek(0)
        try:
            process = subprocess.Popen(argv, stdin=given, stdout=said, stderr=said, cwd=cwd)
        except OSError as error:
            return f"{error.filename or argv[0]}: {(error.strerror or str(error)).lower()}"
        code = process.wait()
        if code == 0:
            return ""
        end = said.seek(0, os.SEEK_END)
        said.seek(max(0, end - _SAID))
        printed = said.read().decode("utf-8", "replace").strip()
    how = exit_code_reason(code) if code > 0 else signal_reason(str(-code))
    return f"{how}: {printed}" if printed else how
