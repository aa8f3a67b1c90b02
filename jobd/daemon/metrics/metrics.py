"""Metrics as one part of the daemon: what is counted, and all ways in which it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from jobd.contract import listening
from jobd.contract.errors import JobdError
from jobd.contract.watching import MetricsConfig
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.metrics.endpoint import Answer, Endpoint
from jobd.daemon.metrics.families import Exposition
from jobd.daemon.metrics.figures import Counts, JobFigures
from jobd.daemon.metrics.health import Health
from jobd.daemon.metrics.off import NoMetrics
from jobd.daemon.metrics.textfile import TextFile
from jobd.store.writer import Writer
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 5.0
"""Seconds until an address that was taken is tried again."""


class Metrics(NoMetrics):
    """Opened and closed by the main thread."""

    def __init__(
        self,
        config: MetricsConfig,
        *,
        figures: JobFigures,
        exposition: Exposition,
        health: Health,
        notifier: Notifier,
        writer: Writer,
        timer: Timer,
        read: Callable[[], Counts],
    ) -> None:
        """`read`: looks for what there is, in a transaction."""
        self._figures = figures
        self._exposition = exposition
        self._health = health
        self._writer = writer
        self._timer = timer
        self._read = read
        self._notifier = notifier
        self._endpoint = self._textfile = None
        if config.listen:
            pages = {"/metrics": self._page, "/healthz": self._healthz}
            self._endpoint = Endpoint(listening.parse(config.listen), pages)
        if config.textfile:
            self._textfile = TextFile(Path(config.textfile), lambda: exposition.text()[0])
        self._closed = False

    def count(self) -> None:
        self._writer.call(partial(self._figures.load, self._read))

    def take_address(self) -> None:
        if self._endpoint is not None:
            self._endpoint.take()

    def open(self) -> None:
        if self._textfile is not None:
            self._textfile.start()
            self._notifier.subscribe(self._textfile)
        self._try_to_listen()

    def _try_to_listen(self) -> None:
        if self._endpoint is None or self._closed:
            return
        try:
            self._endpoint.open()
        except JobdError as error:
            log.warning("no metrics yet: %s", error.message)
            self._timer.after(_RETRY_S, self._try_to_listen)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._endpoint is not None:
            self._endpoint.close()
        if self._textfile is not None:
            self._textfile.close()

    # --- what is told ---------------------------------------------------------------------------

    def text(self) -> str:
        return self._exposition.text()[0].decode()

    def _page(self, accept: str) -> Answer:
        body, kind = self._exposition.text(accept)
        return Answer(200, kind, body)

    def _healthz(self, _accept: str) -> Answer:
        found = self._health.look()
        body = msgspec.json.encode(found) + b"\n"
        return Answer(200 if found.is_well else 503, "application/json", body)
