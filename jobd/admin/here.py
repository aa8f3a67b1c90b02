"""The instance that a command is about: the one that the environment names."""

from __future__ import annotations

import click

from jobd.contract.paths import Paths, locate


def instance() -> Paths:
    """The one that the environment names. Raises: NotPermitted (it is not the caller's own)."""
    return checked(locate())


def checked(paths: Paths) -> Paths:
    from jobd.admin import own_instance

    own_instance.enter(paths, f"jobd {click.get_current_context().info_name}")
    return paths
