"""What stands in the place of metrics where nobody is to see any."""

from __future__ import annotations


class NoMetrics:
    """A part of the daemon that does nothing."""

    def count(self) -> None:
        """Called once the queue is loaded, and before anybody may change it."""

    def open(self, *, patient: bool) -> None:
        """Answer from now on. `patient`: what cannot be had just now is tried again and again.

        Raises: JobdError (it cannot be had).
        """

    def close(self) -> None:
        """Nobody is answered any more."""

    def text(self) -> str | None:
        """All of them, as Prometheus reads them; None: there are none. Any thread may ask."""
        return None
