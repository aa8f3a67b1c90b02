"""What `pause` and `resume` share: jobs, or one group, and never both."""

from __future__ import annotations

from typing import Literal

import click
import msgspec

from jobctl.actions.bulk import PAUSABLE, pretend
from jobctl.parsing.selector_options import must_name, narrowed
from jobctl.render import notices
from jobd.client.client import Client
from jobd.contract.models import Pause, Resume, Selector, State

Verb = Literal["pause", "resume"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was written; `selector` None: `-` gave nothing."""

    selector: Selector | None
    group: str | None
    running: bool
    dry_run: bool


def change(client: Client, verb: Verb, asked: Asked) -> int:
    """Pause or resume, print the ids of the jobs. Gives the exit code.

    Raises: click.UsageError.
    """
    if asked.group is not None:
        return _group(client, verb, asked, asked.group)
    if asked.running:
        raise click.UsageError("--running goes with --group G; all that run: --all")
    selector = must_name(asked.selector, "--all, --group G")
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, PAUSABLE)
    if asked.dry_run:
        return pretend(client, selector, PAUSABLE)
    if verb == "pause":
        return notices.acted(client.pause(Pause(selector=selector)))
    return notices.acted(client.resume(Resume(selector=selector)))


def _group(client: Client, verb: Verb, asked: Asked, group: str) -> int:
    if asked.selector is None or asked.selector.named:
        raise click.UsageError("name either jobs or --group G")
    if asked.dry_run:
        running = Selector(groups=[group], states=[State.RUNNING])
        return pretend(client, running, PAUSABLE) if asked.running else 0
    paused = next((share.paused for share in client.groups().groups if share.name == group), None)
    if verb == "pause":
        acted = client.pause(Pause(group=group, running=asked.running))
    else:
        acted = client.resume(Resume(group=group, running=asked.running))
    code = notices.acted(acted, of_jobs=False)
    if not code:
        notices.group_halted(group, paused=verb == "pause", before=paused)
    return code
