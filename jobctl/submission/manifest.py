"""A manifest: jobs by name that wait for each other, in TOML or JSON, as one graph.

    [defaults]                  # options of every job that does not say otherwise
    priority = "low"

    [jobs.build]
    command = ["make", "-j4"]   # a list is an argv, a text a shell line
    after = ["fetch", 12]       # names in this file; numbers are jobs that exist
    array = "1-10"              # once for each index; who waits for it waits for all of them

Pure: text goes in, nodes come out, parents before those that wait for them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from jobctl.parsing.param_types import parse_ids
from jobctl.parsing.texts import as_bytes
from jobctl.submission import manifest_lines, manifest_values
from jobctl.submission.environment import of_every_process
from jobd.contract import text_file
from jobd.contract.errors import BadRequest
from jobd.contract.models import MAX_NAME, MAX_NODES, Node, Options
from jobd.contract.wording import closest

_TOP: Final = ("jobs", "defaults")
_NEVER_DEFAULT: Final = frozenset({"command", "name", "key", "after", "after-any", "array"})
_KEYS: Final = ["command", "after", "after-any", "array", "cwd", "env", *manifest_values.OPTIONS]
_MAX_LINKS: Final = 1_000_000
"""Dependencies within one manifest: each job of an array waits for each of another one."""
_DEFAULTS: Final = [key for key in _KEYS if key not in _NEVER_DEFAULT]
_NUMBERS: Final = re.compile(r"[\d,\s-]+")

Table = Mapping[str, Any]


def may_be_default(option: str) -> bool:
    return option in _DEFAULTS


def may_be_said(option: str) -> bool:
    """Of one job."""
    return option in _KEYS


class Manifest(Struct, frozen=True):
    """`names[n]` is what the file calls `nodes[n]`."""

    names: list[str]
    nodes: list[Node]
    source: Source

    def error(self, place: int, what: str) -> BadRequest:
        """What the daemon says of a node, said of the job in the file."""
        return self.source.error(("jobs", self.names[place]), what)


class Source(Struct, frozen=True):
    """The text, and how to say where in it something is wrong."""

    name: str
    text: str

    @property
    def is_json(self) -> bool:
        return self.name.endswith(".json") or self.text.lstrip()[:1] == "{"

    def error(self, path: Sequence[str], what: str, *, last: bool = False) -> BadRequest:
        """`FILE, line 7: job build: priority: …`."""
        find = manifest_lines.json_line if self.is_json else manifest_lines.toml_line
        line = find(self.text, path, last=last)
        where = f"{self.name}, line {line}" if line else self.name
        kind = f"job {path[1]}: " if path[:1] == ("jobs",) and path[1:] else ""
        keys = path[2:] if kind else path
        return BadRequest(f"{where}: {kind}{''.join(f'{key}: ' for key in keys)}{what}")

    def load(self) -> Table:
        try:
            return self._load_json() if self.is_json else text_file.toml(self.text, self.name)
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            raise BadRequest(f"{self.name}: no JSON: {error.msg} (at {at})") from None
        except _TwiceError:
            path = manifest_lines.json_twice(self.text)
            raise self.error(path, "it comes twice", last=True) from None
        except RecursionError:
            raise BadRequest(f"{self.name}: nested too deeply") from None
        except ValueError:
            line = text_file.line_of_number(self.text)
            raise BadRequest(f"{self.name}{line}: a number is too long") from None

    def _load_json(self) -> Table:
        """JSON takes the last of two equal keys in silence."""
        found: Table = json.loads(self.text, object_pairs_hook=_unless_twice)
        return found


class _TwiceError(Exception):
    pass


def _unless_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


class _Draft(Struct, frozen=True):
    """A job, or an array of them, before its parents have places."""

    node: Node
    indexes: list[int | None]
    """One a job; None: it is no array."""
    after: list[str]
    after_any: list[str]


def parse(raw: bytes, source: str, directory: bytes) -> Manifest:
    """`directory`: where jobs run, and what a relative `cwd` counts from.

    Raises: BadRequest (says file, line, job and key).
    """
    text = Source(source, text_file.text(raw, source))
    reader = _Reader(text, directory)
    drafts = reader.read()
    return _ordered(text, drafts)


class _Reader:
    def __init__(self, source: Source, directory: bytes) -> None:
        self._source = source
        self._directory = directory
        self._jobs: Table = {}

    def read(self) -> dict[str, _Draft]:
        document = self._table((), self._source.load(), None)
        for key in document:
            if key not in _TOP:
                meant = closest(key, _TOP)
                hint = f"did you mean: {meant}" if meant else f"jobs are [jobs.{key}]"
                raise self._source.error((key,), f"there is no such table; {hint}")
        defaults = self._table(("defaults",), document.get("defaults", {}), _DEFAULTS)
        self._jobs = self._table(("jobs",), document.get("jobs", {}), None)
        if not 1 <= len(self._jobs) <= MAX_NODES:
            raise BadRequest(f"{self._source.name}: from 1 to {MAX_NODES:,} jobs, [jobs.NAME]")
        # Wrong defaults are told of where they stand, even if no job takes them.
        self._fields(("defaults",), defaults)
        drafts = {name: self._draft(name, job, defaults) for name, job in self._jobs.items()}
        self._check_keys(drafts)
        return drafts

    def _table(self, path: tuple[str, ...], found: object, known: list[str] | None) -> Table:
        """Its keys by their long names (`known` None: they are names of jobs)."""
        if not isinstance(found, dict):
            raise self._source.error(path, "a table is needed")
        if known is None:
            return found
        table: dict[str, Any] = {}
        for key, value in found.items():
            name = manifest_values.long_name(key)
            if name not in known:
                raise self._source.error((*path, key), manifest_values.unknown(key, known))
            if name in table:
                raise self._source.error((*path, key), "it comes twice")
            table[name] = value
        return table

    def _draft(self, name: str, found: object, defaults: Table) -> _Draft:
        path = ("jobs", name)
        self._check_name(name)
        given = self._table(path, found, _KEYS)
        if "command" not in given:
            raise self._source.error(path, "command: it is missing")
        table = _over(defaults, given)
        after, ids = self._parents(path, "after", table)
        after_any, ids_any = self._parents(path, "after-any", table)
        cwd, variables, options = self._fields(path, table)
        parents = {"after": ids, "after_any": ids_any}
        node = Node(
            command=self._convert(path, table, "command", manifest_values.command),
            options=Options(**{"name": name, **options, **parents, "env": list(variables)}),
            cwd=cwd,
            variables=variables,
        )
        return _Draft(node, self._indexes(path, table), after, after_any)

    def _indexes(self, path: tuple[str, ...], table: Table) -> list[int | None]:
        if "array" not in table:
            return [None]
        if "key" in table:
            raise self._source.error((*path, "key"), "it names one job; it does not go with array")
        indexes: list[int | None] = self._convert(path, table, "array", manifest_values.array)
        return indexes

    def _check_name(self, name: str) -> None:
        wrong = ""
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            wrong = f"a name has 1 to {MAX_NAME} characters that can be shown"
        elif _NUMBERS.fullmatch(name):
            wrong = "a number cannot be a name: numbers are jobs that exist"
        if wrong:
            raise self._source.error(("jobs", name), wrong)

    def _check_keys(self, drafts: Mapping[str, _Draft]) -> None:
        """Two jobs cannot be one."""
        taken: dict[str, str] = {}
        for name, draft in drafts.items():
            key = draft.node.options.key
            if key is not None and (other := taken.setdefault(key, name)) != name:
                raise self._source.error(("jobs", name, "key"), f"{key!r} is that of {other}, too")

    def _fields(
        self, path: tuple[str, ...], table: Table
    ) -> tuple[bytes, dict[bytes, bytes], dict[str, Any]]:
        """Directory, variables, and the fields of `Options`."""
        convert = partial(self._convert, path, table)
        return (
            convert("cwd", self._cwd) if "cwd" in table else self._directory,
            convert("env", manifest_values.variables) if "env" in table else {},
            {
                field: convert(key, read)
                for key, (field, read) in manifest_values.OPTIONS.items()
                if key in table
            },
        )

    def _convert(
        self, path: tuple[str, ...], table: Table, key: str, read: manifest_values.Value
    ) -> Any:  # noqa: ANN401 # whatever the key is
        try:
            return read(table[key])
        except ValueError as error:
            raise self._source.error((*path, key), str(error)) from None

    def _cwd(self, value: object) -> bytes:
        if not isinstance(value, str) or not value:
            raise ValueError(f"a directory is needed, not {manifest_values.shown(value)}")
        path = os.path.normpath(os.path.join(self._directory, as_bytes(value)))
        return of_every_process(path)

    def _parents(
        self, path: tuple[str, ...], key: str, table: Table
    ) -> tuple[list[str], list[tuple[int, int]]]:
        """Names in this file, and ids."""
        names: dict[str, None] = {}
        ids: list[tuple[int, int]] = []
        for item in manifest_values.listed(table.get(key, [])):
            try:
                if isinstance(item, str) and item in self._jobs:
                    names[item] = None
                else:
                    ids += self._ids(item)
            except ValueError as error:
                raise self._source.error((*path, key), str(error)) from None
        return list(names), ids

    def _ids(self, item: object) -> list[tuple[int, int]]:
        if isinstance(item, bool) or not isinstance(item, int | str):
            raise ValueError(f"names and ids of jobs are needed, not {manifest_values.shown(item)}")  # noqa: TRY004 # told to the user
        if isinstance(item, int) or _NUMBERS.fullmatch(item):
            return parse_ids([str(item)])
        meant = closest(item, self._jobs)
        hint = f"did you mean: {meant}" if meant else "a job that exists is named by its id"
        raise ValueError(f"there is no job {manifest_values.shown(item)} in this file; {hint}")


def _over(defaults: Table, given: Table) -> Table:
    """What the job says itself counts; variables add up."""
    table = {**defaults, **given}
    if isinstance(defaults.get("env"), dict) and isinstance(given.get("env"), dict):
        table["env"] = {**defaults["env"], **given["env"]}
    return table


# --- order --------------------------------------------------------------------------------


def _ordered(source: Source, drafts: Mapping[str, _Draft]) -> Manifest:
    """Parents first, apart from that as in the file."""
    names: list[str] = []
    nodes: list[Node] = []
    places_of: dict[str, range] = {}
    links = 0
    for name in _sorted(source, drafts):
        draft = drafts[name]
        places_of[name] = range(len(nodes), len(nodes) + len(draft.indexes))
        node = replace(
            draft.node,
            parents=[place for parent in draft.after for place in places_of[parent]],
            parents_any=[place for parent in draft.after_any for place in places_of[parent]],
        )
        links += len(draft.indexes) * (len(node.parents) + len(node.parents_any))
        if len(nodes) + len(draft.indexes) > MAX_NODES:
            raise source.error(("jobs", name), f"with this one they are more than {MAX_NODES:,}")
        if links > _MAX_LINKS:
            raise source.error(
                ("jobs", name, "after"),
                f"more than {_MAX_LINKS:,} dependencies; let a job between them wait for all",
            )
        nodes += [replace(node, array_index=index) for index in draft.indexes]
        names += [name] * len(draft.indexes)
    return Manifest(names, nodes, source)


def _sorted(source: Source, drafts: Mapping[str, _Draft]) -> Iterator[str]:
    standing = {name: number for number, name in enumerate(drafts)}
    sorter = TopologicalSorter(
        {name: [*draft.after, *draft.after_any] for name, draft in drafts.items()}
    )
    try:
        sorter.prepare()
    except CycleError as error:
        raise _circle(source, error.args[1], standing) from None
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (standing[name], name))
        _, name = heappop(ready)
        sorter.done(name)
        yield name


def _circle(source: Source, way: Sequence[str], standing: Mapping[str, int]) -> BadRequest:
    """From the one that comes first in the file; `way` goes from parents to those that wait."""
    ring = list(reversed(way[1:]))
    at = min(range(len(ring)), key=lambda place: standing[ring[place]])
    round_about = [*ring[at:], *ring[:at], ring[at]]
    said = f"they wait for each other: {' → '.join(round_about)}"
    return source.error(("jobs", ring[at]), said)
