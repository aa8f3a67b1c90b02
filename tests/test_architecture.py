"""Who may import whom, who may print, what a module may be called: the house rules, held.

A folder says the process that a module runs in and, inside the daemon, its thread and its station
on the way of the data. So the rules have a row a folder, and a new file needs none.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from jobd.contract.models import Request
from jobd.contract.states import (
    EventName,
    Reason,
    State,
    could_not_start,
    dependency_failed,
    exit_code_reason,
    signal_reason,
)

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
    "jobd.outputs": _BASE,
    "jobd.engines": _BASE | {"jobd.core", "jobd.outputs"},
    # The daemon: clients' threads, the writer's transaction, workers, and what asks of them.
    "jobd.daemon.rpc": _BASE,
    "jobd.daemon.jobs": _BASE | {"jobd.core", "jobd.store"},
    "jobd.daemon.execution": _DISK | {"jobd.engines", "jobd.daemon.jobs"},
    "jobd.daemon.commands": _DISK | {"jobd.daemon.jobs", "jobd.daemon.execution"},
    "jobd.daemon.queries": _DISK | {"jobd.daemon.jobs"},
    "jobd.daemon.metrics": _BASE
    | {"jobd.core", "jobd.store", "jobd.daemon.jobs", "jobd.daemon.rpc"},
    "jobd.daemon.notifications": _DISK | {"jobd.sender", "jobd.daemon.jobs", "jobd.daemon.queries"},
    "jobd.daemon": _DISK
    | {"jobd.engines", "jobd.supervisor"}
    | {
        f"jobd.daemon.{room}"
        for room in (
            "rpc",
            "jobs",
            "execution",
            "commands",
            "queries",
            "metrics",
            "notifications",
        )
    },
    # The other processes of jobd.
    "jobd.supervisor": {"jobd.system"},
    "jobd.sender": set(),
    "jobd.admin": _BASE
    | {f"jobd.{room}" for room in ("client", "store", "outputs", "engines", "supervisor")},
    # The command jobctl.
    "jobctl.parsing": {"jobd.contract"},
    "jobctl.actions": {"jobd.contract", "jobd.client"},
    "jobctl.submission": {"jobd.contract", "jobd.client", "jobctl.parsing"},
    "jobctl.render": {"jobd.contract"},
    "jobctl": {"jobd.contract", "jobd.client", "jobctl.render", "jobctl.parsing"},
    "jobctl.tui": {"jobd.contract", "jobd.client", "jobctl.actions", "jobctl.render"},
    "jobctl.commands": {"jobd.contract", "jobd.client", "jobctl"}
    | {f"jobctl.{room}" for room in ("parsing", "actions", "submission", "render", "tui")},
}
"""Each folder, and the folders that it may import beside itself."""

ENGINES = {f"jobd.engines.{one.parent.name}" for one in ROOT.glob("jobd/engines/*/__init__.py")}
STANDARD_LIBRARY_ONLY = ("jobd", "jobd.system", "jobd.supervisor")
RPYC = ("jobd.daemon.rpc", "jobd.client.connection")
SQL = ("jobd.store",)
WITHOUT_CLICK = {
    "jobd.client",
    "jobctl.actions",
    "jobctl.submission",
    "jobctl.render",
    "jobctl.tui",
}
"""Whoever has no command line (the Python API, a full-screen view) must not meet its errors."""
OPTIONS = "jobctl.submission.job_options"
"""The options of `submit`, which a command line and a script's head both are read with."""
PRINTERS = {"jobd.admin.streams", "jobctl.render.streams"}
"""Here what is printed is made fit for a terminal; whoever prints past them prints what is not."""
PRINTING = {"print", "click.echo", "click.secho"} | {
    f"sys.{stream}.{way}"
    for stream in ("stdout", "stderr")
    for way in ("write", "writelines", "buffer.write")
}
SPELLING = "jobd.contract.states"
"""Where the words of the contract stand; others take them from there."""

