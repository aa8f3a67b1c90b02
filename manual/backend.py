"""How the wheel is built (PEP 517): by setuptools, once the pages for `man` are written."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

from setuptools import build_meta

_PAGES: Final = Path("build/man")
"""Where setup.cfg looks for them."""
_MODULES: Final = Path("build/lib")
"""Where setuptools gathers what goes into the wheel, beside what it has gathered there before."""

get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
build_sdist = build_meta.build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
build_editable = build_meta.build_editable


def build_wheel(wheel_directory: str, *settings: Any) -> str:  # noqa: ANN401 # as PEP 517 has it
    """Gives the name of the file that was made in the directory."""
    write_pages(_PAGES)
    # pip builds in the checkout: modules that are gone since would be installed once more.
    shutil.rmtree(_MODULES, ignore_errors=True)
    name: str = build_meta.build_wheel(wheel_directory, *settings)
    return name


def write_pages(directory: Path) -> None:
    """Each page in the folder of its section; what was there before is gone.

    They bear the date of SOURCE_DATE_EPOCH where that is set, so that a build can be repeated.
    """
    from manual.roff import files

    shutil.rmtree(directory, ignore_errors=True)
    made = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    for name, text in files(time.strftime("%Y-%m-%d", time.gmtime(made))):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
