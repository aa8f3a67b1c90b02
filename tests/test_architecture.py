"""Who may import whom, who may print, what a module may be called: the house rules, held.

`contract ← core ← {store, engines} ← manager ← {scheduler, service} ← daemon ← cli`,
and `jobctl → jobd.contract` alone.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

LEAVES = {"clock", "crash", "handover", "hub", "kernel", "logfile", "sparing", "timer"}
"""Small tools on the standard library alone; all that does something may use them."""
ROOMS: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "crash": {"kernel"},
    "handover": {"kernel"},
    "contract": set(),
    "supervisor": LEAVES,
    "core": {"contract"},
    "store": {"contract", "core"} | LEAVES,
    "engines": {"contract", "core"} | LEAVES,
    "cuts": {"contract"} | LEAVES,
    "outputs": {"contract", "core", "cuts"},
    "selection": {"contract", "core", "store"},
    "courier": {"engines"} | LEAVES,
    "brake": LEAVES,
    "runs": {"contract", "core", "courier", "store", "engines"} | LEAVES,
    "orders": {"contract", "core", "store"},
    "agenda": {"contract", "core", "store"} | LEAVES,
    "waiting": {"core", "store", "agenda"},
    "dependants": {"contract", "core", "store", "waiting"} | LEAVES,
    "books": {"core", "store", "waiting", "dependants"},
    "repeats": {"contract", "store"} | LEAVES,
    "slices": {"contract", "store", "selection", "repeats"},
    "newcomers": {"contract", "core", "store", "orders", "books"} | LEAVES,
    "intake": {"contract", "store", "orders", "books", "repeats", "newcomers"} | LEAVES,
    "graphs": {"contract", "store", "orders", "books", "repeats", "newcomers"} | LEAVES,
    "editing": {"contract", "core", "store", "orders", "books", "repeats"} | LEAVES,
    "shares": {"contract", "core", "books", "repeats"} | LEAVES,
    "halting": {"contract", "store", "books", "repeats", "runs", "shares", "slices"} | LEAVES,
    "observer": {"contract", "core", "cuts", "outputs", "runs"} | LEAVES,
    "views": {"contract", "core", "store", "orders"},
    "redaction": {"contract", "core", "store", "views"},
    "manager": {"contract", "core", "store", "engines", "runs", "books", "repeats"}
    | {"cuts", "slices"}
    | LEAVES,
    "why": {"contract", "core"},
    "inquiry": {"contract", "core", "store", "why"},
    "place": {"contract", "store"},
    "queries": {"contract", "core", "store", "outputs", "place", "selection", "views", "inquiry"}
    | LEAVES,
    "checking": {"contract", "store", "engines"},
    "retention": {"contract", "core", "store", "books", "manager"} | LEAVES,
    "scheduler": {"contract", "core", "store", "engines", "observer", "runs", "agenda"}
    | {"books", "brake", "dependants"}
    | LEAVES,
    "recovery": {"contract", "core", "store", "engines", "runs", "scheduler", "books", "dependants"}
    | LEAVES,
    "access": {"contract"} | LEAVES,
    "quota": {"contract", "access"},
    "footing": LEAVES,
    "door": {"contract"} | LEAVES,
    "hosts": {"contract"},
    "listener": {"contract"},
    "logformat": {"contract"},
    "service": {"contract", "manager", "queries", "access", "listener", "quota", "views"}
    | {"redaction"}
    | LEAVES,
}
"""Each room of jobd, and the rooms that it may import beside itself."""
ROOMS["daemon"] = set(ROOMS)
ROOMS["holders"] = {"contract"} | LEAVES
ROOMS["lifecycle"] = {"contract", "supervisor", "holders"} | LEAVES
ROOMS["cli"] = set(ROOMS)
ROOMS["__main__"] = {"cli"}

CLIENT = "jobctl.client"
"""The one thing of jobctl that jobd uses: `jobd stop` talks to the daemon like any client."""
STANDARD_LIBRARY_ONLY = LEAVES | {"supervisor"}
RPYC = {"jobd.service", "jobctl.client"}
PRINTERS = {"jobd.cli", "jobctl.render.streams"}
"""Here what is printed is made fit for a terminal; whoever prints past them prints what is not."""
PRINTING = {"print", "click.echo", "click.secho"} | {
    f"sys.{stream}.{way}"
    for stream in ("stdout", "stderr")
    for way in ("write", "writelines", "buffer.write")
}


class Module(NamedTuple):
    """A module as text: its dotted name and its source."""

    name: str
    source: str

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        """`store` for jobd.store.writer; empty for the package itself."""
        return [*self.name.split("."), ""][1]


def modules_of(root: Path) -> list[Module]:
    """Every module of both packages."""
    files = [file for top in ("jobd", "jobctl") for file in sorted((root / top).rglob("*.py"))]
    return [Module(_name(file.relative_to(root)), file.read_text("utf-8")) for file in files]


def _name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: Module) -> Iterator[str]:
    """Dotted names that the module imports, wherever in it, also for types only.

    `from jobd import crash` gives both `jobd` and `jobd.crash`: which of them is a module only
    the file system knows, and a rule that holds for both need not.
    """
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - node.level], *filter(None, [node.module])])


def violations(modules: list[Module]) -> list[str]:
    rules = (_direction, _libraries, _supervisor, _printing, _naming)
    return sorted({wrong for module in modules for rule in rules for wrong in rule(module)})


def _direction(module: Module) -> Iterator[str]:
    for name in imports(module):
        package, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if module.package == "jobctl":
            wrong = package == "jobd" and room not in {"", "contract"}
        elif package == "jobctl":
            wrong = not (module.room == "lifecycle" and f"{name}.".startswith(f"{CLIENT}."))
        elif module.room and module.room not in ROOMS:
            yield f"{module.name}: no rule says whom it may import; add it to ROOMS"
            return
        else:
            allowed = ROOMS.get(module.room, set()) | {module.room}
            wrong = package == "jobd" and room in ROOMS and room not in allowed
        if wrong:
            yield f"{module.name} must not import {package}.{room}".rstrip(".")


def _libraries(module: Module) -> Iterator[str]:
    tops = {name.partition(".")[0] for name in imports(module)}
    if "sqlite3" in tops and not (module.package == "jobd" and module.room == "store"):
        yield f"{module.name} must not import sqlite3: SQL lives in jobd.store"
    if "rpyc" in tops and module.name not in RPYC:
        yield f"{module.name} must not import rpyc: only {' and '.join(sorted(RPYC))} may"


def _supervisor(module: Module) -> Iterator[str]:
    """The supervisor, and all of ours that it may import, can fail in as few ways as possible."""
    if module.package != "jobd" or module.room not in {"", *STANDARD_LIBRARY_ONLY}:
        return
    for name in imports(module):
        top = name.partition(".")[0]
        if top != "jobd" and top not in sys.stdlib_module_names:
            yield f"{module.name} must not import {top}: standard library only"


def _printing(module: Module) -> Iterator[str]:
    if module.name in PRINTERS:
        return
    calls = (node.func for node in ast.walk(ast.parse(module.source)) if isinstance(node, ast.Call))
    for call in calls:
        called = ast.unparse(call)
        if called in PRINTING:
            yield f"{module.name} must not call {called}: only {' and '.join(sorted(PRINTERS))} may"


def _naming(module: Module) -> Iterator[str]:
    name = module.name.rpartition(".")[2]
    if name in sys.stdlib_module_names and not name.startswith("__"):
        yield f"{module.name} is named after a module of the standard library"


def test_the_house_rules_hold() -> None:
    assert violations(modules_of(ROOT)) == []


def test_every_module_is_seen() -> None:
    names = {module.name for module in modules_of(ROOT)}
    assert {"jobd", "jobctl", "jobd.contract.models", "jobd.contract"} <= names


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jobd.contract.models", "import jobd.core.states"),
        ("jobd.contract.models", "from jobd.core import states"),
        ("jobd.contract.models", "from ..core import states"),
        ("jobd.core.states", "from jobd.store.store import Store"),
        ("jobd.core.states", "def f():\n    import jobd.manager"),
        ("jobd.store.store", "from jobd.engines.local import LocalEngine"),
        ("jobd.engines.local", "from jobd.store import store"),
        ("jobd.manager", "from jobd import scheduler"),
        ("jobd.manager", "if TYPE_CHECKING:\n    from jobd.service import Service"),
        ("jobd.scheduler", "import jobd.service"),
        ("jobd.service", "import jobd.scheduler"),
        ("jobd.daemon", "from jobd.cli import main"),
        ("jobd.cli", "import jobctl"),
        ("jobd.cli", "from jobctl.client import Client"),
        ("jobd.lifecycle", "from jobctl.options import SELECTOR"),
        ("jobd.supervisor", "import msgspec"),
        ("jobd.supervisor", "from jobd.contract.paths import locate"),
        ("jobd.kernel", "import psutil"),
        ("jobd", "import click"),
        ("jobd.attic", "import os"),
        ("jobd.manager", "import sqlite3"),
        ("jobctl.client", "import sqlite3"),
        ("jobctl.store.x", "import sqlite3"),
        ("jobd.daemon", "from rpyc.core import stream"),
        ("jobctl.commands.ls", "import rpyc"),
        ("jobctl.client", "from jobd import crash"),
        ("jobctl.commands.ls", "from jobd.core.states import table"),
        ("jobctl.commands.ls", "print('x')"),
        ("jobctl.client", "click.echo('x')"),
        ("jobd.manager", "def f():\n    sys.stdout.write('x')"),
        ("jobctl.render.table", "print('x')"),
        ("jobctl.render.data", "sys.stdout.buffer.write(b'x')"),
        ("jobd.core.queue", ""),
        ("jobctl.render.json", ""),
    ],
)
def test_a_violation_is_found(name: str, source: str) -> None:
    assert len(violations([Module(name, source)])) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jobd.store.writer", "import sqlite3\nfrom jobd.core.states import table"),
        ("jobd.service", "import rpyc\nfrom jobd import access, manager, crash"),
        ("jobd.manager", "from jobd.store.store import Store\nfrom jobd.contract import models"),
        ("jobd.daemon", "from jobd import service, scheduler, manager"),
        ("jobd.supervisor", "import os, signal\nfrom jobd import kernel"),
        ("jobd.lifecycle", "from jobctl.client import Client"),
        ("jobd.cli", "import click\nclick.echo('x')\nprint('y')"),
        ("jobctl.client", "import rpyc\nfrom jobd.contract.wire import encode"),
        ("jobctl.render.streams", "sys.stderr.write('x')"),
        ("jobctl.commands.ls", "from jobctl.render import table"),
    ],
)
def test_what_is_allowed_is_not_reported(name: str, source: str) -> None:
    assert violations([Module(name, source)]) == []
