"""Whether a daemon could go by a configuration, beyond what its file says by itself."""

from __future__ import annotations

from jobd.contract.config import Config
from jobd.contract.destinations import require_apprise
from jobd.engines import loading


def check(config: Config) -> None:
    """Engines and their sections, and what sends messages; nothing is started or written.

    Raises: BadRequest, as `loading.check`; JobdError (there are URLs, and nothing to send by).
    """
    loading.check(config.engines(), config.engine)
    if any(rule.urls for rule in config.notify):
        require_apprise("[[notify]] urls")
