"""Whether a daemon could go by a configuration, beyond what its file says by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from jobd.contract import config_file
from jobd.contract.config import Config
from jobd.contract.destinations import require_apprise
from jobd.contract.distribution import how_to_get
from jobd.contract.errors import JobdError
from jobd.contract.paths import Paths
from jobd.engines import loading
from jobd.engines.base import Sight

METRICS_BY: Final = "prometheus_client"
"""The package that makes them."""


def check(config: Config, file: Path) -> None:
    """Engines and their sections, and what sends messages, makes metrics and compresses outputs;
    nothing is started or written. `file`: what was read.

    Raises: BadRequest (the engine that is to be the daemon's is none, or cannot be imported);
    JobdError (the file is wrong, with its line; one of the latter is wanted, and what it takes is
    not installed).
    """
    try:
        loading.check(config.engines(), config.engine)
    except loading.WrongSection as error:
        if error.place == "engine":
            raise  # it may be the option of `jobd start`
        raise JobdError(config_file.placed(file, error.place, error.message)) from error
    if any(rule.urls for rule in config.notify):
        require_apprise("[[notify]] urls")
    if config.metrics.on and find_spec(METRICS_BY) is None:
        raise JobdError(without_metrics(METRICS_BY))
    if config.retention.compress_after and not _can_compress():
        raise JobdError(
            "[retention] compress_after needs a library that is not installed; "
            f"{how_to_get('zstd')}"
        )


def look(config: Config, paths: Paths, running: str | None) -> Iterator[tuple[str, Sight]]:
    """What is seen of each engine that jobs run on, by its name. `running`: one that a daemon was
    started with, whatever the configuration says.

    Raises: BadRequest, as `loading.check`.
    """
    named = config.engines()
    if running is not None:
        named.setdefault(running, "engine")
    for name, key in named.items():
        for sight in loading.look(name, key, config.engine.get(name, {}), paths):
            yield name, sight


def _can_compress() -> bool:
    """The standard library has it from Python 3.14 on."""
    if sys.version_info >= (3, 14):
        return True
    return find_spec("backports") is not None and find_spec("backports.zstd") is not None


def without_metrics(missing: str | None) -> str:
    """What is said where they are wanted, and this package is not there."""
    lacks = f"[metrics] needs a package that is not there ({missing})"
    return f"{lacks}; {how_to_get('metrics')}"
