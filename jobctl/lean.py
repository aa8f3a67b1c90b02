"""Libraries of which a command needs a part, imported without the rest of them.

Importing takes most of the time of most commands. What is left out are parts that these libraries
do without themselves where they are not installed, and those of rpyc that are not the protocol.
Only the command line does so, a process of its own: who imports `jobd.client` has them whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType


def msgspec() -> None:
    """Since Python 3.11 `typing` has all that it takes from `typing_extensions`."""
    _import("msgspec", without="typing_extensions")


def rpyc() -> None:
    """Its protocol; a socket of this machine needs no TLS."""
    with _bare("rpyc"):
        _import("rpyc.core", without="ssl")


def _import(name: str, *, without: str) -> None:
    """Import a module as if another one were not installed."""
    if name in sys.modules:
        return
    try:
        with _missing(without):
            import_module(name)
    except ImportError:
        import_module(name)  # another version may need it


@contextmanager
def _missing(name: str) -> Iterator[None]:
    """Nobody can import this module, unless somebody has."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # so an import fails (importlib)
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def _bare(name: str) -> Iterator[None]:
    """Modules of this package can be imported without what the package itself imports."""
    spec = None if name in sys.modules else PathFinder.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        yield
        return
    package = ModuleType(name)
    package.__path__ = spec.submodule_search_locations
    sys.modules[name] = package
    try:
        yield
    finally:
        del sys.modules[name]