WORDS = frozenset(word.value for kind in (State, Reason, EventName) for word in kind)
BEGINNINGS = (could_not_start(""), dependency_failed(0)[:-1], exit_code_reason(0)[:-1])
BEGINNINGS += (signal_reason(""), could_not_start("").removesuffix(": "))
"""What reasons with a value begin with."""
MOVES = "jobd.daemon.jobs.moves"
"""The one module of the daemon that changes states and writes events of jobs."""
ADDITIONS = "jobd.daemon.jobs.additions"
"""The one that brings new jobs, and writes the events of their coming."""
WRITES = {
    "batches": {ADDITIONS: {"insert_jobs", "insert_elements"}},
    "event_log": {
        ADDITIONS: {"submitted", "submitted_as_one", "failed_at_once"},
        MOVES: {"add", "stopped"},
    },
    "jobs": {
        MOVES: {
            "started", "attempt_ended", "finished", "again", "requeued", "fails_for",
            "failed_pending", "never_started", "stopped_pending", "stopped_together", "removed",
            "edited", "set_paused", "progressed",
        },
    },
}  # fmt: skip
"""Modules of the store, and their methods that do so, each with the one module that calls it.

`event_log.add` is meant where the event is of a job.
"""

CODEC = "jobd.contract.wire"
"""Where types are made ready to be read, for all threads."""
READING = ("msgpack.decode", "msgpack.Decoder", "Decoder")

REQUESTS = frozenset(kind.wire_name() for kind in Request.__subclasses__())
CARRIERS = ("jobd.contract", "jobd.client", "jobd.daemon")
"""Through these a request goes; what they have to know of it, it says itself."""

NAMED = frozenset({"state", "reason", "event", "why"})
"""Names of variables, attributes, arguments and keys that hold such a word."""
IN_SQL = re.compile("'(" + "|".join(map(re.escape, sorted(WORDS))) + ")'")


@cache
def _parsed(source: str) -> ast.Module:
    """Each rule looks at all modules."""
    return ast.parse(source)


class Module(NamedTuple):
    """A module as text: its dotted name and its source."""

    name: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.source)

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
    for node in ast.walk(module.tree):
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
    rules = (
        _direction,
        _boundary,
        _libraries,
        _standard_library,
        _printing,
        _naming,
        _spelling,
        _moving,
        _asking,
        _reading,
        _holding,
    )
    return sorted({wrong for module in modules for rule in rules for wrong in rule(module)})


def _direction(module: Module) -> Iterator[str]:
    if module.room is not None and module.room not in ROOMS:
        yield f"{module.name}: lies loose; put it into a folder that says its process and thread"
        return
    for name in imports(module):
        room = room_of(name)
        if room not in {None, module.room, *ROOMS.get(module.room or "", set())}:
            yield f"{module.name} must not import {room}"


def _boundary(module: Module) -> Iterator[str]:
    """On this side of the boundary nobody knows what is behind it."""
    if "jobd.engines" not in {module.room, *ROOMS.get(module.room or "", set())}:
        return
    if _engine_of(module.name) in ENGINES:
        return
    for name in imports(module):
        engine = _engine_of(name)
        if engine in ENGINES:
            yield f"{module.name} must not import {engine}: what it needs, jobd.engines.base says"


def _engine_of(name: str) -> str:
    return ".".join(name.split(".")[:3])


