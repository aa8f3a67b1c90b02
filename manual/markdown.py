"""Parts of pages for the web that are made from the code: what `<!-- here: NAME -->` stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobctl.render.topics import EXIT_CODES, JOB_EXIT_CODES, ExitCode
from jobd.contract import models, states
from manual import records
from manual.pages import PROGRAM, SETTINGS, Block, Entry, Page, pages

_MARK: Final = re.compile(r"^<!-- here: (.+?) -->$", re.MULTILINE)
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_ROOT: Final = Path(__file__).parents[1]


def filled(text: str) -> str:
    """A page with all of its parts. Raises: KeyError (there is no such part)."""
    return _MARK.sub(lambda found: _PARTS[found[1]]().rstrip("\n"), text)


def _commands(program: str) -> str:
    """Every command of a program, each below a heading of its own."""
    found = [page for page in pages() if page.section == PROGRAM]
    ours = [page for page in found if page.name.split("-")[0] == program]
    return "\n".join(_command(page) for page in ours)


def _command(page: Page) -> str:
    parts = [f"## {page.command}\n", _fence("text", page.synopsis), *_blocks(page.description)]
    for heading, entries in page.options.items():
        parts += [f"**{heading}**\n"] if heading else []
        parts.append(_entries(entries))
    if page.examples:
        parts.append(_fence("sh", page.examples))
    return "\n".join(parts)


def _topic(name: str) -> str:
    (page,) = [page for page in pages() if page.name == f"jobctl-{name}"]
    return "\n".join([*_blocks(page.description), _fence("sh", page.examples)])


def _settings() -> str:
    (page,) = [page for page in pages() if page.name == SETTINGS]
    parts = [*_blocks(page.description), _fence("toml", page.examples)]
    for table, keys in records.tables().items():
        rows = [
            (f"`{key}`", f"`{default}`" if default else "", text) for key, default, text in keys
        ]
        parts += [f"## `{table}`\n", _table(("key", "default", "what it is"), rows)]
    return "\n".join(parts)


def _keys(record: type[Struct]) -> str:
    rows = [(f"`{one.name}`", one.kind, one.text) for one in records.fields(record)]
    return _table(("key", "value", "what it is"), rows)


def _words(kind: type[Enum]) -> str:
    return _table(("word", "what it means"), [(f"`{w.name}`", w.text) for w in records.words(kind)])


def _exit_codes(codes: Iterable[ExitCode]) -> str:
    rows = [
        (row.code, _escaped(row.meaning), " · ".join(f"`{line}`" for line in row.examples))
        for row in codes
    ]
    return _table(("code", "what it means", "for example"), rows)


def _figures() -> str:
    """The latest measurement, its headings one level further down."""
    text = (_ROOT / "scripts/bench.md").read_text("utf-8")
    return re.sub("^#", "##", text, flags=re.MULTILINE)


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield _fence("text", block.text) if block.literal else f"{_escaped(block.text)}\n"


def _entries(entries: Iterable[Entry]) -> str:
    rows = [(f"`{entry.term}`", _escaped(entry.text)) for entry in entries]
    return _table(("option", "what it does"), rows)


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(text: str) -> str:
    """Text in which nothing is an order to Markdown, or to HTML."""
    text = re.sub(r"([\\`*_\[\]#])", r"\\\1", text)
    return "".join(_ENTITIES.get(character, character) for character in text)


_PARTS: Final[dict[str, Callable[[], str]]] = {
    "commands of jobctl": partial(_commands, "jobctl"),
    "commands of jobd": partial(_commands, "jobd"),
    "settings": _settings,
    "keys of a job": partial(_keys, models.Job),
    "keys of an attempt": partial(_keys, models.Attempt),
    "keys of an event": partial(_keys, models.Event),
    "keys of the status": partial(_keys, models.DaemonStatus),
    "events": partial(_words, states.EventName),
    "reasons": partial(_words, states.Reason),
    "exit codes": partial(_exit_codes, EXIT_CODES),
    "exit codes of jobs": partial(_exit_codes, JOB_EXIT_CODES),
    "selectors": partial(_topic, "selectors"),
    "times": partial(_topic, "times"),
    "manifests": partial(_topic, "manifest"),
    "scripts": partial(_topic, "script"),
    "environment": partial(_topic, "environment"),
    "figures": _figures,
}
"""By name, as a page of docs/ asks for them."""
