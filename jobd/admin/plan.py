"""What supervisor and daemon are told when they are started: configuration, options and places."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from jobd.contract.config import EngineName
from jobd.contract.configured import Configured, Origin, read, to_plain
from jobd.contract.errors import BadRequest
from jobd.contract.models import MAX_WORKERS
from jobd.contract.paths import Paths, absolute


class StartOptions(Struct, frozen=True, kw_only=True):
    """What the command line says of a daemon that is to start; None: as configured."""

    workers: int | None = None
    engine: str | None = None
    config: Path | None = None
    ephemeral: bool = False


def plan_of(paths: Paths, options: StartOptions) -> dict[str, Any]:
    """What supervisor and daemon are told; also the checks that need no daemon."""
    return {
        "state": str(paths.state),
        "config_path": str(paths.config),
        **to_plain(configured(paths, options)),
        "ephemeral": options.ephemeral,
        "lock_path": str(paths.lock),
        "fresh": True,
    }


def configured(paths: Paths, options: StartOptions) -> Configured:
    """What a daemon would go by that is started like this.

    Raises: BadRequest (an option has no sense), and as `config_file.load`.
    """
    file = options.config and absolute(options.config, "write an absolute path")
    if options.workers is not None and not 0 <= options.workers <= MAX_WORKERS:
        raise BadRequest(f"--workers: a number from 0 to {MAX_WORKERS}")
    origin = Origin(
        start=secrets.token_hex(8),
        file="" if file is None else str(file),
        workers=options.workers,
        engine=None if options.engine is None else _engine(options.engine),
    )
    return read(paths.config, origin)


def _engine(name: str) -> str:
    """Raises: BadRequest (no engine can have that name)."""
    try:
        return msgspec.convert(name, EngineName)
    except msgspec.ValidationError:
        raise BadRequest(f"--engine: {name!r} is no name of an engine") from None
