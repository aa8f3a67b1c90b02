"""What people see, kept as files that were read by eye.

Where a change is meant: `GOLDEN=new scripts/test` with the test's file writes them anew; read what
the difference is.
"""

import os
from pathlib import Path

_JOBCTL = Path(__file__).parent / "jobctl"


def golden(name, shown):
    """It is what that file has (`render/ls-80x24.txt`); with `GOLDEN=new` the file is written."""
    folder, _, name = name.partition("/")
    file = _JOBCTL / folder / "golden" / name
    if os.environ.get("GOLDEN") == "new":
        file.write_text(shown, "utf-8")
    assert shown == file.read_text("utf-8")
