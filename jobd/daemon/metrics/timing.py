"""Handlers that say how long they take. Those that wait for something to happen are left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from jobd.contract.models import Request, View
from jobd.daemon.metrics.figures import WorkFigures

Handler = Callable[[Any, Any], View]
"""Takes the request that it answers, and who asks."""


def timed(
    handlers: Mapping[type[Request], Handler], figures: WorkFigures
) -> dict[type[Request], Handler]:
    return {
        kind: handle if kind.about.waits else _timed(kind.wire_name(), handle, figures)
        for kind, handle in handlers.items()
    }


def _timed(name: str, handle: Handler, figures: WorkFigures) -> Handler:
    @wraps(handle)
    def handled(request: Request, call: Any) -> View:  # noqa: ANN401 - it is passed on
        began, well = time.perf_counter(), False
        try:
            view = handle(request, call)
            well = True
        finally:
            figures.answered(name, time.perf_counter() - began, well=well)
        return view

    return handled
