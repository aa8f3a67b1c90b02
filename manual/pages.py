"""What a page of the manual says, taken from the commands themselves: one place for each fact."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import click

from jobctl.cli import group as jobctl
from jobctl.render.topics import TOPICS
from jobd.admin.cli import main as jobd
from manual import records

PROGRAM: Final = 1
"""Section of the manual: commands."""
FILE: Final = 5
"""Section of the manual: files."""
ABOUT: Final = 7
"""Section of the manual: what belongs to no single command."""
SETTINGS: Final = "jobd-config.toml"
_OF_SETTINGS: Final = """\
The settings of jobd, in TOML. Nothing has to be in it, and the file need not be there. jobd start
reads it, and so does jobd reload, which says line by line what has changed and what counts only
after jobd restart. Options of jobd start count more than the file. jobd config prints what counts,
and where it comes from.

Durations are written like 90, "15m" or "1h30m", sizes like "50MB", "1.5GiB" or plain bytes. What is
wrong in the file keeps jobd start from starting, and is named with its line; jobd config --check
FILE looks beforehand.

The file is ~/.config/jobd/config.toml, or config.toml in the directory of JOBD_HOME.

Example:
  [daemon]
  workers = 4
  env_exclude = ["*_TOKEN", "*_PASSWORD"]

  [groups.gpu]
  workers = 1

  [retention]
  max_age = "30d"
"""
_TOPICS_OF_WORDS: Final = {
    "SELECTOR": "selectors",
    "DURATION": "times",
    "TIME": "times",
    "WHEN": "times",
}
"""Words that stand for a value, and the topic that explains what may be written there."""
_EXAMPLE: Final = "Example:"
_KEPT: Final = "\b"
"""Before lines that click leaves as they are."""


class Block(NamedTuple):
    """A paragraph; `literal`: its lines stay as they are."""

    text: str
    literal: bool = False


class Entry(NamedTuple):
    """A row of a list: an option with its value, or a command; and what it does."""

    term: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page; what is empty is left out of it."""

    name: str
    """`jobctl-submit`, as `man` is asked for it."""
    section: int
    summary: str
    """Half a sentence, which begins small and has no full stop."""
    synopsis: str = ""
    description: list[Block] = field(default_factory=list)
    options: dict[str, list[Entry]] = field(default_factory=dict)
    """By the headings of the help; a single list has none."""
    commands: list[Entry] = field(default_factory=list)
    topics: list[Entry] = field(default_factory=list)
    examples: str = ""
    see_also: list[str] = field(default_factory=list)
    """Names of other pages."""

    @property
    def command(self) -> str:
        """As it is typed: `jobctl submit`."""
        return self.synopsis.partition(" [")[0]


def pages() -> list[Page]:
    """All of them: each command of both programs, the settings, the topics of `jobctl help`."""
    found = [page for program in (jobctl, jobd) for page in _program(program)]
    return [*found, _settings(), *(_topic(name) for name in TOPICS)]


def section_of(name: str) -> int:
    """The section of the manual that a page is in."""
    if name == SETTINGS:
        return FILE
    return ABOUT if name.removeprefix("jobctl-") in TOPICS else PROGRAM


def _program(group: click.Group) -> Iterator[Page]:
    name = {id(jobctl): "jobctl", id(jobd): "jobd"}[id(group)]
    yield from _command(click.Context(group, info_name=name, **group.context_settings))


def _command(ctx: click.Context) -> Iterator[Page]:
    """The page of a command and, where it has commands of its own, theirs."""
    command = ctx.command
    below = list(_below(ctx))
    name = ctx.command_path.replace(" ", "-")
    description, example = _said(f"{_whole(command)}\n\n{command.epilog or ''}")
    options = _options(ctx)
    yield Page(
        name=name,
        section=PROGRAM,
        summary=_summary(command),
        synopsis=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        description=description,
        options=options,
        commands=[
            Entry(one.command_path.replace(" ", "-"), _summary(one.command)) for one in below
        ],
        topics=[Entry(f"jobctl-{topic}", TOPICS[topic].title) for topic in TOPICS]
        if name == "jobctl"
        else [],
        examples=example,
        see_also=_see_also(ctx, [*(block.text for block in description), *_values(ctx)]),
    )
    for one in below:
        yield from _command(one)


