"""What people see, kept as files that were read by eye.

Where a change is meant: `GOLDEN=new scripts/test tests/jobctl/render/test_screens.py` writes them
anew; read what the difference is.
"""

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "jobctl" / "render" / "golden"


def golden(name, shown):
    """It is what that file has; with `GOLDEN=new` the file is written."""
    file = _FOLDER / name
    if os.environ.get("GOLDEN") == "new":
        file.write_text(shown, "utf-8")
    assert shown == file.read_text("utf-8")
