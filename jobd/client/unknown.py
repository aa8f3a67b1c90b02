"""Why a filter selects nothing: the group or tag that it names may not be there at all."""

from __future__ import annotations

from shlex import quote

from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import List, Selector
from jobd.contract.overviews import Unknown
from jobd.contract.wording import closest


def unknown(client: Client, selector: Selector, *, with_tags: bool = True) -> Unknown:
    """To be asked where nothing was selected; nothing, where that cannot be asked.

    `with_tags`: also whether there is any job with such a tag, and how a part of a name is written.
    """
    try:
        return Unknown(
            _unknown_groups(client, selector) if selector.groups else [],
            [*_unknown_tags(client, selector), *_partial(selector)] if with_tags else [],
        )
    except JobdError:
        return Unknown()  # what was asked for is done, and this only helps to understand it


def _unknown_groups(client: Client, selector: Selector) -> list[str]:
    there = [share.name for share in client.groups().groups]
    return [_no_group(name, there) for name in selector.groups if name not in there]


def _unknown_tags(client: Client, selector: Selector) -> list[str]:
    return [f"no job has the tag {tag}" for tag in selector.tags if _has_none(client, tag)]


def _partial(selector: Selector) -> list[str]:
    """A pattern with no sign of one in it was meant as a part, as a rule."""
    given = (("--name", selector.name), ("--command", selector.command))
    return [
        f"{option} has to fit as a whole; a part of it: {option} {quote(f'*{pattern}*')}"
        for option, pattern in given
        if pattern and not set(pattern) & set("*?[")
    ]


def _no_group(name: str, there: list[str]) -> str:
    meant = closest(name, there)
    return f"there is no group {name}" + (f"; did you mean: {meant}" if meant else "")


def _has_none(client: Client, tag: str) -> bool:
    """As far as one page says so: nobody goes through a million jobs for a hint."""
    page = client.list(List(selector=Selector(tags=[tag]), limit=1, only_ids=True))
    return not page.ids and page.next is None
