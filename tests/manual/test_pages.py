"""Pages of the manual say what the help says, all of it, and nothing else."""

from __future__ import annotations

import re

import click
import pytest

from jobctl import cli
from jobctl.render.topics import TOPICS
from jobd.admin.cli import main as jobd
from manual import roff
from manual.pages import ABOUT, FILE, PROGRAM, SETTINGS, Block, Entry, Page, pages

PAGES = {page.name: page for page in pages()}


def test_every_command_and_topic_has_a_page() -> None:
    commands = {f"jobctl-{name}" for name in cli.COMMANDS}
    commands |= {f"jobd-{name}" for name, one in jobd.commands.items() if not one.hidden}
    topics = {f"jobctl-{name}" for name in TOPICS}
    subcommands = {f"jobctl-groups-{verb}" for verb in ("add", "list", "rm", "set")}
    assert set(PAGES) == {"jobctl", "jobd", SETTINGS} | commands | subcommands | topics
    sections = {name: page.section for name, page in PAGES.items()}
    assert {name for name in sections if sections[name] == ABOUT} == topics
    assert {name for name in sections if sections[name] == FILE} == {SETTINGS}


def test_the_summary_is_half_a_sentence() -> None:
    for page in PAGES.values():
        assert re.fullmatch(r"[a-z].*[^.]", page.summary), page.name
        assert len(page.summary) < 80, page.name


def test_every_option_is_there_as_the_help_has_it() -> None:
    for program in ("jobctl", "jobd"):
        group = {"jobctl": cli.group, "jobd": jobd}[program]
        ctx = click.Context(group, info_name=program, **group.context_settings)
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            within = click.Context(command, parent=ctx, info_name=name, **command.context_settings)
            if command.hidden:
                continue
            told = [e for rows in PAGES[f"{program}-{name}"].options.values() for e in rows]
            records = [
                param.get_help_record(within)
                for param in command.get_params(within)
                if isinstance(param, click.Option)
            ]
            assert sorted(told) == sorted(filter(None, records)), name


def test_submit_has_the_sections_of_its_help() -> None:
    page = PAGES["jobctl-submit"]
    assert list(page.options)[:2] == ["Common options", "What runs"]
    assert page.synopsis == "jobctl submit [OPTIONS] [--] COMMAND [ARG]..."
    assert "jobctl submit -n eval --after 1 -- ./eval.sh" in page.examples.split("\n")
    assert page.see_also[2:] == [
        f"jobctl-{n}" for n in ("manifest", "script", "selectors", "times")
    ]


def test_a_command_is_named_as_it_is_typed() -> None:
    typed = {page.command for page in PAGES.values() if page.section == PROGRAM}
    assert {"jobctl", "jobctl groups add", "jobd install-service", "jobd stop"} <= typed


def test_every_page_has_an_example_and_leads_on_to_pages_that_are_there() -> None:
    for page in PAGES.values():
        assert page.examples, page.name
        led = [*page.see_also, *(entry.term for entry in [*page.commands, *page.topics])]
        assert page.see_also
        assert set(led) <= set(PAGES), page.name


def test_lines_of_a_topic_stay_as_they_are() -> None:
    (toml,) = [block for block in PAGES["jobctl-manifest"].description if block.literal]
    assert toml.text.startswith('[defaults]\ngroup = "gpu"\n\n[jobs.fetch]\n')


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (".a request", "\\&.a request"),
        ("'another", "\\(aqanother"),
        ("C:\\new", "C:\\enew"),
        ("use --all here", "use \\fB\\-\\-all\\fR here"),
        ("one-word, -1", "one\\-word, \\fB\\-1\\fR"),
        ('a ~/`x` ^ "y"', "a \\(ti/\\(gax\\(ga \\(ha \\(dqy\\(dq"),
        ("50 \u00b0\u2026", "50 \\[u00B0]\\[u2026]"),
    ],
)
def test_text_is_no_order_to_the_formatter(text: str, source: str) -> None:
    page = Page(
        name="x", section=PROGRAM, summary="x", description=[Block(text)], see_also=["jobd"]
    )
    assert f'.SH "DESCRIPTION"\n{source}\n' in roff.roff(page, "2026-11-26")


def test_lines_that_stay_are_no_order_either() -> None:
    kept = Block(".x -y\n\n'z'", literal=True)
    page = Page(name="x", section=PROGRAM, summary="x", description=[kept], see_also=["jobd"])
    assert ".EX\n\\&.x \\-y\n\n\\(aqz\\(aq\n.EE\n" in roff.roff(page, "2026-11-26")


def test_a_value_is_not_set_as_its_option() -> None:
    options = {"": [Entry("-n, --name GLOB", "Only these.")]}
    page = Page(name="x", section=PROGRAM, summary="x", options=options, see_also=["jobd"])
    source = roff.roff(page, "2026-11-26")
    assert ".TP\n\\fB\\-n\\fR, \\fB\\-\\-name\\fR \\fIGLOB\\fR\nOnly these.\n" in source