def _whole(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").partition("\f")[0]


def _summary(command: click.Command) -> str:
    text = command.get_short_help_str(limit=200).removesuffix(".")
    return text[:1].lower() + text[1:]


def _below(ctx: click.Context) -> Iterator[click.Context]:
    group = ctx.command
    if isinstance(group, click.Group):
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            if command is not None and not command.hidden:
                yield click.Context(command, parent=ctx, info_name=name, **command.context_settings)


def _options(ctx: click.Context) -> dict[str, list[Entry]]:
    """As the help lists them, by its headings."""
    sections: Any = getattr(ctx.command, "sections", None)
    if sections is not None:
        return {name: [Entry(*row) for row in rows] for name, rows in sections(ctx).items()}
    options = [one for one in ctx.command.get_params(ctx) if isinstance(one, click.Option)]
    rows = [option.get_help_record(ctx) for option in options]
    return {"": [Entry(*row) for row in rows if row is not None]}


def _values(ctx: click.Context) -> list[str]:
    """The words that stand for values, of arguments and options."""
    return [param.make_metavar(ctx) for param in ctx.command.get_params(ctx)]


def _see_also(ctx: click.Context, texts: list[str]) -> list[str]:
    """The programs, and the topics that the page sends its reader to or takes values of."""
    named = {name for text in texts for name in re.findall(r"jobctl\s+help\s+([a-z-]+)", text)}
    words = {word for text in texts for word in re.findall("[A-Z]+", text)}
    named |= {topic for word, topic in _TOPICS_OF_WORDS.items() if word in words}
    here = ctx.command_path
    programs = [name for name in ("jobctl", "jobd") if name != here]
    if here in {"jobctl", "jobd"}:
        return [*programs, SETTINGS]
    return [*programs, *(f"jobctl-{topic}" for topic in (*TOPICS,) if topic in named)]


def _settings() -> Page:
    description, example = _said(_OF_SETTINGS)
    return Page(
        name=SETTINGS,
        section=FILE,
        summary="settings of jobd",
        description=description,
        options={
            table: [
                Entry(f"{key} = {default}" if default else key, text.replace("`", ""))
                for key, default, text in keys
            ]
            for table, keys in records.tables().items()
        },
        examples=example,
        see_also=["jobd", "jobd-config", "jobd-reload", "jobctl-environment"],
    )


def _topic(name: str) -> Page:
    topic = TOPICS[name]
    description, example = _said(topic.text)
    return Page(
        name=f"jobctl-{name}",
        section=ABOUT,
        summary=topic.title,
        description=description,
        examples=example,
        see_also=["jobctl", "jobd"],
    )


def _said(text: str) -> tuple[list[Block], str]:
    """The paragraphs of a help, and its examples."""
    blocks: list[Block] = []
    text, _, shown = text.partition(f"\n{_EXAMPLE}\n")
    example = textwrap.dedent(shown).strip("\n")
    for part in filter(None, re.split(r"\n\s*\n", text.removesuffix(_KEPT).strip("\n"))):
        lines = part.removeprefix(f"{_KEPT}\n")
        if lines != part or lines.startswith(" "):
            _keep(blocks, textwrap.dedent(lines).strip("\n"))
        else:
            blocks.append(Block(" ".join(lines.split())))
    return blocks, example


def _keep(blocks: list[Block], lines: str) -> None:
    """Lines that stay as they are; those behind such lines belong to them."""
    if blocks and blocks[-1].literal:
        lines = f"{blocks.pop().text}\n\n{lines}"
    blocks.append(Block(lines, literal=True))
