"""A report as one HTML file that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Final

from jobctl.render import history, text
from jobd.contract.distribution import how_to_get
from jobd.contract.errors import JobdError
from jobd.contract.models import Ended, History
from jobd.contract.overviews import Review, Segment, Stretch
from jobd.contract.version import VERSION
from jobd.contract.wording import printable

_DAYS: Final = 31
_TICKS: Final = 3
"""Times below what the workers did."""
_NEEDED: Final = "jinja2", "pygal"


def check_libraries() -> None:
    """Raises: JobdError (one that a report needs is not installed)."""
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise JobdError(
            f"a report needs {' and '.join(missing)}, which is not installed: "
            f"{how_to_get('report')}"
        )


def page(review: Review, request: History) -> str:
    """The whole file."""
    import jinja2
    from markupsafe import Markup

    from jobctl.render import charts

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = (resources.files("jobctl.render") / "report.html.jinja").read_text("utf-8")
    # What pygal makes is markup, and holds no text but ours.
    drawn = {
        chart.__name__: Markup(chart(review))  # noqa: S704 # as said
        for chart in (charts.queue, charts.outcomes, charts.cores, charts.memory)
    }
    return environment.from_string(source).render(
        begin=text.moment(review.begin),
        end=text.moment(review.end),
        zone=text.local(review.end).strftime("%Z"),
        chosen=printable(_chosen(request)),
        facts=_facts(review),
        total=review.total,
        lanes=review.lanes,
        more_lanes=review.more_lanes,
        ticks=_ticks(review),
        told=_told,
        mixed=_mixed,
        charts=drawn,
        slowest=[_slow(ended) for ended in review.slowest],
        failing=[history.cells(stats) for stats in review.failing],
        exits=[history.cells(stats) for stats in review.exits],
        days=[history.cells(stats) for stats in review.days[-_DAYS:]],
        version=VERSION,
        made=text.moment(datetime.now(UTC)),
    )


def write(path: str, content: str) -> None:
    """The file is whole or as it was before. Raises: JobdError."""
    folder = os.path.dirname(os.path.abspath(path))
    made = ""
    try:
        descriptor, made = tempfile.mkstemp(prefix=".jobctl-report-", dir=folder)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        umask = os.umask(0o077)
        os.umask(umask)
        os.chmod(made, 0o666 & ~umask)
        os.replace(made, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(made)
        if isinstance(error, OSError):
            raise JobdError(f"cannot write {path}: {error.strerror}") from error
        raise


def _chosen(request: History) -> str:
    """What was asked for beside the time, in words."""
    lists: dict[str, Sequence[str]] = {
        "state": request.states,
        "group": request.groups,
        "user": request.users,
    }
    parts = [f"{word} {', '.join(values)}" for word, values in lists.items() if values]
    return "; ".join([*parts, f"name {request.name}"] if request.name else parts)


def _facts(review: Review) -> list[tuple[str, str]]:
    total = review.total
    found = [
        ("attempts", f"{total.attempts:,}"),
        ("failed", history.part(total.failed, total)),
        ("ran, half of them", text.duration(total.run_p50_s)),
        ("waited, 90%", text.duration(total.wait_p90_s)),
        (f"of the time of {review.workers:,} workers", history.use(total)),
        ("CPU time", text.duration(total.cpu_s)),
    ]
    if review.unfinished is not None:
        running, waiting = review.unfinished
        found += [("run now", f"{running:,}"), ("wait now", f"{waiting:,}")]
    return found


def _ticks(review: Review) -> list[str]:
    """The first, those between, and the last moment."""
    span = review.end - review.begin
    form = "%m-%d %H:%M" if span > timedelta(hours=20) else "%H:%M:%S"
    moments = [review.begin + span * part / (_TICKS - 1) for part in range(_TICKS)]
    return [text.local(at).strftime(form) for at in moments]


def _told(bar: Segment) -> str:
    number = f", attempt {bar.attempt}" if bar.attempt > 1 else ""
    return f"job {bar.job}{number}: {bar.state.value}, {text.duration(bar.seconds)}"


def _mixed(bar: Stretch) -> str:
    """Where the colours end, from the foot on; of what cannot be there, the top is cut."""
    ends = bar.failed, bar.failed + bar.stopped, bar.failed + bar.stopped + bar.completed
    return ";".join(f"--{name}:{end}%" for name, end in zip("abc", ends, strict=True))


def _slow(ended: Ended) -> Sequence[Any]:
    ran = (ended.finished_at - ended.started_at) / 1e6
    cpu = None if ended.cpu_us is None else ended.cpu_us / 1e6
    how = f"{ended.state.value} ({ended.cause})" if ended.cause else ended.state.value
    return [
        ended.job,
        ended.attempt,
        printable(ended.name or "-"),
        printable(how),
        text.duration(max(0.0, ran)),
        text.duration(cpu),
        "-" if ended.max_rss_kb is None else text.size(ended.max_rss_kb),
    ]
