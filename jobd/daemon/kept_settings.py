"""What was set by hand, or by a reload, and outlives the daemon: the configuration, the number of
workers, and the groups.
"""

from __future__ import annotations

import json
import logging

import msgspec

from jobd.contract.configured import Configured, from_plain
from jobd.core.ledger import Ledger, Share
from jobd.daemon.setup import Setup
from jobd.store.reader import Reader
from jobd.store.settings import CONFIGURATION, Settings

log = logging.getLogger(__name__)


def configured(setup: Setup, reader: Reader) -> Configured:
    """What a reload has read outlives the daemon, not the next `jobd start`."""
    kept = reader.setting(CONFIGURATION)
    if kept is None or setup.fresh:
        return setup.configured
    try:
        found = from_plain(json.loads(kept))
    except (ValueError, KeyError, msgspec.ValidationError) as error:
        log.warning("what was reloaded counts no more: another version has written it: %s", error)
        return setup.configured
    is_of_this_start = found.origin.start == setup.configured.origin.start
    return found if is_of_this_start else setup.configured


def workers(setup: Setup, reader: Reader) -> int:
    """A number set with `jobctl workers` outlives the daemon, not the next `jobd start`."""
    by_hand = reader.setting("workers")
    if by_hand is None or setup.fresh:
        return setup.config.daemon.workers
    return int(by_hand)


def load_groups(setup: Setup, ledger: Ledger, settings: Settings) -> None:
    """In a transaction.

    What the configuration says of a group counts at `jobd start`, as with the workers.
    """
    for name, most, paused in settings.groups():
        ledger.set_group(name, Share(most, paused))
    for name, wanted in setup.config.groups.items() if setup.fresh else ():
        had = ledger.groups.get(name, Share())
        most = had.workers if wanted.workers is None else wanted.workers
        settings.set_group(name, most, paused=had.paused)
        ledger.set_group(name, Share(most, had.paused))
