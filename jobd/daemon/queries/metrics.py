"""`metrics`: the numbers of this moment as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

from jobd.contract.call import Call
from jobd.contract.errors import Refused
from jobd.contract.models import Metrics, MetricsText


class MetricsQuery:
    """Clients' threads call."""

    def __init__(self, text: Callable[[], str | None]) -> None:
        """`text`: None where nothing is counted."""
        self._text = text

    def metrics(self, _request: Metrics, _: Call) -> MetricsText:
        """Raises: Refused (there are none)."""
        text = self._text()
        if text is None:
            raise Refused(
                "metrics are off; set listen or textfile in [metrics] of config.toml; "
                "then: jobd reload && jobd restart"
            )
        return MetricsText(text=text)
