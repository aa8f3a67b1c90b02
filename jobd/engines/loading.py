"""Engines by their names: found among the entry points, and loaded where they are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from jobd.contract.config_words import what_is_wrong
from jobd.contract.errors import BadRequest
from jobd.contract.paths import Paths
from jobd.engines import last_boot
from jobd.engines.base import (
    BadSetting,
    Context,
    Engine,
    Factory,
    NoSuchKey,
    SeesBoots,
    ShowsOutputs,
    Sight,
    Sighted,
)
from jobd.outputs.patience import Patience

GROUP: Final = "jobd.engines"
_PATIENCE_S: Final = 60.0
"""Seconds that an engine may be looked at; what it asks may have limits of its own below that."""
S = TypeVar("S", bound=Struct)


class WrongSection(BadRequest):
    """What the configuration says of an engine has no sense."""

    def __init__(self, message: str, place: str) -> None:
        """`place`: the key, as `engine.slurm.pack`."""
        super().__init__(message)
        self.place = place


def check(chosen: Mapping[str, str], sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Whether what the configuration says of engines has any sense; nothing is started or written.

    `chosen`: the engines that jobs run on, each with the key that names it. `sections`: the tables
    `[engine.NAME]`, also of engines that are not chosen just now.

    Raises: BadRequest (there is no such engine, it cannot be imported, or its section has no sense;
    the text names the key).
    """
    for name, key in {**{name: f"[engine.{name}]" for name in sections}, **chosen}.items():
        entry = _entry(name, key)
        if name in chosen or sections.get(name):
            with _in_words(name, key):
                _factory(entry).check(sections.get(name, {}))


def outputs(
    name: str, sections: Mapping[str, Mapping[str, Any]] | None, paths: Paths
) -> Path | None:
    """Where what attempts on this engine have printed lies in files; None: it is not known.

    `sections`: the tables `[engine.NAME]`; None: nobody knows them just now.
    """
    factory = _known(name)
    if not isinstance(factory, ShowsOutputs):
        return None
    with suppress(BadSetting, OSError):
        return factory.outputs(None if sections is None else sections.get(name, {}), paths)
    return None


def ran_since_boot(names: Iterable[str], paths: Paths) -> bool | None:
    """Whether the machine has run on since a daemon last used an instance. Where none has noted
    that (it was of an earlier version), these engines say when they were at work there; None: none
    of them can.
    """
    noted = last_boot.ran_since_boot(paths)
    if noted is not None:
        return noted
    told = {_ran_since_boot(_known(name), paths) for name in names} - {None}
    return True in told if told else None


def _ran_since_boot(factory: object, paths: Paths) -> bool | None:
    return factory.ran_since_boot(paths) if isinstance(factory, SeesBoots) else None


def _known(name: str) -> Factory | None:
    """None: there is no such engine, or it cannot be loaded: whoever starts a daemon says so."""
    try:
        entry = _entry(name, "engine")
        with _in_words(name, "engine"):
            return _factory(entry)
    except BadRequest:
        return None


def load(context: Context, key: str = "engine") -> Engine:
    """The engine that the context names, made with it. `key`: what in the configuration says so.

    Raises: BadRequest, as `check`, and OSError.
    """
    entry = _entry(context.name, key)
    with _in_words(context.name, key):
        return _factory(entry)(context)


def look(name: str, key: str, settings: Mapping[str, Any], paths: Paths) -> Sequence[Sight]:
    """What an engine says of itself, as `Sighted.look`; one that breaks down, or hangs, says that.

    `key`: as for `load`. Raises: BadRequest, as `check`.
    """
    entry = _entry(name, key)
    with _in_words(name, key):
        factory = _factory(entry)
        factory.check(settings)
        if not isinstance(factory, Sighted):
            return ()
        try:
            seen = Patience(_PATIENCE_S).of(partial(factory.look, settings, paths))
        except Exception as error:  # noqa: BLE001 - it may be anybody's
            why = f"it cannot be looked at: {type(error).__name__}: {error}"
            return [Sight(why, "tell whoever wrote it")]
    silent = Sight(
        f"it cannot be looked at: no answer within {_PATIENCE_S:g} s",
        "a file server that it needs may be down; check again when that answers",
    )
    return [silent] if seen is None else seen


def _factory(entry: EntryPoint) -> Factory:
    factory: Factory = entry.load()
    return factory


@contextmanager
def _in_words(name: str, key: str) -> Iterator[None]:
    """Raises: BadRequest."""
    try:
        yield
    except BadSetting as error:
        place = ".".join(filter(None, ["engine", name, error.key]))
        raise WrongSection(f"[engine.{name}] {error}", place) from error
    except ImportError as error:
        raise BadRequest(f"{key}: {name!r} cannot be loaded: {error}") from error


def _entry(name: str, key: str) -> EntryPoint:
    """Raises: BadRequest."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)}))
        place = re.sub(r"^\[(.+)\] ?", r"\1.", key).rstrip(".")
        raise WrongSection(f"{key}: there is no {name!r}; known are: {known}", place)
    return next(iter(found))


def settings_as(kind: type[S], settings: Mapping[str, Any]) -> S:
    """The section of an engine as a Struct that forbids unknown fields, for engines to use.

    Raises: BadSetting (names the key).
    """
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for key in settings:
        if key not in fields:
            raise NoSuchKey(key, fields)
    for key, value in settings.items():
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            raise BadSetting(key, what_is_wrong(str(error))) from error
    try:
        return msgspec.convert(dict(settings), kind)
    except msgspec.ValidationError as error:
        missing = [key for key, one in fields.items() if one.required and key not in settings]
        if missing:
            raise BadSetting(missing[0], "has to be given") from error
        raise BadSetting("", what_is_wrong(str(error))) from error
