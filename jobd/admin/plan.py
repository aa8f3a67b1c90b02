"""What supervisor and daemon are told when they are started: configuration, options and places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from jobd.contract.config import EngineName, to_builtins
from jobd.contract.config_file import load
from jobd.contract.errors import BadRequest
from jobd.contract.models import MAX_WORKERS
from jobd.contract.paths import Paths


class StartOptions(Struct, frozen=True, kw_only=True):
    """What the command line says of a daemon that is to start; None: as configured."""

    workers: int | None = None
    engine: str | None = None
    config: Path | None = None
    ephemeral: bool = False


def plan_of(paths: Paths, options: StartOptions) -> dict[str, Any]:
    """What supervisor and daemon are told; also the checks that need no daemon."""
    config = load(options.config or paths.config, required=options.config is not None)
    daemon = config.daemon
    if options.workers is not None:
        if not 0 <= options.workers <= MAX_WORKERS:
            raise BadRequest(f"--workers: a number from 0 to {MAX_WORKERS}")
        daemon = msgspec.structs.replace(daemon, workers=options.workers)
    if options.engine is not None:
        daemon = msgspec.structs.replace(daemon, engine=_engine(options.engine))
    return {
        "state": str(paths.state),
        "config_path": str(paths.config),
        "config": to_builtins(msgspec.structs.replace(config, daemon=daemon)),
        "ephemeral": options.ephemeral,
        "lock_path": str(paths.lock),
        "fresh": True,
    }


def _engine(name: str) -> str:
    """Raises: BadRequest (no engine can have that name)."""
    try:
        return msgspec.convert(name, EngineName)
    except msgspec.ValidationError:
        raise BadRequest(f"--engine: {name!r} is no name of an engine") from None
