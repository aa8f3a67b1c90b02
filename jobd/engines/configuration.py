"""Whether a daemon could go by a configuration, beyond what its file says by itself."""

from __future__ import annotations

import importlib.util
from typing import Final

from jobd.contract.config import Config
from jobd.contract.destinations import require_apprise
from jobd.contract.errors import JobdError
from jobd.engines import loading

METRICS_BY: Final = "prometheus_client"
"""The package that makes them."""


def check(config: Config) -> None:
    """Engines and their sections, what sends messages, and what makes metrics; nothing is started
    or written.

    Raises: BadRequest, as `loading.check`; JobdError (there are URLs, or metrics are wanted, and
    what it takes is not installed).
    """
    loading.check(config.engines(), config.engine)
    if any(rule.urls for rule in config.notify):
        require_apprise("[[notify]] urls")
    if config.metrics.on and importlib.util.find_spec(METRICS_BY) is None:
        raise JobdError(without_metrics(METRICS_BY))


def without_metrics(missing: str | None) -> str:
    """What is said where they are wanted, and this package is not there."""
    return f"[metrics] needs a package that is not there ({missing}); pip install 'jobctl[metrics]'"
