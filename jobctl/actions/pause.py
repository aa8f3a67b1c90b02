"""Pause and resume groups: what was so already is told from what changed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from jobd.client.client import Client
from jobd.contract.models import Acted, Pause, Resume, Selector

Verb = Literal["pause", "resume"]


class OfGroup(Struct, frozen=True):
    """What a pause of a group, or its end, has done."""

    acted: Acted
    """Jobs that were halted, or go on, too."""
    was_paused: bool | None
    """Before; None: there was no such group."""


def jobs(client: Client, verb: Verb, selector: Selector, *, dry_run: bool) -> Acted:
    """Halt running jobs, or let them go on."""
    if verb == "pause":
        return client.pause(Pause(selector=selector, dry_run=dry_run))
    return client.resume(Resume(selector=selector, dry_run=dry_run))


def group(
    client: Client, verb: Verb, name: str, *, running: bool, dry_run: bool = False
) -> OfGroup:
    """Let a group start nothing, or jobs again; with `running` what it runs is halted, too."""
    before = next((share.paused for share in client.groups().groups if share.name == name), None)
    if verb == "pause":
        return OfGroup(client.pause(Pause(group=name, running=running, dry_run=dry_run)), before)
    return OfGroup(client.resume(Resume(group=name, running=running, dry_run=dry_run)), before)
