"""How a command gets its client: one a process, made when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from jobd.contract.errors import BadRequest

if TYPE_CHECKING:
    from jobd.client.client import Client
    from jobd.contract.models import Selector
    from jobd.contract.overviews import Unknown

P = ParamSpec("P")
R = TypeVar("R")


LINE: Final = f"{__name__}.line"
"""Under which the context of `submit` keeps the words that it was given: others' options are
explained with their values.
"""
_OWNER: Final = f"{__name__}.owner"
"""Under which the context keeps the number of whom `--owner` named."""


def name_owner(ctx: click.Context, _param: click.Parameter, user: str | None) -> None:
    """The callback of `--owner`. Raises: BadRequest (there is no such user)."""
    if user is None:
        return
    from jobd.contract.ownership import number_of

    number = number_of(user)
    if number is None:
        raise BadRequest(f"--owner: there is no user {user!r}")
    ctx.meta[_OWNER] = number


def may_be_quiet(said: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The option `--quiet`; `said`: its help."""
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_be_quiet, help=said
    )


def _be_quiet(ctx: click.Context, _param: click.Parameter, quiet: bool) -> None:  # noqa: FBT001 # as click has it
    if quiet and not ctx.resilient_parsing:
        from jobctl.render import streams

        ctx.with_resource(streams.quiet())


def current_client() -> Client:
    root = click.get_current_context().find_root()
    if root.obj is None:
        from jobctl import lean
        from jobctl.render import notices

        lean.rpyc()
        from jobd.client.client import Client

        owner = root.meta.get(_OWNER)
        root.obj = root.with_resource(Client(owner=owner, on_silence=notices.silent))
    client: Client = root.obj
    return client


def connecting() -> Callable[[], Client]:
    """What makes more clients like that one, in any thread; they say nothing by themselves."""
    from jobd.client.client import Client

    owner = click.get_current_context().find_root().meta.get(_OWNER)
    return lambda: Client(owner=owner)


def why_none(selector: Selector) -> Callable[[], Unknown]:
    """What says why this selected nothing, as far as names in it are to blame."""

    def asked() -> Unknown:
        from jobctl.render import streams
        from jobd.client.unknown import unknown

        return unknown(current_client(), selector, with_tags=streams.tells_person())

    return asked


def _with_ids(client: Client, value: Any) -> Any:  # noqa: ANN401 # what was given
    """The same, with ids where `last` and its like stood."""
    from msgspec.structs import replace

    from jobctl.parsing.param_types import Relative
    from jobd.contract.models import Selector

    ranges = value
    if isinstance(value, Relative):
        ranges = [(value, value)]
    elif isinstance(value, Selector):
        ranges = value.ids
    if not _are_relative(ranges):
        return value
    from jobd.client.relative import absolute

    found = absolute(client, ranges)
    if isinstance(value, Relative):
        return found[0][0]
    return replace(value, ids=found) if isinstance(value, Selector) else found


def _are_relative(ranges: object) -> bool:
    pairs = ranges if isinstance(ranges, list) else []
    return any(
        isinstance(pair, tuple) and isinstance(pair[0], int) and pair[0] < 0 for pair in pairs
    )


def pass_client(function: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Call a command with the client as its first argument.

    Where its other arguments name jobs by how lately they were submitted, it gets their ids.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        client = current_client()
        for name, value in kwargs.items():
            kwargs[name] = _with_ids(client, value)
        return function(client, *args, **kwargs)

    return wrapped
