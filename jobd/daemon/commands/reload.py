"""`reload`: the configuration is read again, and as much of it as can count at once does."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jobd.contract import configured
from jobd.contract.access import AccessConfig
from jobd.contract.call import Call, Caller, Role
from jobd.contract.config import Config
from jobd.contract.configured import Configured, change_text
from jobd.contract.errors import JobdError
from jobd.contract.models import Change, Reload, Reloaded, Workers
from jobd.core.reconfiguration import differences
from jobd.daemon.commands.groups import ManageGroups
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.commands.workers import SetWorkers
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.settings import CONFIGURATION, Settings

log = logging.getLogger(__name__)


class Reloading:
    """Called by clients' threads, and by that of the signals; what it answers is on disk.

    What it has read outlives the daemon: the next one goes by all of it, until `jobd start`.
    """

    def __init__(
        self,
        *,
        usual: Path,
        check: Callable[[Config, Path], object],
        in_force: InForce,
        idempotency: Idempotency,
        settings: Settings,
        workers: SetWorkers,
        groups: ManageGroups,
        notifier: Notifier,
        admit: Callable[[AccessConfig], object],
    ) -> None:
        """`usual`: the file, if `--config` named none. `check`: raises JobdError where no daemon
        could go by it. `admit`: told who may come in from then on.
        """
        self._usual = usual
        self._check = check
        self._in_force = in_force
        self._idempotency = idempotency
        self._settings = settings
        self._workers = workers
        self._groups = groups
        self._notifier = notifier
        self._admit = admit
        self._one_at_a_time = threading.Lock()
        """What was read last counts: also while the file is read nobody else reloads."""

    def reload(self, _request: Reload, call: Call) -> Reloaded:
        """Raises: JobdError (the file is wrong, or no daemon could go by it), and as
        `config_file.load`: nothing has changed then.
        """
        with self._one_at_a_time:
            loaded = configured.read(self._usual, self._in_force.held.loaded.origin)
            self._check(loaded.config, configured.file_of(self._usual, loaded.origin))
            action = partial(self._take_over, loaded, call)
            found = self._idempotency.once(call.id, Reloaded, action)
            self._admit(self._in_force.config.access)
        # Rules may be the first, and what they are about may have happened just now.
        self._notifier.wished()
        for change in found.changes:
            log.info("reloaded by %s: %s", call.user, change_text(change))
        return found

    def by_signal(self, owner: str) -> None:
        """SIGHUP: the same, and the log has the answer."""
        try:
            found = self.reload(Reload(), Call(Caller(owner, Role.ADMIN)))
        except JobdError as error:
            log.warning("the configuration stays as it is: %s", error)
        except Exception:
            log.exception("the configuration stays as it is")
        else:
            log.info("%s was read again", found.file)

    def _take_over(self, loaded: Configured, call: Call) -> Reloaded:
        """In a transaction."""
        before = self._in_force.config
        self._settings.set(CONFIGURATION, json.dumps(configured.to_plain(loaded)))
        self._in_force.replace(loaded)
        self._share_out(before, self._in_force.config, call)
        if self._in_force.rules:
            self._settings.note_wish()
        file = configured.file_of(self._usual, loaded.origin)
        return Reloaded(
            file=str(file).encode("utf-8", "replace").decode(),
            changes=[
                Change(
                    key=one.key, counts=one.counts,
                    before=configured.shown(one.key, one.before),
                    after=configured.shown(one.key, one.after),
                )
                for one in differences(before, loaded.config)
            ],
        )  # fmt: skip

    def _share_out(self, before: Config, now: Config, call: Call) -> None:
        """What was set by command stays where the file says the same as before."""
        if now.daemon.workers != before.daemon.workers:
            self._workers.workers(Workers(workers=now.daemon.workers), call)
        for name, group in now.groups.items():
            if group != before.groups.get(name):
                self._groups.configure(name, group.workers, call.user)
