"""How a command gets its client: one a process, made when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from jobctl.client import Client

P = ParamSpec("P")
R = TypeVar("R")


def current_client() -> Client:
    root = click.get_current_context().find_root()
    if root.obj is None:
        from jobctl.client import Client
        from jobctl.render import notices

        root.obj = root.with_resource(Client())
        root.obj.on_silence = notices.silent
    client: Client = root.obj
    return client


def pass_client(function: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Call a command with the client as its first argument."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(current_client(), *args, **kwargs)

    return wrapped
