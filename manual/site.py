"""The pages of docs/, whole: `python -m manual.site` writes what Zensical builds the site from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from manual.markdown import filled

DOCS: Final = Path(__file__).parents[1] / "docs"
BUILT: Final = Path("build/docs")
"""Where zensical.toml looks for them."""


def write(directory: Path) -> None:
    """All pages, in which what is made from the code has its place; what was there is gone."""
    shutil.rmtree(directory, ignore_errors=True)
    for file in sorted(DOCS.rglob("*")):
        target = directory / file.relative_to(DOCS)
        if file.suffix == ".md":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(filled(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write(BUILT)