def _libraries(module: Module) -> Iterator[str]:
    tops = {name.partition(".")[0] for name in imports(module)}
    if "sqlite3" in tops and module.room not in SQL:
        yield f"{module.name} must not import sqlite3: only {' and '.join(SQL)} may"
    if "click" in tops and module.room in WITHOUT_CLICK and module.name != OPTIONS:
        yield f"{module.name} must not import click: its errors are for a command line"
    if "rpyc" in tops and not {module.room, module.name} & set(RPYC):
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
    calls = (node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    for call in calls:
        called = ast.unparse(call)
        if called in PRINTING:
            yield f"{module.name} must not call {called}: only {' and '.join(sorted(PRINTERS))} may"


def _naming(module: Module) -> Iterator[str]:
    name = module.name.rpartition(".")[2]
    if name in sys.stdlib_module_names and not name.startswith("__"):
        yield f"{module.name} is named after a module of the standard library"


def _spelling(module: Module) -> Iterator[str]:
    """A state, a reason or the name of an event, written out a second time.

    Most of these words mean other things, too (`workers` is an option, `progress` a command): one
    is wrong only where its neighbours say that it is meant so.
    """
    if module.name == SPELLING:
        return
    for node in ast.walk(module.tree):
        for word in _spelled(node, sql=module.room in SQL):
            yield f"{module.name}: {word!r} is spelled in {SPELLING} alone"


def _spelled(node: ast.AST, *, sql: bool) -> Iterator[str]:
    yield from _words_in(*_meant(node))
    match node:
        case ast.Call(func=ast.Attribute(attr="startswith", value=called)) if _names_one(called):
            yield from (text for text in _texts(*node.args) if text in BEGINNINGS)
        case ast.Set() | ast.Dict():
            yield from _all_words(node)
        case ast.JoinedStr(values=[ast.Constant(value=str(begin)), _, *_]) if begin in BEGINNINGS:
            yield begin
        case ast.Constant(value=str(text)) if sql:
            yield from IN_SQL.findall(text)


def _meant(node: ast.AST) -> list[ast.expr]:
    """What stands there for a state, a reason or an event, as its neighbours say."""
    match node:
        case ast.Compare() if any(map(_names_one, [node.left, *node.comparators])):
            return [node.left, *node.comparators]
        case ast.Call(func=ast.Attribute(attr=name, value=held)) if name == "_event" or (
            name,
            _holds(held),
        ) == ("add", "event_log"):
            return node.args
        case ast.keyword(arg=name) if name in NAMED:
            return [node.value]
        case ast.Assign(targets=[target]) if _names_one(target):
            return [node.value]
        case ast.Dict() if NAMED.intersection(_texts(*filter(None, node.keys))):
            return node.values
    return []


def _names_one(node: ast.AST) -> bool:
    """Whether a state, a reason or an event stands in it."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.lstrip("_") in NAMED


def _texts(*nodes: ast.AST) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _words_in(*nodes: ast.AST) -> Iterator[str]:
    """Words among these, also in a choice or a collection."""
    for node in nodes:
        match node:
            case ast.IfExp():
                yield from _words_in(node.body, node.orelse)
            case ast.Set() | ast.List() | ast.Tuple():
                yield from _words_in(*node.elts)
            case _:
                yield from (text for text in _texts(node) if text in WORDS)


def _all_words(node: ast.Set | ast.Dict) -> Iterator[str]:
    """A collection of several that holds nothing else."""
    members = node.keys if isinstance(node, ast.Dict) else node.elts
    texts = list(_texts(*filter(None, members)))
    if len(texts) == len(members) > 1 and WORDS.issuperset(texts):
        yield texts[0]


def _moving(module: Module) -> Iterator[str]:
    """A job is moved, or an event of it written, past `Moves` and what follows from a move."""
    if not module.name.startswith("jobd.daemon."):
        return
    if module.name != MOVES and "jobd.core.transitions.after" in imports(module):
        yield f"{module.name} must not ask the state table: {MOVES} does"
    for table, name in _writes(module):
        for owner, names in WRITES[table].items():
            if name in names and module.name != owner:
                yield f"{module.name} must not call {table}.{name}: {owner} does"


def _writes(module: Module) -> Iterator[tuple[str, str]]:
    """Each call of a method of `WRITES`, and of `event_log.add` where its event is of a job."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            table, name = _holds(node.func.value), node.func.attr
            of_all = (table, name) == ("event_log", "add") and ast.unparse(node.args[0]) == "None"
            if not of_all and any(name in names for names in WRITES.get(table, {}).values()):
                yield table, name


def _asking(module: Module) -> Iterator[str]:
    """A collection of requests by name: whoever adds a request would not know of it."""
    if not module.name.startswith(CARRIERS):
        return
    for node in ast.walk(module.tree):
        match node:
            case ast.Set(elts=members) | ast.List(elts=members) | ast.Tuple(elts=members):
                texts = list(_texts(*members))
            case ast.Dict(keys=keys):
                members, texts = keys, list(_texts(*filter(None, keys)))
            case _:
                continue
        if len(texts) == len(members) > 1 and REQUESTS.issuperset(texts):
            yield f"{module.name}: {', '.join(texts)}: the request says it of itself, by `about`"


def _reading(module: Module) -> Iterator[str]:
    """msgspec learns what a type is made of when that is read first, which two threads must not
    do at the same time. While a module is imported there is one.
    """
    if module.name == CODEC:
        return
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = (
        node
        for function in ast.walk(module.tree)
        if isinstance(function, functions)
        for node in ast.walk(function)
    )
    for node in inside:
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called.removeprefix("msgspec.") in READING:
            yield f"{module.name} must not call {called} in a function: {CODEC} does"


def _holding(module: Module) -> Iterator[str]:
    """A directory is open for as long as somebody has it: another thread may release it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "descriptor":
            got = node.value
            if isinstance(got, ast.Call) and ast.unparse(got.func).endswith((".now", ".last")):
                yield f"{module.name} must keep what {ast.unparse(got)} gives while it uses it"


def _holds(receiver: ast.expr) -> str:
    """What an object is by its name: parts of the store are called like their modules."""
    return ast.unparse(receiver).rpartition(".")[2].lstrip("_")


@pytest.mark.parametrize("table", WRITES)
def test_every_write_of_a_job_is_known(table: str) -> None:
    """A method that is renamed or gone would let its successor through unseen."""
    (found,) = (module for module in modules_of(ROOT) if module.name == f"jobd.store.{table}")
    methods = {n.name for n in ast.walk(found.tree) if isinstance(n, ast.FunctionDef)}
    assert methods >= set().union(*WRITES[table].values())


@pytest.mark.parametrize("owner", [MOVES, ADDITIONS])
def test_every_write_of_a_job_has_one_module_that_does_it(owner: str) -> None:
    (found,) = (module for module in modules_of(ROOT) if module.name == owner)
    allowed = {(table, name) for table, owners in WRITES.items() for name in owners.get(owner, ())}
    assert set(_writes(found)) == allowed
    owned = [name for owners in WRITES.values() for names in owners.values() for name in names]
    assert len(owned) == len(set(owned))


def test_parts_of_the_store_are_held_by_their_names() -> None:
    """By another name, what is done to them would not be seen."""
    classes = {"Batches": "batches", "EventLog": "event_log", "Jobs": "jobs"}
    found = [
        f"{module.name}: {argument.arg}"
        for module in modules_of(ROOT)
        if module.name.startswith("jobd.daemon.")
        for argument in ast.walk(module.tree)
        if isinstance(argument, ast.arg) and argument.annotation is not None
        if argument.arg != classes.get(ast.unparse(argument.annotation), argument.arg)
    ]
    assert found == []


def test_the_house_rules_hold() -> None:
    assert violations(modules_of(ROOT)) == []


def test_every_public_class_says_what_it_is() -> None:
    """What it promises, and which thread calls it, stands where it is looked up first."""
    silent = [
        f"{module.name}.{node.name}"
        for module in modules_of(ROOT)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


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
        ("jobd.core.transitions", "from jobd.store.jobs import Jobs"),
        ("jobd.core.transitions", "def f():\n    import jobd.daemon.commands.stop"),
        ("jobd.store.jobs", "from jobd.engines.local.engine import LocalEngine"),
        ("jobd.engines.local.engine", "from jobd.store import jobs"),
        ("jobd.engines.base", "from jobd.engines.local import run_table"),
        ("jobd.engines.base", "if TYPE_CHECKING:\n    from jobd.engines.local.engine import x"),
        ("jobd.engines.fake", "import jobd.engines.local"),
        ("jobd.daemon.wiring", "from jobd.engines.local.engine import LocalEngine"),
        ("jobd.admin.cli", "from jobd.engines.local import LocalEngine"),
        ("jobd.admin.check", "from jobd.engines.local.run_table import is_of_this_boot"),
        ("jobd.daemon.jobs.moves", "from jobd.daemon.execution import runs"),
        ("jobd.daemon.jobs.moves", "from jobd.daemon import execution"),
        ("jobd.daemon.commands.stop", "if TYPE_CHECKING:\n    from jobd.daemon.rpc import server"),
        ("jobd.daemon.execution.runs", "import jobd.daemon.commands.stop"),
        ("jobd.daemon.queries.show", "from jobd.daemon.execution.runs import Runs"),
        ("jobd.daemon.queries.show", "from jobd.daemon.instance import Daemon"),
        ("jobd.daemon.rpc.server", "import jobd.daemon.commands.stop"),
        ("jobd.daemon.rpc.server", "from jobd.store.jobs import Jobs"),
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
        ("jobd.client.client", "import rpyc"),
        ("jobd.client.client", "from jobd.system import failpoints"),
        ("jobctl.commands.ls", "from jobd.core.transitions import verdict"),
        ("jobctl.commands.ls", "print('x')"),
        ("jobctl.actions.wait", "from jobctl.render import notices"),
        ("jobctl.submission.request", "from jobctl.render import notices"),
        ("jobctl.submission.request", "import click"),
        ("jobctl.actions.bulk", "from click import UsageError"),
        ("jobctl.parsing.times", "from jobctl.actions import exit_codes"),
        ("jobctl.render.rows", "if TYPE_CHECKING:\n    from jobctl.actions.watch import Watching"),
        ("jobd.client.client", "click.echo('x')"),
        ("jobd.admin.cli", "click.echo('x')"),
        ("jobd.daemon.commands.stop", "def f():\n    sys.stdout.write('x')"),
        ("jobctl.render.table", "print('x')"),
        ("jobctl.render.data", "sys.stdout.buffer.write(b'x')"),
        ("jobd.core.queue", ""),
        ("jobctl.render.json", ""),
        ("jobctl.signal", ""),
        ("jobctl.render.words", "if job.reason == 'dependency': pass"),
        ("jobctl.render.words", "if 'held' != job.reason: pass"),
        ("jobctl.render.live", "if value.event in ('started', last): pass"),
        ("jobctl.render.live", "COLOURS = {'completed': 'green', 'failed': 'red'}"),
        ("jobctl.actions.wait", "if reason.startswith('could not start'): pass"),
        ("jobctl.actions.diagnosis", "MOVES = frozenset({'queued', 'group full'})"),
        ("jobd.daemon.commands.pause", "event_log.add(None, 'paused' if paused else other, user)"),
        ("jobd.daemon.jobs.moves", "encode({'reason': 'retention'})"),
        ("jobd.daemon.jobs.moves", "fail(job, reason='lost')"),
        ("jobd.daemon.jobs.moves", "state = 'pending'"),
        ("jobd.core.transitions", "def f(code): return f'exit code {code}'"),
        ("jobd.store.jobs", "db.execute(\"UPDATE jobs SET state = 'running'\")"),
        ("jobd.store.jobs", "db.execute(f\"UPDATE {table} SET state = 'running'\")"),
        ("jobd.contract.wire", "CHANGING = {'submit', 'progress', 'workers'}"),
        ("jobd.client.connection", "WITHIN = {'submit': 300.0, 'status': 10.0}"),
        ("jobd.daemon.rpc.access", "SEEING = frozenset(['list', 'show'])"),
        ("jobd.daemon.commands.stop", "from jobd.core.transitions import Move, after"),
        ("jobd.daemon.commands.stop", "self._jobs.stopped_together(jobs, reason, now)"),
        ("jobd.daemon.execution.endings", "tables.jobs.again(job, reason, now, None, 0)"),
        ("jobd.daemon.execution.endings", "self._event_log.add(job, EventName.FAILED, '', now)"),
        ("jobd.daemon.commands.stop", "self._event_log.stopped(jobs, reason, user, now)"),
        ("jobd.daemon.commands.submit", "batches.insert_jobs(first, specs, terms, now)"),
        ("jobd.daemon.jobs.moves", "self._batches.insert_jobs(first, specs, terms, now)"),
        ("jobd.daemon.jobs.moves", "self._event_log.submitted(first, count, user, now)"),
        ("jobd.daemon.jobs.additions", "from jobd.core.transitions import Move, after"),
        ("jobd.daemon.jobs.additions", "self._jobs.failed_pending(job, reason, now)"),
        ("jobd.daemon.jobs.additions", "self._event_log.add(job, EventName.FAILED, '', now)"),
        ("jobd.daemon.jobs.batch", "self._event_log.submitted_as_one(first, user, now, said)"),
        ("jobd.store.jobs", "def f(raw):\n    return msgspec.msgpack.decode(raw, type=Spec)"),
        ("jobd.store.jobs", "def f():\n    return msgpack.Decoder(Spec)"),
        ("jobd.client.connection", "read = lambda raw, kind: Decoder(kind).decode(raw)"),
        ("jobd.outputs.on_disk", "os.rmdir(name, dir_fd=self.output.now(make=True).descriptor)"),
    ],
)
def test_a_violation_is_found(name: str, source: str) -> None:
    assert len(violations([Module(name, source)])) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jobd.store.writer", "import sqlite3\nfrom jobd.core.transitions import verdict"),
        ("jobd.daemon.rpc.server", "import rpyc\nfrom jobd.system import failpoints"),
        ("jobd.daemon.commands.stop", "from jobd.store.jobs import Jobs\nimport jobd"),
        ("jobd.daemon.wiring", "from jobd.daemon.rpc import server\nfrom jobd.daemon import jobs"),
        ("jobd.supervisor", "import os, signal\nfrom jobd.system import linux"),
        ("jobd.engines.local.engine", "from jobd.engines.local import spawn"),
        ("jobd.daemon.wiring", "from jobd.engines.base import Context"),
        ("jobd.admin.control", "from jobd.client.client import Client"),
        ("jobd.admin.streams", "import click\nclick.echo('x')\nprint('y')"),
        ("jobd.client.connection", "import rpyc\nfrom jobd.contract.wire import encode"),
        ("jobctl.render.streams", "sys.stderr.write('x')"),
        ("jobctl.commands.ls", "from jobctl.render import table\nfrom jobctl import context"),
        ("jobd.contract.states", "QUEUED, HELD = 'queued', 'held'"),
        ("jobd.admin.cli", "VERBS = {'start', 'stop', 'restart'}"),
        ("jobd.daemon.commands.edit", "FIELDS = ('name', 'progress')"),
        ("jobctl.commands.workers", "option('workers', help='How many.')"),
        ("jobctl.render.table", "FACTS = [('progress', percent), ('time limit', duration)]"),
        ("jobctl.render.rows", "def f(job): return 'paused' if job.paused else ''"),
        ("jobd.daemon.commands.groups", "settings.set('workers', '3')"),
        ("jobd.store.jobs", "db.execute(f\"SET state = '{State.RUNNING}'\")"),
        ("jobd.daemon.jobs.moves", "self._event_log.add(job, EventName.FAILED, '', now)"),
        ("jobd.daemon.commands.groups", "self._event_log.add(None, EventName.WORKERS, user, now)"),
        ("jobd.store.records", "spec_decoder = msgspec.msgpack.Decoder(Spec)"),
        ("jobd.daemon.jobs.additions", "self._event_log.submitted_as_one(first, user, now, {})"),
        ("jobd.daemon.execution.endings", "moves.again(run.started, None, outcome, what)"),
        ("jobd.outputs.on_disk", "held = output.last()\nos.rmdir(name, dir_fd=held.descriptor)"),
    ],
)
def test_what_is_allowed_is_not_reported(name: str, source: str) -> None:
    assert violations([Module(name, source)]) == []
