"""The way to the daemon: one typed method a request, over one round trip each.

Also the Python API:

    from jobctl import Client

    with Client() as client:
        print(client.workers().busy)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from msgspec.structs import replace

from jobd.client.address import Address
from jobd.client.connection import Connection
from jobd.contract import models, wire
from jobd.contract.errors import BadRequest, NotPermitted, VersionMismatch
from jobd.contract.models import Request, Selector, View

V = TypeVar("V", bound=View)


class Client:
    """A connection to the daemon, made when it is first needed, and again when it breaks.

    One thread at a time may use it. Every method raises JobdError: NotRunning (no daemon, or it
    went away and did not come back), NotPermitted, VersionMismatch, and whatever the daemon
    refuses.
    """

    def __init__(
        self,
        socket_path: Path | None = None,
        *,
        owner: int | None = None,
        on_silence: Callable[[float], object] = lambda _: None,
    ) -> None:
        """`owner`: the number of a user whose daemon it may be, beside our own user and root.

        `on_silence`: called once when the daemon has not answered for so many seconds.
        """
        self._connection = Connection(Address(socket_path, owner), on_silence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._connection.close()

    def request(self, request: Request, kind: type[V]) -> V:
        """Send a request and give its answer; all other methods stand on this one."""
        return self._connection.request(request, kind)

    # --- requests -------------------------------------------------------------------------

    def submit(self, request: models.Submit) -> models.Submitted:
        """Put commands into the queue, all or none.

        Raises: ShuttingDown, BadRequest (no queue could take it; names the field), NotFound (no
        such parent or group), Refused (it could never start, or its key is another job's).
        """
        return self.request(wire.bundled(request), models.Submitted)

    def graph(self, request: models.Graph) -> models.Submitted:
        """Put jobs that wait for each other into the queue, all or none.

        Raises: as `submit` does; it names the node, too.
        """
        return self.request(request, models.Submitted)

    def list(self, request: models.List) -> models.Page:
        """One page of jobs; `follow.pages` gives all of them."""
        return self.request(request, models.Page)

    def show(
        self, job: int, *, environment: bool = False, recipe: bool = False, usage: bool = False
    ) -> models.Shown:
        """Everything about one job, also its environment, its options, or what it uses while it
        runs (as far as the daemon is one that can tell). Raises: NotFound.
        """
        request = models.Show(id=job, environment=environment, recipe=recipe, usage=usage)
        try:
            return self.request(request, models.Shown)
        except VersionMismatch:
            if not usage:
                raise
        return self.request(replace(request, usage=False), models.Shown)

    def recipe(self, job: int) -> models.Recipe:
        """How to submit such a job again. Raises: NotFound, NotPermitted (we are a viewer)."""
        shown = self.show(job, recipe=True)
        if shown.recipe is None:
            raise NotPermitted(
                "not permitted: a viewer may not see how a job was submitted, only its owner and "
                "admins may"
            )
        return shown.recipe

    def output(self, request: models.Output) -> models.Piece:
        """A piece of a job's output, held back for `request.wait` seconds. Raises: NotFound."""
        return self.request(request, models.Piece)

    def events(self, request: models.Events) -> models.EventPage:
        """What happened behind `request.after`, held back for `request.wait` seconds."""
        return self.request(request, models.EventPage)

    def history(self, request: models.History) -> models.HistoryPage:
        """One page of finished attempts, also of removed jobs; `past.attempts` gives all."""
        return self.request(request, models.HistoryPage)

    def wait(self, request: models.Wait) -> models.Waited:
        """Whether the jobs have finished, held back for `request.wait` seconds."""
        return self.request(request, models.Waited)

    # Of all that takes `dry_run`: the answer is what it would be, and nothing is changed.

    def start(self, selector: Selector, *, dry_run: bool = False) -> models.Acted:
        """Held or stopped jobs become pending again."""
        return self.request(models.Start(selector=selector, dry_run=dry_run), models.Acted)

    def hold(self, selector: Selector, *, dry_run: bool = False) -> models.Acted:
        """Pending jobs do not start before they are let go with `start`."""
        return self.request(models.Hold(selector=selector, dry_run=dry_run), models.Acted)

    def pause(self, request: models.Pause) -> models.Acted:
        """Halt running jobs, or let a group start nothing."""
        return self.request(request, models.Acted)

    def resume(self, request: models.Resume) -> models.Acted:
        """Let halted jobs, or a group, go on."""
        return self.request(request, models.Acted)

    def edit(self, request: models.Edit) -> models.Acted:
        """Change a pending job. Raises: NotFound, Refused (it is not pending), BadRequest."""
        return self.request(request, models.Acted)

    def groups(self, request: models.Groups | None = None) -> models.GroupsReply:
        """All groups, after one was added, set or removed. Raises: Refused, BadRequest."""
        return self.request(request or models.Groups(), models.GroupsReply)

    def stop(
        self,
        selector: Selector,
        *,
        grace: float | None = None,
        signal: int = 15,
        removing: bool = False,
        dry_run: bool = False,
    ) -> models.Acted:
        """Ask jobs to end; KILL after `grace` seconds. Returns before they have ended.

        `removing`: those that others wait for are refused.
        """
        request = models.Stop(
            selector=selector, grace=grace, signal=signal, removing=removing, dry_run=dry_run
        )
        return self.request(request, models.Acted)

    def restart(
        self,
        selector: Selector,
        *,
        environment: Mapping[bytes, bytes] | None = None,
        dry_run: bool = False,
    ) -> models.Acted:
        """Finished jobs become pending again; `environment` replaces the captured one."""
        fresh = None if environment is None else dict(environment)
        request = models.Restart(selector=selector, environment=fresh, dry_run=dry_run)
        return self.request(request, models.Acted)

    def rm(self, selector: Selector, *, dry_run: bool = False) -> models.Acted:
        """Delete finished jobs and their output."""
        return self.request(models.Rm(selector=selector, dry_run=dry_run), models.Acted)

    def progress(self, job: int, percent: float, message: str | None = None) -> models.Acted:
        """Report progress (0 to 100) from inside a job. Raises: NotFound, Refused."""
        request = models.Progress(id=job, percent=percent, message=message)
        return self.request(request, models.Acted)

    def workers(self, workers: int | None = None) -> models.WorkersReply:
        """Show (None) or set how many jobs run at a time."""
        return self.request(models.Workers(workers=workers), models.WorkersReply)

    def reload(self) -> models.Reloaded:
        """Read the configuration again. Raises: JobdError (it is wrong: nothing has changed)."""
        return self.request(models.Reload(), models.Reloaded)

    def configuration(self) -> models.Holding:
        """What of the configuration holds, and whence."""
        return self.request(models.Configuration(), models.Holding)

    def notify(self, to: str = "") -> models.Notified:
        """Send a test message to a rule, a URL, or (empty) by all rules. Raises: NotFound."""
        return self.request(models.Notify(to=to), models.Notified)

    def notifications(self, request: models.Notifications) -> models.Deliveries:
        """The latest messages; held back for `request.wait` seconds."""
        return self.request(request, models.Deliveries)

    def forget(self) -> models.Forgotten:
        """What a power cut took of outputs is told no more."""
        return self.request(models.Forget(), models.Forgotten)

    def status(self, *, sizes: bool = False, gpus: bool = False) -> models.DaemonStatus:
        """The daemon about itself; `sizes`: also what all outputs take, `gpus`: what those of its
        machine do (as far as the daemon is one that can tell).
        """
        request = models.Status(sizes=sizes, gpus=gpus)
        try:
            return self.request(request, models.DaemonStatus)
        except (VersionMismatch, BadRequest):
            # The latter by one of the same version that does not know of them yet.
            if not gpus:
                raise
        return self.request(replace(request, gpus=False), models.DaemonStatus)

    def metrics(self) -> models.MetricsText:
        """Metrics as Prometheus reads them. Raises: Refused (they are off)."""
        return self.request(models.Metrics(), models.MetricsText)

    def shutdown(self, *, now: bool = False, timeout: float | None = None) -> models.ShutdownReply:
        """Drain and exit; past `timeout` seconds, or at once with `now`, end what runs."""
        request = models.Shutdown(now=now, timeout=timeout)
        return self.request(request, models.ShutdownReply)

    def renew(self) -> models.RenewReply:
        """Replace the daemon's processes by fresh ones; jobs go on."""
        return self.request(models.Renew(), models.RenewReply)
