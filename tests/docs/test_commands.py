"""Every command of the documentation works as it is written there, a page after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jobctl.cli import group as jobctl
from jobd.admin.cli import main as jobd
from jobd.contract import config
from tests.docs.pages import PAGES, Fence, fences

OWN_TESTS = {"docs/how-to/scripts.md": "tests/e2e/test_recipes.py"}
"""Pages whose commands are run elsewhere, in several shells and with what they print."""
SHOWN = {"", "text", "console", "json", "yaml"}
"""Languages of fences that show something and are no commands."""
PYTHON = "END_OF_PYTHON"


def runs(page: str) -> list[Fence]:
    return [one for one in fences(page) if one.why is None and one.language not in SHOWN]


RUN = [page for page in PAGES if runs(page) and page not in OWN_TESTS]


def script(page: str) -> str:
    """A page as one script; settings are written to where the daemon looks for them."""
    parts = ["trap 'jobd stop --now >/dev/null 2>&1' EXIT\n"]
    for fence in runs(page):
        match fence.language:
            case "sh":
                parts.append(fence.text)
            case "python":
                parts.append(f"python3 - <<'{PYTHON}'\n{fence.text}{PYTHON}\n")
            case "toml":
                parts.append(_settings(fence.text))
    return "".join(parts)


def _settings(text: str) -> str:
    return (
        'mkdir -p -m 0700 "$JOBD_HOME"\n'
        f"cat >>\"$JOBD_HOME/config.toml\" <<'END'\n{text}END\n"
        "if jobd status >/dev/null; then jobd reload; jobd restart; else jobd start; fi\n"
    )


@pytest.mark.e2e
@pytest.mark.parametrize("page", RUN)
def test_what_a_page_says_is_so(page: str, home: Path) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", script(page)],
        cwd=home,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_pages_that_are_tried_elsewhere_are() -> None:
    for page, test in OWN_TESTS.items():
        assert Path(page).name in (Path(__file__).parents[2] / test).read_text("utf-8")


def test_no_fence_is_of_a_language_that_nobody_knows() -> None:
    for page in PAGES:
        languages = {fence.language for fence in fences(page)}
        assert languages <= SHOWN | {"sh", "toml", "python"}, page
        assert PAGES[page].count("\n```") == 2 * sum("```" in part for part in parts_of(page)), page


def parts_of(page: str) -> list[str]:
    """Fences as they stand there; none of them was overlooked."""
    return re.findall(r"^```\w*[^\n]*\n.*?^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def test_settings_that_are_not_tried_are_settings() -> None:
    for page in PAGES:
        for fence in fences(page):
            if fence.language == "toml" and fence.why is not None:
                told = tomllib.loads(fence.text)
                assert set(told) <= set(config.Config.__struct_fields__), page


def lines(text: str) -> Iterator[list[str]]:
    """Every command of ours in a script, without what the shell does beside it."""
    for line in text.splitlines():
        for part in re.split(r"&&|\|\|?|;|\$\(", line):
            found = re.match(
                r"\s*(?:sudo |exec |podman exec \w+ |[A-Z_]+=\S+ )*(job(?:ctl|d) .*)", part
            )
            if found:
                yield shlex.split(found[1], comments=True)


def test_commands_that_are_not_tried_have_those_options() -> None:
    seen = 0
    for page in PAGES:
        for fence in fences(page):
            if fence.language == "sh" and fence.why is not None:
                for words in lines(fence.text):
                    seen += 1
                    assert unknown(words) == set(), (page, words)
    assert seen > 10


def unknown(words: list[str]) -> set[str]:
    """Options of a command line that its command does not have."""
    program, *rest = words
    group = {"jobctl": jobctl, "jobd": jobd}[program]
    if not rest or rest[0].startswith(("-", "#")):
        return set()
    command = group.get_command(click.Context(group, info_name=program), rest[0])
    if command is None:
        return {rest[0]}
    known = {name for param in command.params for name in param.opts} | {"--help"}
    return {word.split("=")[0] for word in rest[1:] if word.startswith("--")} - known - {"--"}
