"""A page as `man` reads it: man(7), understood by groff and mandoc alike."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from jobd.contract.distribution import DISTRIBUTION
from jobd.contract.version import VERSION
from manual.pages import PROGRAM, Block, Entry, Page, section_of

_WIDTH: Final = 78
"""Of lines of prose in the source, which `man` fills anew."""
_NAMES: Final = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
    '"': r"\(dq",
}
"""What would be set as another character, and could then not be pasted into a shell."""
_UNBROKEN: Final = ".nh\n.ad l"
"""No hyphens are put into paths and options, and no blanks between words."""
_MANUALS: Final = {1: "User Commands", 5: "File Formats", 7: "Miscellaneous"}
_EXIT_CODES: Final = "exit-codes"
_OPTION: Final = re.compile(r"(?<![\w/-])--?[A-Za-z0-9][\w-]*")


def roff(page: Page, date: str) -> str:
    """`date`: of the page, as 2026-11-26."""
    title = f"{escaped(page.name.upper())} {page.section} {date}"
    source = f'"{escaped(DISTRIBUTION)} {escaped(VERSION)}" "{_MANUALS[page.section]}"'
    parts = [
        f".TH {title} {source}",
        _UNBROKEN,
        _section("NAME", [f"{escaped(page.name)} \\- {escaped(page.summary)}"]),
    ]
    if page.synopsis:
        parts.append(_section("SYNOPSIS", [_synopsis(page)]))
    parts.append(_section("DESCRIPTION", _paragraphs(page.description)))
    parts += _options(page)
    parts.append(_section("COMMANDS", _pages(page.commands)))
    parts.append(_section("TOPICS", _pages(page.topics)))
    if page.section == PROGRAM:
        parts.append(_elsewhere(page))
    if page.examples:
        parts.append(_section("EXAMPLES", [_literal(page.examples)]))
    parts.append(_section("SEE ALSO", [",\n".join(_reference(name) for name in page.see_also)]))
    return "\n".join(filter(None, parts)) + "\n"


def escaped(text: str) -> str:
    """Text in which nothing is an order to the formatter."""
    return "".join(_NAMES.get(c) or (c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)


def _section(heading: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f'.SH "{heading}"\n{body}' if body else ""


def _line(text: str) -> str:
    """A line of the source that begins no request."""
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _prose(text: str) -> str:
    """Filled by `man`; options in it are bold."""
    marked = _marked(" ".join(text.split()))
    lines = textwrap.wrap(marked, _WIDTH, break_on_hyphens=False, break_long_words=False)
    return "\n".join(map(_line, lines))


def _marked(text: str) -> str:
    parts, at = [], 0
    for found in _OPTION.finditer(text):
        parts += [escaped(text[at : found.start()]), f"\\fB{escaped(found[0])}\\fR"]
        at = found.end()
    return "".join([*parts, escaped(text[at:])])


def _literal(text: str) -> str:
    return "\n".join([".EX", *(_line(escaped(line)) for line in text.split("\n")), ".EE"])


def _paragraphs(blocks: list[Block]) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if number:
            yield ".PP"
        yield _literal(block.text) if block.literal else _prose(block.text)


def _synopsis(page: Page) -> str:
    rest = page.synopsis.removeprefix(page.command)
    return f".B {escaped(page.command)}\n{escaped(rest.strip())}".rstrip("\n")


def _options(page: Page) -> list[str]:
    if list(page.options) == [""]:
        return [_section("OPTIONS", _entries(page.options[""]))]
    if not page.options:
        return []
    lines: list[str] = []
    for heading, entries in page.options.items():
        lines += [f'.SS "{escaped(heading)}"', *_entries(entries)]
    return [_section("OPTIONS" if page.section == PROGRAM else "SETTINGS", lines)]


def _entries(entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        yield f".TP\n{_term(entry.term)}\n{_prose(entry.text)}"


def _term(term: str) -> str:
    """`-n, --name TEXT`: the names bold, the value slanted."""
    words = re.split("([ ,]+)", term)
    return "".join(
        f"\\fB{escaped(word)}\\fR"
        if word.startswith("-")
        else word
        if re.fullmatch("[ ,]*", word)
        else f"\\fI{escaped(word)}\\fR"
        for word in words
    )


def _pages(entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        yield f".TP\n{_reference(entry.term)}\n{_prose(entry.text)}"


def _reference(name: str) -> str:
    return f".BR {escaped(name)} ({section_of(name)})"


def _elsewhere(page: Page) -> str:
    """What is the same for all commands of a program stands on a page of its own."""
    codes = "" if page.name.startswith("jobd") else _reference(f"jobctl-{_EXIT_CODES}")
    lines = [_section("EXIT STATUS", [f"See\n{codes}."] if codes else [])]
    lines.append(_section("ENVIRONMENT", [f"See\n{_reference('jobctl-environment')}."]))
    return "\n".join(filter(None, lines))


def files(date: str) -> Iterator[tuple[str, str]]:
    """Each page's name in the file system, and its source."""
    from manual.pages import pages

    for page in pages():
        yield f"man{page.section}/{page.name}.{page.section}", roff(page, date)
