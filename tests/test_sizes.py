"""How large a file, a function and an object may grow, and how long a chain of folders may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_architecture import ROOMS, ROOT, Module, imports, modules_of, room_of

FILE_LINES = 360
FUNCTION_LINES = 50
"""All of them, from `def` on: arguments and docstring are read, too."""
ATTRIBUTES = 12
LARGE_FILES = {"jobd.contract.models", "jobd.supervisor"}
"""All records of the contract, and a process that is to be read in one piece."""
FLOORS = 4
"""Folders at the top of both packages that may stand on one another."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_large(modules: list[Module]) -> list[str]:
    """In words, whatever is over its limit."""
    return [fault for module in modules for fault in _faults(module)]


def _faults(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines > FILE_LINES and module.name not in LARGE_FILES:
        yield f"{module.name} has {lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, Function) and (length := _length(node)) > FUNCTION_LINES:
            yield f"{module.name}.{node.name} has {length} lines"
        if isinstance(node, ast.ClassDef) and len(found := attributes(node)) > ATTRIBUTES:
            yield f"{module.name}.{node.name} has {len(found)} attributes"


def _length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def attributes(node: ast.ClassDef) -> set[str]:
    """What its objects are given; records have theirs in the class, and are not meant."""
    return {
        target.attr
        for child in ast.walk(node)
        if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store)
        for target in [child]
        if isinstance(target.value, ast.Name) and target.value.id == "self"
    }


def top_of(room: str) -> str:
    """The folder at the top of its package that it is or lies in."""
    return ".".join(room.split(".")[:2])


def edges(modules: list[Module], *, tops: bool) -> dict[str, set[str]]:
    """Which folder imports which, both of all levels or of the top one alone."""
    found: dict[str, set[str]] = {}
    for module in modules:
        here = module.room
        if here is None:
            continue
        targets = {room for name in imports(module) if (room := room_of(name)) is not None}
        if tops:
            here, targets = top_of(here), {top_of(room) for room in targets}
        found.setdefault(here, set()).update(targets - {here})
    return found


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """Raises: ValueError (a circle)."""

    @cache
    def below(room: str) -> tuple[str, ...]:
        if room in under_way:
            raise ValueError(f"a circle through {room}")
        under_way.add(room)
        chains = [below(other) for other in graph.get(room, ())]
        under_way.discard(room)
        return (room, *max(chains, key=len, default=()))

    under_way: set[str] = set()
    return list(max((below(room) for room in graph), key=len, default=()))


def test_nothing_is_too_large() -> None:
    assert too_large(modules_of(ROOT)) == []


def test_the_supervisor_alone_is_loose_in_jobd() -> None:
    loose = {path.name for path in (ROOT / "jobd").glob("*.py")}
    assert loose == {"__init__.py", "supervisor.py"}


@pytest.mark.parametrize("package", ["jobd", "jobctl"])
def test_the_chain_of_folders_is_short(package: str) -> None:
    graph = edges([m for m in modules_of(ROOT) if m.name.startswith(f"{package}.")], tops=True)
    ours = {
        room: {other for other in others if other.startswith(f"{package}.")}
        for room, others in graph.items()
        if room.startswith(f"{package}.")
    }
    chain = longest_chain(ours)
    assert len(chain) <= FLOORS, " -> ".join(chain)


def test_no_folder_stands_on_one_that_stands_on_it() -> None:
    assert longest_chain(edges(modules_of(ROOT), tops=False))
    assert set(edges(modules_of(ROOT), tops=False)) <= set(ROOMS)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("\n" * 361, "jobd.x has 361 lines"),
        ("def f():\n" + "    x = 1\n" * 50, "jobd.x.f has 51 lines"),
        ('@held\ndef f():\n    """x\n' + "\n" * 49 + '    """', "jobd.x.f has 52 lines"),
        (
            "class A:\n    def __init__(self):\n"
            + "".join(f"        self.a{number} = 1\n" for number in range(13)),
            "jobd.x.A has 13 attributes",
        ),
    ],
)
def test_what_is_too_large_is_found(source: str, fault: str) -> None:
    assert too_large([Module("jobd.x", source)]) == [fault]


def test_a_circle_is_found() -> None:
    with pytest.raises(ValueError, match="a circle"):
        longest_chain({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_the_longest_chain_is_found() -> None:
    assert longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ["a", "b", "c"]


def test_roots_are_found(tmp_path: Path) -> None:
    """A checkout without modules would pass all of these tests."""
    assert modules_of(tmp_path) == []
    assert len(modules_of(ROOT)) > 150
