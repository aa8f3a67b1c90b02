"""The documentation is whole: links lead somewhere, what it says of the code is so."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jobctl.render.topics import EXIT_CODES, JOB_EXIT_CODES
from jobd.contract import config, models, states
from manual import records, site
from manual.markdown import filled
from scripts import first_minutes
from tests.docs.pages import PAGES, ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PEOPLE = {**PAGES, "CONTRIBUTING.md": CONTRIBUTING}
"""All that people read, by its path."""


def anchor(heading: str) -> str:
    """As a forge and the site make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PEOPLE)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PEOPLE[page]):
        if ":" in target:
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not heading or heading in anchors(file.read_text("utf-8")), target


def test_the_readme_is_one_page() -> None:
    assert PAGES["README.md"].count("\n") < 140
    for name in ("scripts/demo", "scripts/test"):
        assert os.access(ROOT / name, os.X_OK)
        assert f"\n{name} " in PAGES["README.md"]


@pytest.mark.e2e
def test_the_session_of_the_readme_still_goes_so() -> None:
    """If it does not: scripts/first-minutes --write."""
    found = first_minutes.PLACE.search(PAGES["README.md"])
    assert found is not None
    assert first_minutes.shape(first_minutes.play()) == first_minutes.shape(found[0])


def test_every_extra_is_on_the_page_about_installing() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    told = set(re.findall(r"^\| `(\w+)` \|", PAGES["docs/install.md"], re.MULTILINE))
    assert told == set(setup["options.extras_require"]) - {"test", "dev", "docs"}


def test_every_page_is_in_the_navigation() -> None:
    told = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    named = set(re.findall(r"[\w/-]+\.md", str(told)))
    assert named == {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    site.write(tmp_path / site.BUILT)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    reference = (tmp_path / "build/site/reference/jobctl/index.html").read_text("utf-8")
    assert 'id="jobctl-groups-add"' in reference
    assert "<code>--notify [WHEN:]URL|CMD</code>" in reference
    assert "[1&lt;=x&lt;=1000]" in reference


def test_nothing_is_left_to_be_filled_in() -> None:
    for page, text in PAGES.items():
        assert "<!-- here:" not in filled(text), page


def test_a_part_that_nobody_makes_is_noticed() -> None:
    with pytest.raises(KeyError, match="keys of a cat"):
        filled("# Cats\n\n<!-- here: keys of a cat -->\n")


def test_settings_and_their_defaults_are_those_of_the_model() -> None:
    """The manual of a key that has none would raise KeyError."""
    tables = records.tables()
    keys = {table: {key.name for key in rows} for table, rows in tables.items()}
    assert keys["[daemon]"] == set(config.DaemonConfig.__struct_fields__)
    assert keys["[retention.STATE]"] == set(config.Limits.__struct_fields__)
    assert keys["[retention]"] > keys["[retention.STATE]"]
    assert len(tables) == len(config.TABLES) - len(("", "retention.failed", "retention.stopped"))
    told = "".join(
        f"{table.replace('NAME', 'x').replace('STATE', 'failed')}\n"
        + "".join(f"{key.name} = {key.kind}\n" for key in rows if key.kind)
        for table, rows in tables.items()
        if table != "[[notify]]"
    )
    assert config.convert(tomllib.loads(told)).daemon == config.DaemonConfig()


def test_every_key_of_the_json_is_explained() -> None:
    for record in (models.Job, models.Attempt, models.Event, models.DaemonStatus):
        assert [one.name for one in records.fields(record)] == list(record.__struct_fields__)
    assert len(records.words(states.EventName)) == len(states.EventName)
    assert len(records.words(states.Reason)) == len(states.Reason)


def test_exit_codes_are_not_told_twice() -> None:
    page = filled(PAGES["docs/reference/exit-codes.md"])
    for row in (*EXIT_CODES, *JOB_EXIT_CODES):
        assert f"| {row.code} | {row.meaning} |" in page


def test_every_path_of_the_map_exists() -> None:
    _, _, the_map = CONTRIBUTING.partition("### A map of the code")
    rows = re.findall(r"^\| (`.*?) \|", the_map.partition("\n#")[0], re.MULTILINE)
    assert rows
    for row in rows:
        first, *more = re.findall(r"`(.*?)`", row)
        for name in [first, *(str(Path(first).parent / beside) for beside in more)]:
            assert (ROOT / name).exists(), name


def test_every_test_that_a_promise_names_exists() -> None:
    promises = CONTRIBUTING.partition("## What we promise")[2]
    named = re.findall(r"`(tests/[\w/.]+)`", promises)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", promises):
        assert f"def {name}(" in code, name
