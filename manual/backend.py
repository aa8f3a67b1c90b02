"""How the wheel is built (PEP 517): by setuptools, once the pages for `man` are written, and the
README as it is shown away from here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from setuptools import build_meta

P = ParamSpec("P")
R = TypeVar("R")

_PAGES: Final = Path("build/man")
_README: Final = Path("build/README.md")
"""Where setup.cfg looks for them."""
_MODULES: Final = Path("build/lib")
"""Where setuptools gathers what goes into the wheel, beside what it has gathered there before."""


def _with_readme(hook: Callable[P, R]) -> Callable[P, R]:
    """Each hook of setuptools may read the description."""

    @wraps(hook)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        write_readme(_README)
        return hook(*args, **kwargs)

    return wrapped


get_requires_for_build_sdist = _with_readme(build_meta.get_requires_for_build_sdist)
build_sdist = _with_readme(build_meta.build_sdist)
get_requires_for_build_wheel = _with_readme(build_meta.get_requires_for_build_wheel)
prepare_metadata_for_build_wheel = _with_readme(build_meta.prepare_metadata_for_build_wheel)
get_requires_for_build_editable = _with_readme(build_meta.get_requires_for_build_editable)
prepare_metadata_for_build_editable = _with_readme(build_meta.prepare_metadata_for_build_editable)
build_editable = _with_readme(build_meta.build_editable)


@_with_readme
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


def write_readme(file: Path) -> None:
    """With links that lead somewhere from wherever it is read."""
    from jobd.contract.version import VERSION
    from manual.readme import address_of, standing_alone

    address = address_of(Path("setup.cfg").read_text("utf-8"), VERSION)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(standing_alone(Path("README.md").read_text("utf-8"), address), "utf-8")
