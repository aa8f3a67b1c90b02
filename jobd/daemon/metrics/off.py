"""What stands in the place of metrics where nobody is to see any."""

from __future__ import annotations


class NoMetrics:
    """A part of the daemon that does nothing."""

    def count(self) -> None:
        """Called once the queue is loaded, and before anybody may change it."""

    def take_address(self) -> None:
        """Called before anything is begun that could not be left. Who comes by then waits.

        Raises: JobdError (it cannot be had).
        """

    def open(self) -> None:
        """Answer from now on. An address that was not taken before is tried again and again."""

    def close(self) -> None:
        """Nobody is answered any more."""

    def text(self) -> str | None:
        """All of them, as Prometheus reads them; None: there are none. Any thread may ask."""
        return None
