"""A configuration and where it comes from: the file, the command line of `jobd start`, or neither;
and all of its keys by their names, as `jobd config` and `jobd reload` tell of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from jobd.contract import config_file
from jobd.contract.config import Config, GroupConfig, NotifyConfig, Size, from_builtins, to_builtins
from jobd.contract.destinations import Destination
from jobd.contract.models import Change, Setting
from jobd.contract.states import FromWhen, Source

_SECRET: Final = re.compile(r"password|passwd|secret|token|credential|api_?key", re.IGNORECASE)
"""Names of an engine's keys whose values are not shown."""
_HIDDEN: Final = "…"
_WHEN: Final = {
    FromWhen.NOW: "counts now",
    FromWhen.RESTART: "counts after jobd restart",
    FromWhen.NEVER: "stays as it is: jobctl groups",
}
_OPTIONS: Final = ("workers", "engine")
"""Keys of `[daemon]` that are options of `jobd start`, too."""
_URLS: Final = re.compile(r"notify\[[^\]]*\]\.urls")


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `jobd start` was told; it stays so until the next one."""

    start: str = ""
    """Which start that was: a random name."""
    file: str = ""
    """What `--config` named, absolute; empty: `config.toml` in its usual place."""
    workers: int | None = None
    engine: str | None = None


class Configured(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A configuration as it was read, options of the command line included."""

    config: Config
    origin: Origin = Origin()
    written: list[str] = field(default_factory=list)
    """Keys that stand in the file."""

    def source(self, key: str) -> Source:
        """Of a key as `keys_of` names it."""
        table, _, name = key.partition(".")
        if table == "daemon" and name in _OPTIONS and getattr(self.origin, name) is not None:
            return Source.OPTION
        return Source.FILE if key in self.written else Source.DEFAULT


def file_of(usual: Path, origin: Origin) -> Path:
    return Path(origin.file) if origin.file else usual


def read(usual: Path, origin: Origin) -> Configured:
    """As the file is now. `usual`: where it lies if `--config` named none.

    Raises: as `config_file.load`.
    """
    tables, config = config_file.read(file_of(usual, origin), required=bool(origin.file))
    given = {name: getattr(origin, name) for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    return Configured(
        config=replace(config, daemon=replace(config.daemon, **options)),
        origin=origin,
        written=[key for key, _ in _flat(tables)],
    )


def keys_of(config: Config) -> dict[str, object]:
    """Each key that has a value, with what it is: `daemon.workers`, `groups.gpu.workers`,
    `notify[ops].on`. In the order in which they are declared.
    """
    found = {key: value for key, value in _flat(_plain(config)) if value is not None}
    bare = [name for name, group in config.groups.items() if group == GroupConfig()]
    return found | {f"groups.{name}": {} for name in bare}


def shown(key: str, value: object) -> object:
    """What of it anybody may read: of a URL its kind, of a secret nothing."""
    if _URLS.fullmatch(key) and isinstance(value, list):
        return [Destination(url=url).label for url in value]
    if key.startswith("engine.") and _SECRET.search(key):
        return _HIDDEN
    return value


def settings_of(
    config: Config, sources: Mapping[str, Source], wanted: Config, by_hand: Mapping[str, object]
) -> list[Setting]:
    """Each key as it holds. `wanted`: what the next daemon goes by; `by_hand`: what commands have
    set in the place of the configuration.
    """
    now, then = keys_of(config), keys_of(wanted)
    found = []
    for key in dict.fromkeys([*now, *then]):
        value, source = now.get(key), sources.get(key, Source.DEFAULT)
        if key in by_hand:
            value, source = by_hand[key], Source.COMMAND
        later = then.get(key)
        waits = later != now.get(key)
        found.append(
            Setting(
                key=key,
                value=shown(key, value),
                source=source,
                after_restart=shown(key, later) if waits else UNSET,
            )
        )  # fmt: skip
    return found


def change_text(change: Change) -> str:
    """In one line; a secret that is another one looks as before."""
    when = _WHEN[change.counts]
    if change.before == change.after:
        return f"{change.key}: changed; {when}"
    return f"{change.key}: {as_toml(change.before)} → {as_toml(change.after)}; {when}"


def as_toml(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def to_plain(configured: Configured) -> dict[str, Any]:
    """For JSON: on the way from process to process, and on disk."""
    plain: dict[str, Any] = msgspec.to_builtins(
        {"origin": configured.origin, "written": configured.written}
    )
    return {**plain, "config": to_builtins(configured.config)}


def from_plain(found: Mapping[str, Any]) -> Configured:
    """The opposite; an older version tells the configuration alone.

    Raises: msgspec.ValidationError (a newer version has written it).
    """
    return Configured(
        config=from_builtins(found["config"]),
        origin=msgspec.convert(found.get("origin", {}), Origin),
        written=msgspec.convert(found.get("written", []), list[str]),
    )


# --- the names of keys ----------------------------------------------------------------------------


def _plain(value: object) -> object:
    """What a file would say."""
    if isinstance(value, Struct):
        return _plain(_given(value))
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, Size):
        return int(value)
    return str(value) if isinstance(value, str) else value


def _given(value: Struct) -> dict[str, object]:
    """Of a rule only what is not as it is anyway."""
    found = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, NotifyConfig):
        usual = NotifyConfig()
        return {k: v for k, v in found.items() if k == "on" or v != getattr(usual, k)}
    return found


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif name == "notify" and isinstance(value, list):
        for number, rule in enumerate(value, start=1):
            named = rule.get("name") or f"notify {number}"
            yield from _flat({k: v for k, v in rule.items() if k != "name"}, f"notify[{named}]")
    else:
        yield name, value
