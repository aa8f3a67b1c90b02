"""The daemon's configuration: defaults < `config.toml` < options of `jobd start`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from jobd.contract.errors import BadRequest
from jobd.contract.models import DEFAULT_GRACE, MAX_WORKERS, Group, Seconds


class DaemonConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[daemon]`; each key is named like its option."""

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] = 3
    engine: str = "local"
    shell: str = "/bin/sh"
    grace: Seconds = DEFAULT_GRACE
    """Seconds between the first signal and KILL."""


class GroupConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[groups.NAME]`: a named share of the workers."""

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)]
    """How many its jobs may occupy at a time."""


class GpuConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[gpus]`."""

    devices: Annotated[list[Annotated[int, Meta(ge=0, le=1023)]], Meta(max_length=64)] = field(
        default_factory=list
    )
    """Indexes as CUDA numbers them, the preferred one first."""
    per_device: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    """Jobs on one device at a time."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    groups: dict[Group, GroupConfig] = field(default_factory=dict)
    gpus: GpuConfig = field(default_factory=GpuConfig)


def load(path: Path, *, required: bool = False) -> Config:
    """Read the file; a missing one means the defaults, unless it was asked for by name.

    Raises: BadRequest (unreadable, no TOML, unknown key or wrong type; names key and line).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise BadRequest(f"--config: {path} does not exist") from error
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"cannot read {path}: {error}") from error
    try:
        return _convert(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        raise BadRequest(f"{path}{_line_of(str(error), text)}: {error}") from error


def _convert(tables: dict[str, Any]) -> Config:
    config = msgspec.convert(tables, Config)
    devices = config.gpus.devices
    if len(set(devices)) < len(devices):
        raise msgspec.ValidationError("a device is named twice - at `$.gpus.devices`")
    return config


def from_builtins(tables: dict[str, Any]) -> Config:
    """The opposite of `msgspec.to_builtins`, for the way from process to process."""
    return msgspec.convert(tables, Config)


def _line_of(message: str, text: str) -> str:
    """`, line N` of the key that the message speaks of, where it can be found."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    path = re.search(r"at `\$\.?([^`]*)`", message)
    key = unknown[1] if unknown else path[1].rpartition(".")[2] if path else ""
    if not key:
        return ""
    pattern = re.compile(rf"^\s*\[?\[?\s*[\"']?(?:\w+\.)*{re.escape(key)}[\"']?\s*[=\]]")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f", line {number}"
    return ""
