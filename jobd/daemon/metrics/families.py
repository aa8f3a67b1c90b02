"""The figures as Prometheus has them: names, units, labels, help. The only place with its library.

Names end in their unit, totals in `_total`; times are moments, not ages, so that nothing changes
while nothing happens (prometheus.io, "Metric and label naming", "Instrumentation").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from jobd.contract.errors import JobdError
from jobd.contract.states import Reason, State, exit_code_reason, kind_of
from jobd.contract.version import VERSION
from jobd.core.histogram import Histogram
from jobd.core.ledger import Ledger
from jobd.daemon.metrics.figures import JobFigures, WorkFigures
from jobd.daemon.metrics.health import Health
from jobd.store.oldest import oldest_ready
from jobd.store.reader import Reader

Values = Mapping[tuple[str, ...], float]
"""By the values of the labels; of a metric without labels there is one."""
_ENDS: Final = (
    (State.COMPLETED.value, kind_of(None)),
    (State.FAILED.value, kind_of(exit_code_reason(1))),
    (State.FAILED.value, kind_of(Reason.LOST)),
)
"""The usual ends of jobs: state and reason."""
M = TypeVar("M", GaugeMetricFamily, CounterMetricFamily)


class Exposition(Collector):
    """Any thread may ask for the text; it is made of what is known at that moment."""

    def __init__(
        self,
        *,
        jobs: JobFigures,
        work: WorkFigures,
        health: Health,
        ledger: Ledger,
        reader: Reader,
        database: Path,
        engine: str,
        failing: Callable[[], tuple[int, object]],
    ) -> None:
        """`failing`: how many messages are not delivered, and why. Raises: JobdError."""
        self._jobs = jobs
        self._work = work
        self._health = health
        self._ledger = ledger
        self._reader = reader
        self._database = database
        self._engine = engine
        self._failing = failing
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its type. `accept`: what the asker can read, as HTTP has it."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterator[Metric]:
        yield from self._of_daemon()
        yield from self._of_jobs()
        yield from self._of_attempts()
        yield from self._of_workers()
        yield from self._of_store()
        yield from self._of_requests()

    def _of_daemon(self) -> Iterator[Metric]:
        known: Values = {(VERSION, self._engine): 1.0}
        yield _gauge("build_info", "Version and engine of jobd.", known, "version", "engine")
        yield _gauge("draining", "1 while it shuts down and takes no new jobs.",
                     {(): self._ledger.draining})  # fmt: skip
        yield _gauge("trouble", "1 while jobd status tells of an error.",
                     {(): self._health.error() is not None})  # fmt: skip
        with suppress(JobdError):
            failing, _ = self._failing()
            yield _gauge("notifications_failing", "Messages that were tried in vain, and will be "
                         "again or were given up within a day.", {(): failing})  # fmt: skip
        with suppress(JobdError):
            starts = int(self._reader.setting("starts") or 0)
            yield _counter("daemon_starts", "Starts of the daemon, restarts too, since its store "
                           "was made.", {(): starts})  # fmt: skip

    def _of_jobs(self) -> Iterator[Metric]:
        found, groups = self._jobs, self._groups()
        now = _with_zeros(groups, [(state.value,) for state in State])
        now |= {(group, state.value): count for (group, state), count in dict(found.jobs).items()}
        yield _gauge("jobs", "Jobs by group and state.", now, "group", "state")
        yield _counter("jobs_submitted", "Jobs that were submitted.",
                       _by(found.submitted, groups), "group")  # fmt: skip
        ended = _with_zeros(groups, _ENDS)
        ended |= {(g, s.value, why): n for (g, s, why), n in dict(found.ended).items()}
        yield _counter("jobs_finished", "Jobs that have come to an end, by state and reason.",
                       ended, "group", "state", "reason")  # fmt: skip
        yield _gauge("jobs_ready", "Jobs that wait for nothing but their turn.",
                     {(): len(self._ledger.queue)})  # fmt: skip
        with suppress(JobdError):
            since = oldest_ready(self._reader)
            yield _gauge("oldest_ready_job_timestamp_seconds", "Since when the job pends that has "
                         "waited longest for nothing but its turn; nothing: none does.",
                         {} if since is None else {(): since / 1e6})  # fmt: skip

    def _of_attempts(self) -> Iterator[Metric]:
        found, groups = self._jobs, self._groups()
        yield _counter(
            "attempts_started", "Attempts that began.", _by(found.attempts, groups), "group"
        )
        yield _counter("attempts_retried", "Attempts after which the job pended again by itself.",
                       _by(found.retried, groups), "group")  # fmt: skip
        yield _counter("attempts_lost", "Attempts of which nobody knows how they ended.",
                       _by(found.lost, groups), "group")  # fmt: skip
        yield _histogram("job_wait_seconds", "From submit, or the end of the attempt before, to "
                         "the start; with all delays.", found.waited, "group")  # fmt: skip
        yield _histogram("attempt_run_seconds", "From start to end of an attempt.",
                         found.ran, "group")  # fmt: skip
        yield _counter("output_bytes", "What the attempts that have ended have printed.",
                       {(): found.output_bytes})  # fmt: skip

    def _of_workers(self) -> Iterator[Metric]:
        ledger = self._ledger
        groups = list(ledger.groups)
        yield _gauge("workers", "Workers that there are.", {(): ledger.workers})
        yield _gauge("workers_busy", "Workers that jobs occupy.", {(): ledger.busy})
        devices = ledger.devices
        yield _gauge("gpus", "Places on GPUs that there are.", {(): devices.places})
        yield _gauge("gpus_busy", "Places on GPUs that jobs occupy.", {(): devices.taken})
        yield _gauge("group_workers", "Workers that a group may occupy.",
                     self._summed({g: ledger.limit(g) for g in groups}), "group")  # fmt: skip
        yield _gauge("group_workers_busy", "Workers that the jobs of a group occupy.",
                     self._summed({g: ledger.busy_in(g) for g in groups}), "group")  # fmt: skip

    def _of_store(self) -> Iterator[Metric]:
        commits, at, space = self._work.commits, self._work.committed_at, self._health.disk_space()
        yield _histogram("commit_seconds", "From begin to end of a transaction of the store.",
                         {"": commits})  # fmt: skip
        yield _gauge("last_commit_timestamp_seconds", "When something was last saved.",
                     {} if at is None else {(): at})  # fmt: skip
        yield _gauge("store_writable", "1 while what happens can be saved.",
                     {(): self._health.seems_writable})  # fmt: skip
        yield _gauge("store_size_bytes", "Size of the database and its log.",
                     {(): _size(self._database)})  # fmt: skip
        if space is not None:
            yield _gauge("disk_free_bytes", "Free on the disk of the state directory.",
                         {(): space.free})  # fmt: skip
            yield _gauge("disk_size_bytes", "Size of the disk of the state directory.",
                         {(): space.size})  # fmt: skip

    def _of_requests(self) -> Iterator[Metric]:
        found = self._work.requests()
        yield _histogram("request_seconds", "How long requests take that wait for nothing.",
                         {name: taken for name, taken, _ in found}, "request")  # fmt: skip
        yield _counter("requests_failed", "Requests that were refused or failed.",
                       {(name,): failed for name, _, failed in found}, "request")  # fmt: skip

    def _groups(self) -> list[str]:
        """Those that there are, by the names that their figures go by."""
        return list(dict.fromkeys(map(self._jobs.label, list(self._ledger.groups))))

    def _summed(self, by_group: Mapping[str, float]) -> dict[tuple[str, ...], float]:
        summed: dict[tuple[str, ...], float] = {}
        for group, value in by_group.items():
            label = (self._jobs.label(group),)
            summed[label] = summed.get(label, 0) + value
        return summed


def _by(counted: Mapping[str, float], groups: Iterable[str]) -> Values:
    found = _with_zeros(groups, [()])
    found.update({(group,): value for group, value in dict(counted).items()})
    return found


def _with_zeros(
    groups: Iterable[str], further: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], float]:
    """What has not happened yet is told, too: Prometheus sees no rise from nothing to one."""
    return dict.fromkeys(((group, *more) for group in groups for more in further), 0.0)


def _filled(family: M, values: Values) -> M:
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"jobd_{name}", text, labels=labels), values)


def _counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    """`_total` is put behind its name."""
    return _filled(CounterMetricFamily(f"jobd_{name}", text, labels=labels), values)


def _histogram(name: str, text: str, values: Mapping[str, Histogram], *labels: str) -> Metric:
    family = HistogramMetricFamily(f"jobd_{name}", text, labels=labels)
    for label, histogram in dict(values).items():
        family.add_metric([label] if labels else [], histogram.buckets(), histogram.sum)
    return family


def _size(database: Path) -> int:
    total = 0
    for suffix in ("", "-wal"):
        with suppress(OSError):
            total += os.stat(f"{database}{suffix}").st_size
    return total
