"""Who may import whom, who may print, what a module may be called: the house rules, held.

A folder says the process that a module runs in and, inside the daemon, its thread and its station
on the way of the data. So the rules have a row a folder, and a new file needs none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

_BASE = {"jobd.contract", "jobd.system"}
_DISK = _BASE | {"jobd.core", "jobd.store", "jobd.outputs"}
ROOMS: dict[str, set[str]] = {
    # What everything stands on.
    "jobd.contract": set(),
    "jobd.system": set(),
    # The parts of the daemon's process that know nothing of each other.
    "jobd.core": {"jobd.contract"},
    "jobd.client": {"jobd.contract"},
    "jobd.store": _BASE | {"jobd.core"},
    "jobd.engines": _BASE | {"jobd.core"},
    "jobd.outputs": _BASE | {"jobd.core"},
    # The daemon: clients' threads, the writer's transaction, workers, and what asks of them.
    "jobd.daemon.rpc": _BASE,
    "jobd.daemon.jobs": _BASE | {"jobd.core", "jobd.store"},
    "jobd.daemon.execution": _DISK | {"jobd.engines", "jobd.daemon.jobs"},
    "jobd.daemon.commands": _DISK | {"jobd.daemon.jobs", "jobd.daemon.execution"},
    "jobd.daemon.queries": _DISK | {"jobd.daemon.jobs"},
    "jobd.daemon": _DISK
    | {"jobd.engines", "jobd.supervisor"}
    | {f"jobd.daemon.{room}" for room in ("rpc", "jobs", "execution", "commands", "queries")},
    # The other two processes of jobd.
    "jobd.supervisor": {"jobd.system"},
    "jobd.admin": _BASE | {"jobd.client", "jobd.store", "jobd.engines", "jobd.supervisor"},
    # The command jobctl.
    "jobctl.parsing": {"jobd.contract", "jobctl.actions"},
    "jobctl.actions": {"jobd.contract", "jobd.client", "jobctl.parsing", "jobctl.render"},
    "jobctl.submission": {"jobd.contract", "jobd.client", "jobctl.parsing", "jobctl.render"}
    | {"jobctl"},
    "jobctl.render": {"jobd.contract", "jobctl.actions"},
    "jobctl": {"jobd.contract", "jobd.client", "jobctl.render"},
    "jobctl.commands": {"jobd.contract", "jobd.client", "jobctl"}
    | {f"jobctl.{room}" for room in ("parsing", "actions", "submission", "render")},
}
"""Each folder, and the folders that it may import beside itself."""

STANDARD_LIBRARY_ONLY = ("jobd", "jobd.system", "jobd.supervisor")
RPYC = ("jobd.daemon.rpc", "jobd.client")
SQL = ("jobd.store",)
PRINTERS = {"jobd.admin.cli", "jobctl.render.streams"}
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
    def room(self) -> str | None:
        return room_of(self.name)


def room_of(name: str) -> str | None:
    """The folder that a module, or a name in it, lies in; None where it is none of ours.

    `jobd` itself is no room: all may import it.
    """
    parts = name.split(".")
    if parts[0] not in {"jobd", "jobctl"} or name == "jobd":
        return None
    around = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((room for room in around if room in ROOMS), ".".join(parts[:2]))


def modules_of(root: Path) -> list[Module]:
    """Every module of both packages."""
    files = [file for top in ("jobd", "jobctl") for file in sorted((root / top).rglob("*.py"))]
    return [Module(_name(file.relative_to(root)), file.read_text("utf-8")) for file in files]


def _name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: Module) -> Iterator[str]:
    """Dotted names that the module imports, wherever in it, also for types only.

    `from jobd.system import linux` gives both `jobd.system` and `jobd.system.linux`: which of them
    is a module only the file system knows, and a rule that holds for both need not.
    """
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            # From the package itself come its rooms, as it were: `from jobd.daemon import rpc`.
            if base not in {"jobd", "jobd.daemon", "jobctl"}:
                yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - node.level], *filter(None, [node.module])])


def violations(modules: list[Module]) -> list[str]:
    rules = (_direction, _libraries, _standard_library, _printing, _naming)
    return sorted({wrong for module in modules for rule in rules for wrong in rule(module)})


def _direction(module: Module) -> Iterator[str]:
    if module.room is not None and module.room not in ROOMS:
        yield f"{module.name}: lies loose; put it into a folder that says its process and thread"
        return
    for name in imports(module):
        room = room_of(name)
        if room not in {None, module.room, *ROOMS.get(module.room or "", set())}:
            yield f"{module.name} must not import {room}"


def _libraries(module: Module) -> Iterator[str]:
    tops = {name.partition(".")[0] for name in imports(module)}
    if "sqlite3" in tops and module.room not in SQL:
        yield f"{module.name} must not import sqlite3: only {' and '.join(SQL)} may"
    if "rpyc" in tops and module.room not in RPYC:
        yield f"{module.name} must not import rpyc: only {' and '.join(RPYC)} may"


def _standard_library(module: Module) -> Iterator[str]:
    """The supervisor, and all of ours that it may import, can fail in as few ways as possible."""
    if module.name != "jobd" and module.room not in STANDARD_LIBRARY_ONLY:
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


def test_every_permission_is_used() -> None:
    """One that nobody needs any more would let a wrong arrow in unseen."""
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module in modules_of(ROOT):
        found = {room_of(name) for name in imports(module)}
        used.get(module.room or "", set()).update(room for room in found if room)
    unused = {room: allowed - used[room] for room, allowed in ROOMS.items()}
    assert {room: names for room, names in unused.items() if names} == {}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jobd.contract.models", "import jobd.core.transitions"),
        ("jobd.contract.models", "from jobd.core import transitions"),
        ("jobd.contract.models", "from ..core import transitions"),
        ("jobd.contract.models", "from jobd.system import linux"),
        ("jobd.core.transitions", "from jobd.store.store import Store"),
        ("jobd.core.transitions", "def f():\n    import jobd.daemon.commands.stop"),
        ("jobd.store.store", "from jobd.engines.local.engine import LocalEngine"),
        ("jobd.engines.local.engine", "from jobd.store import store"),
        ("jobd.daemon.jobs.moves", "from jobd.daemon.execution import runs"),
        ("jobd.daemon.jobs.moves", "from jobd.daemon import execution"),
        ("jobd.daemon.commands.stop", "if TYPE_CHECKING:\n    from jobd.daemon.rpc import server"),
        ("jobd.daemon.execution.runs", "import jobd.daemon.commands.stop"),
        ("jobd.daemon.queries.show", "from jobd.daemon.execution.runs import Runs"),
        ("jobd.daemon.queries.show", "from jobd.daemon.instance import Daemon"),
        ("jobd.daemon.rpc.server", "import jobd.daemon.commands.stop"),
        ("jobd.daemon.rpc.server", "from jobd.store.store import Store"),
        ("jobd.daemon.instance", "from jobd.admin.cli import main"),
        ("jobd.admin.cli", "import jobctl"),
        ("jobd.admin.cli", "from jobd.daemon.instance import Daemon"),
        ("jobd.client.client", "import jobctl.cli"),
        ("jobd.supervisor", "import msgspec"),
        ("jobd.supervisor", "from jobd.contract.paths import locate"),
        ("jobd.system.linux", "import psutil"),
        ("jobd", "import click"),
        ("jobd.attic", "import os"),
        ("jobd.attic.trunk", "import os"),
        ("jobd.daemon.commands.stop", "import sqlite3"),
        ("jobd.client.client", "import sqlite3"),
        ("jobctl.commands.ls", "import sqlite3"),
        ("jobd.daemon.instance", "from rpyc.core import stream"),
        ("jobctl.commands.ls", "import rpyc"),
        ("jobd.client.client", "from jobd.system import failpoints"),
        ("jobctl.commands.ls", "from jobd.core.transitions import verdict"),
        ("jobctl.commands.ls", "print('x')"),
        ("jobd.client.client", "click.echo('x')"),
        ("jobd.daemon.commands.stop", "def f():\n    sys.stdout.write('x')"),
        ("jobctl.render.table", "print('x')"),
        ("jobctl.render.data", "sys.stdout.buffer.write(b'x')"),
        ("jobd.core.queue", ""),
        ("jobctl.render.json", ""),
        ("jobctl.signal", ""),
    ],
)
def test_a_violation_is_found(name: str, source: str) -> None:
    assert len(violations([Module(name, source)])) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jobd.store.writer", "import sqlite3\nfrom jobd.core.transitions import verdict"),
        ("jobd.daemon.rpc.server", "import rpyc\nfrom jobd.system import failpoints"),
        ("jobd.daemon.commands.stop", "from jobd.store.store import Store\nimport jobd"),
        ("jobd.daemon.wiring", "from jobd.daemon.rpc import server\nfrom jobd.daemon import jobs"),
        ("jobd.supervisor", "import os, signal\nfrom jobd.system import linux"),
        ("jobd.admin.control", "from jobd.client.client import Client"),
        ("jobd.admin.cli", "import click\nclick.echo('x')\nprint('y')"),
        ("jobd.client.client", "import rpyc\nfrom jobd.contract.wire import encode"),
        ("jobctl.render.streams", "sys.stderr.write('x')"),
        ("jobctl.commands.ls", "from jobctl.render import table\nfrom jobctl import context"),
    ],
)
def test_what_is_allowed_is_not_reported(name: str, source: str) -> None:
    assert violations([Module(name, source)]) == []
