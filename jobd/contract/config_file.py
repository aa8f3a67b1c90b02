"""`config.toml`: read only where nobody else could have written it; what is wrong has its line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from jobd.contract import text_file
from jobd.contract.config import TABLES, Config, convert
from jobd.contract.config_words import in_words
from jobd.contract.errors import BadRequest, JobdError, NotPermitted
from jobd.contract.ownership import NotOurs, open_owned
from jobd.contract.wording import closest

_KEY_IN: Final = re.compile(r"unknown field `([^`]+)`")
_PATH_IN: Final = re.compile(r"at `\$\.?([^`]*)`")
_QUOTES: Final = re.compile(r"[\s\"']")
_HEADER: Final = re.compile(r"\s*(\[?)\[([^\]]+)\]")
_NUMBER: Final = re.compile(r"\[(\d+)\]")


def load(path: Path, *, required: bool = False) -> Config:
    """As `read` has it. Raises: as that does."""
    return read(path, required=required)[1]


def read(path: Path, *, required: bool = False) -> tuple[dict[str, Any], Config]:
    """What the file says, and what that means, with the defaults of all that it does not say.

    A missing one says nothing, unless it was asked for by name.

    Raises: JobdError (unreadable, no TOML, unknown key or wrong type; names key and line),
    BadRequest (the file that was asked for is not there), NotPermitted (somebody else could have
    written it: it says who can be a viewer or an admin, and what runs every job).
    """
    try:
        text = text_file.text(_content(path), str(path))
    except BadRequest as error:
        raise JobdError(f"cannot read {error.message}") from error
    except NotOurs as error:
        raise NotPermitted(f"{error.message}; {_instead(path, required=required)}") from error
    except _NoFileError:
        kind, option = (BadRequest, "--config: ") if required else (JobdError, "")
        raise kind(f"{option}{path} is no regular file; save the configuration in one") from None
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise BadRequest(f"--config: {path} does not exist") from error
        return {}, Config()
    except OSError as error:
        raise JobdError(f"cannot read {path}: {error}") from error
    try:
        tables = text_file.toml(text, str(path))
        return tables, convert(tables)
    except BadRequest as error:
        raise JobdError(error.message) from error
    except msgspec.ValidationError as error:
        said = str(error)
        raise JobdError(f"{path}{_line_of(said, text)}: {in_words(said)}{_meant(said)}") from error


class _NoFileError(Exception):
    """Something that might be read for ever."""


def _content(path: Path) -> bytes:
    """Of a regular file, or of the null device. Raises: NotOurs, _NoFileError, OSError."""
    descriptor = open_owned(path)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) and found.st_rdev != os.stat(os.devnull).st_rdev:
        os.close(descriptor)
        raise _NoFileError
    with open(descriptor, "rb") as file:
        return file.read()


def _instead(path: Path, *, required: bool) -> str:
    if required:
        return "--config takes a file in a directory that only you can write: copy it to one"
    return (
        f"{path} is read only where nobody but you and root could have written it: set JOBD_HOME "
        "(or XDG_CONFIG_HOME, or HOME) to a directory of your own"
    )


def _meant(message: str) -> str:
    """What an unknown key or table was probably meant to be, or where it belongs."""
    if message.endswith("at `$.engine`"):
        return "; the name of an engine belongs into [daemon]"
    key, place = _KEY_IN.search(message), _PATH_IN.search(message)
    if message.startswith("Invalid enum value") and place is not None:
        return _instead_of_it(place[1])
    if key is None:
        return ""
    table = TABLES.get(_NUMBER.sub("[...]", place[1]) if place else "", Config)
    meant = closest(key[1], table.__struct_fields__)
    if meant:
        return f"; did you mean: {meant}"
    home = next((name for name, kind in TABLES.items() if key[1] in kind.__struct_fields__), "")
    home = f"[{home.removesuffix('[...]')}]" if home.startswith("notify") else home
    return f"; it belongs into [{home}]" if home else ""


def _instead_of_it(place: str) -> str:
    """The values that there are for a key, or for one of a list."""
    table, _, key = re.sub(r"\[(\d+|\.\.\.)\]$", "", place).rpartition(".")
    kind = get_type_hints(TABLES[_NUMBER.sub("[...]", table)])[key]
    for of in (kind, *get_args(kind)):
        if isinstance(of, EnumType):
            return f"; there are {', '.join(map(str, of))}"
    return ""


def placed(path: Path, key: str, message: str) -> str:
    """`PATH, line 3: MESSAGE` of a key such as `engine.slurm.pack`, as far as the file can tell."""
    try:
        text = text_file.text(_content(path), str(path))
    except (JobdError, NotOurs, _NoFileError, OSError):
        return message
    return f"{path}{_line(key.split('.'), text)}: {message}"


def _line_of(message: str, text: str) -> str:
    """`, line N` of the key that the message speaks of."""
    found = [match[1] for match in (_PATH_IN.search(message), _KEY_IN.search(message)) if match]
    return _line([key for key in ".".join(found).replace("[...]", ".*").split(".") if key], text)


def _line(keys: list[str], text: str) -> str:
    """`, line N` of this key, or of the table that it should be in."""
    while keys:
        wanted = re.compile(r"\.".join("[^.]+" if key == "*" else _pattern(key) for key in keys))
        for number, key in _keys_of(text):
            if wanted.fullmatch(key):
                return f", line {number}"
        keys.pop()
    return ""


def _pattern(key: str) -> str:
    """A number may be that of a table (`[[notify]]`), or of a value in a list, on whatever line."""
    name, number = _NUMBER.sub("", key), _NUMBER.search(key)
    return re.escape(name) + (rf"(\[{number[1]}\])?" if number else "")


def _keys_of(text: str) -> Iterator[tuple[int, str]]:
    """Line and full name of each table and key, as far as a line tells it."""
    table, counted = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, _ = line.partition("=")
        if header := _HEADER.match(line):
            table = _QUOTES.sub("", header[2])
            if header[1]:
                counted[table] = number_of_table = counted.get(table, -1) + 1
                table += f"[{number_of_table}]"
            yield number, table
        elif equals:
            yield number, f"{table}.{_QUOTES.sub('', name)}".lstrip(".")
