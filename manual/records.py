"""What is said of the fields of a record, taken from the text below each of them in the source."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from enum import Enum
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import NODEFAULT, Struct

from jobd.contract import config, durations, sizes
from jobd.contract.config import Duration, Size

_TYPES: Final = {
    msgspec.inspect.StrType: "text",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.DateTimeType: "time",
    msgspec.inspect.DictType: "object",
    msgspec.inspect.NoneType: "null",
}
_TABLES: Final = {"groups[...]": "[groups.NAME]", "notify[...]": "[[notify]]"}
_STATES: Final = ("retention.failed", "retention.stopped")
"""Tables that are as `[retention.completed]`."""


class Field(NamedTuple):
    """A key of a JSON object or of a table, what it is, and what is said of it."""

    name: str
    kind: str
    text: str


def fields(record: type[Struct]) -> list[Field]:
    """Keys of its JSON, with their types. Raises: KeyError (of one of them nothing is said)."""
    known = said(record)
    return [
        Field(
            one.encode_name,
            _kind(msgspec.inspect.type_info(one.type)),
            re.sub(r"\bNone\b", "null", known[one.name]),
        )
        for one in msgspec.structs.fields(record)
    ]


def words(kind: type[Enum]) -> list[Field]:
    """Values of an enumeration. Raises: KeyError."""
    known = said(kind)
    return [Field(str(member.value), "", known[member.name]) for member in kind]


def tables() -> dict[str, list[Field]]:
    """What `config.toml` may hold: each table, and its keys with their defaults.

    Raises: KeyError (of a key nothing is said).
    """
    found: dict[str, list[Field]] = {}
    for table, record in config.TABLES.items():
        if table and table not in _STATES:
            title = _TABLES.get(table) or f"[{table.replace('.completed', '.STATE')}]"
            known = said(record)
            found[title] = [
                Field(one.name, _default(one), known[one.name])
                for one in msgspec.structs.fields(record)
                if f"{table}.{one.name}" not in config.TABLES
            ]
    return found


@cache
def said(kind: type[Any]) -> dict[str, str]:
    """The text below each field of a class, also of those that it has from others."""
    known = dict(said(kind.__base__)) if kind.__base__ not in {object, Struct} else {}
    if not _is_ours(kind):
        return known
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    for field, text in zip(body.body, body.body[1:], strict=False):
        name = _name(field)
        if name and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            known[name] = inspect.cleandoc(str(text.value.value)).replace("\n", " ")
    return known


def _is_ours(kind: type[Any]) -> bool:
    return getattr(sys.modules[kind.__module__], "__package__", "").startswith("jobd")


def _name(node: ast.stmt) -> str | None:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def _kind(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return _kind(inner)
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_kind(one) for one in types)
        case msgspec.inspect.ListType(item_type=item):
            return f"list of {_kind(item)}"
        case msgspec.inspect.EnumType(cls=enum):
            return ", ".join(str(member.value) for member in enum)
        case msgspec.inspect.StructType(fields=keys):
            return f"{{{', '.join(key.encode_name for key in keys)}}}"
    return _TYPES[type(kind)]


def _default(field: msgspec.structs.FieldInfo) -> str:
    """As it would stand in the file; empty: nothing there is the default."""
    value = field.default
    if field.default_factory is not NODEFAULT:
        value = field.default_factory()
    return "" if value in (None, NODEFAULT, "") else _toml(value)


def _toml(value: Any) -> str:  # noqa: ANN401 # whatever stands in a configuration
    match value:
        case Duration():
            return _quoted(durations.text(value)) if value else "0"
        case Size():
            return _quoted(sizes.text(value).replace(" ", "")) if value else "0"
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def _quoted(text: str) -> str:
    return f'"{text}"'
