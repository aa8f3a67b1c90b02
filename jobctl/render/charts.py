"""Curves and bars as SVG, made by pygal: they stand in a page, need no script, have its colours.

What is in them are numbers and times of ours, and no text of a user.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from jobctl.render import text
from jobd.contract.overviews import Review
from jobd.contract.states import State

SIZES: Final = {"wide": (960, 280, 12), "narrow": (420, 260, 15)}
"""By the name of their class in the page: width, height and size of letters of a screen."""
_LABELS: Final = {"wide": 8, "narrow": 3}
"""Times below a chart, about."""
_DAY_S: Final = 20 * 3600
"""Of a span that is longer, days are told beside hours."""
_LONG_S: Final = 7 * 86400
"""Of a span that is longer, days are told, and no hours."""


def outcomes(review: Review) -> str:
    """How attempts ended, as bars."""
    found = review.outcomes
    colours = [f"var(--{state.value})" for state in (State.COMPLETED, State.FAILED, State.STOPPED)]
    series = {
        State.COMPLETED.value: found.completed,
        State.FAILED.value: found.failed,
        State.STOPPED.value: found.stopped,
    }
    return _both("StackedBar", review, series, colours)


def queue(review: Review) -> str:
    """What waited, and how many workers were busy."""
    series = {"waiting": review.curves.waiting, "workers busy": review.curves.busy}
    return _both("Line", review, series, ("var(--waiting)", "var(--completed)"))


def cores(review: Review) -> str:
    """What the attempts used of the processors."""
    return _both("Line", review, {"cores in use": review.curves.cores}, ("var(--waiting)",))


def memory(review: Review) -> str:
    """What the attempts that ran had at most."""
    gigabytes = [kilobytes / 1024**2 for kilobytes in review.curves.memory_kb]
    return _both("Line", review, {"memory in GB": gigabytes}, ("var(--waiting)",))


def _both(
    kind: str,
    review: Review,
    series: Mapping[str, Sequence[float]],
    colours: Sequence[str],
) -> str:
    """The chart for wide screens and for narrow ones; the page shows one of them."""
    return "".join(
        f'<div class="{name}">{_chart(kind, review, series, colours, name)}</div>' for name in SIZES
    )


def _chart(
    kind: str,
    review: Review,
    series: Mapping[str, Sequence[float]],
    colours: Sequence[str],
    size: str,
) -> str:
    width, height, letters = SIZES[size]
    parts = zip(*series.values(), strict=True)
    heights = [sum(part) if kind == "StackedBar" else max(part) for part in parts]
    chart = getattr(_pygal(), kind)(
        style=_style(colours, letters),
        width=width,
        height=height,
        js=(),
        disable_xml_declaration=True,
        pretty_print=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(series),
        legend_box_size=letters,
        margin=4,
        show_dots=False,
        fill=kind == "Line",
        show_x_guides=False,
        show_minor_x_labels=False,
        truncate_label=-1,
        include_x_axis=True,
        min_scale=3,
        max_scale=6,
        range=(0, max(1, *heights)),
        value_formatter=_number,
    )
    count = len(next(iter(series.values())))
    chart.x_labels = _times(review, count)
    step = max(1, round(count / _LABELS[size]))
    chart.x_labels_major = chart.x_labels[step // 2 :: step]
    for label, values in series.items():
        chart.add(label, [round(value, 3) for value in values])
    chart.add_xml_filter(_fit)
    rendered: str = chart.render(is_unicode=True)
    return rendered


def _pygal() -> Any:  # noqa: ANN401 # it has no types
    """Without the finder of plugins that it leaves behind: of its old kind Python warns at each
    later import.
    """
    import pygal

    sys.meta_path[:] = [found for found in sys.meta_path if type(found).__module__ != "pygal"]
    return pygal


def _style(colours: Sequence[str], letters: int) -> Any:  # noqa: ANN401 # pygal has no types
    from pygal.style import Style

    sizes = {
        f"{part}_font_size": letters
        for part in ("label", "major_label", "legend", "value", "title")
    }
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--text)",
        foreground_strong="var(--text)",
        foreground_subtle="var(--faint)",
        guide_stroke_color="var(--faint)",
        major_guide_stroke_color="var(--faint)",
        colors=tuple(colours),
        font_family="inherit",
        opacity=".85",
        opacity_hover="1",
        transition="0s",
        **sizes,
    )


def _fit(root: Any) -> Any:  # noqa: ANN401 # pygal has no types
    """No scripts, no remarks; what a point stands for the browser tells where one points at it."""
    for parent in [*root.iter()]:
        for child in [*parent]:
            if not isinstance(child.tag, str) or child.tag.endswith("script"):
                parent.remove(child)
        told = [child.text for child in parent if child.get("class") in ("value", "x_label")]
        if told:
            title = parent.makeelement("title", {})
            title.text = ", ".join(word for word in reversed(told) if word)
            parent.insert(0, title)
    return root


def _times(review: Review, count: int) -> list[str]:
    """When each part of the span begins, in the reader's zone; each is told in its own words."""
    span = review.end - review.begin
    seconds = span.total_seconds()
    form = "%m-%d" if seconds > _LONG_S else "%m-%d %H:%M" if seconds > _DAY_S else "%H:%M"
    return [_time(review.begin + span * part / count, form) for part in range(count)]


def _time(at: datetime, form: str) -> str:
    return text.local(at).strftime(form)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
