"""`jobd metrics`: the numbers of this moment, and what comes with them for those who watch."""

from __future__ import annotations

from importlib import resources
from typing import Final

import click

from jobd.admin import streams
from jobd.admin.here import instance

_SHIPPED: Final = "jobd.admin"
_ALERTS: Final = "monitoring/alerts.yml"
_DASHBOARD: Final = "monitoring/dashboard.json"


@click.command()
@click.option("--alerts", "shipped", flag_value=_ALERTS, help="Print alert rules for Prometheus.")
@click.option("--dashboard", "shipped", flag_value=_DASHBOARD, help="Print a Grafana dashboard.")
def metrics(shipped: str | None) -> None:
    """Print the metrics of the running daemon once.

    They are on if [metrics] in config.toml has listen = "127.0.0.1:9720" (or the path of a Unix
    socket), to answer /metrics and /healthz there, or textfile = "DIR" for node_exporter.

    \b
    Example:
        jobd metrics | grep ^jobd_jobs
    """
    if shipped is not None:
        streams.lines(resources.files(_SHIPPED).joinpath(shipped).read_text("utf-8"))
        return
    from jobd.client.client import Client

    with Client(instance().socket) as client:
        streams.lines(client.metrics().text)
