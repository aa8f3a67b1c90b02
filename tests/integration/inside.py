"""A daemon inside the test's own process, and what tests ask of it."""

import sqlite3
from contextlib import closing

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract import wire
from jobd.contract.call import Caller, Role
from jobd.contract.config import Config, from_builtins
from jobd.contract.configured import Configured
from jobd.contract.destinations import shell_line
from jobd.contract.models import Command, List, Options, Output, Selector, Submit
from jobd.contract.paths import locate
from jobd.contract.states import State
from jobd.core.notification.message import Message, Target
from jobd.daemon.instance import Daemon
from jobd.daemon.setup import Setup
from jobd.store.deliveries import Planned
from jobd.system.clock import now_us

ME = Caller("me", Role.ADMIN)
TABLES = [name for name in Config.__struct_fields__ if name != "daemon"]
ENVIRONMENT = {b"PATH": b"/usr/bin:/bin"}


def submit_of(*lines, name="", priority=0, environment=None):
    """The request for these shell lines."""
    return Submit(
        commands=[Command(argv=[line.encode()], shell=True) for line in lines],
        options=Options(name=name, priority=priority),
        cwd=b"/",
        environment=ENVIRONMENT if environment is None else environment,
    )


def submit_with(inside, line="true", **options):
    """Submit a shell line with these options; its id."""
    request = submit_of(line)
    return inside.client.submit(
        Submit(
            commands=request.commands, options=Options(**options), cwd=b"/",
            environment=request.environment,
        )
    ).first  # fmt: skip


def ids(*jobs):
    """These jobs as a selector."""
    return Selector(ids=[(job, job) for job in jobs])


class Inside:
    def __init__(self, home, unsaved=None, **config):
        """`unsaved`: as `Setup.unsaved`."""
        self.paths = locate({"JOBD_HOME": str(home)})
        tables = {key: config.pop(key) for key in TABLES if key in config}
        whole = from_builtins({"daemon": config, **tables})
        configured = Configured(config=whole)
        setup = Setup(paths=self.paths, configured=configured, unsaved=unsaved or {})
        self.daemon = Daemon(setup, link=None)
        self._clients = []
        self._open = True
        try:
            self.daemon.start()
        except BaseException:
            self.daemon.close(clean=False)
            raise
        self.client = self.connect()

    def connect(self):
        client = Client(self.paths.socket)
        self._clients.append(client)
        return client

    def close(self):
        if not self._open:
            return
        self._open = False
        self.daemon.built.execution.drain.begin()
        if self.daemon.built.execution.runs:
            self.daemon.built.execution.stop_orders.end_all()
            running = follow.settled(self.client, Selector(states=[State.RUNNING]))
            # They may have ended just now.
            if running is not None:
                follow.until_finished(self.client, running)
        # Whoever still waits is told something first.
        for client in self._clients:
            client.close()
        self.daemon.close(clean=True)

    def abandon(self):
        """Its daemon is closed already."""
        self._open = False
        for client in self._clients:
            client.close()

    # --- requests ---------------------------------------------------------------------------

    def submit(self, *lines, **options):
        return self.client.submit(submit_of(*lines, **options)).first

    def many(self, line, count):
        """The request for so many jobs of the same line."""
        return submit_of(*[line] * count)

    def newest(self, count):
        """The ids of the jobs that finished last."""
        rows = self.sql(
            "SELECT id FROM jobs WHERE finished_at > 0 ORDER BY finished_at DESC, id DESC LIMIT ?",
            count,
        )
        return [job for (job,) in rows]

    def send(self, command):
        """A message to this command, by nobody's rule; its number."""
        built, now = self.daemon.built, now_us()
        planned = Planned(
            Target(rule="test", to=shell_line(command)), Message(occasion="test", at=now, said="it")
        )
        deliveries = built.ground.tables.deliveries
        number = built.ground.writer.call(lambda: deliveries.add(planned, now))
        built.telling.outbox.wake()
        return number

    def ask(self, request, request_id=b"", kind=None):
        """The daemon's raw answer to a request with an id of our choice."""
        answer = self.daemon.built.server.dispatch.answer(
            wire.encode_request(request, request_id), ME
        )
        return answer if kind is None else wire.decode_reply(answer, kind)

    def wait(self, *jobs):
        waited = follow.until_finished(self.client, ids(*jobs), timeout=60)
        assert waited.done, waited.counts
        return waited

    def job(self, job):
        return self.client.show(job).job

    def output(self, job, **which):
        return self.client.output(Output(id=job, **which)).data

    def listed(self, **which):
        pages = follow.pages(self.client, List(**which))
        return [job.id for page in pages for job in page.jobs]

    # --- the disk -----------------------------------------------------------------------------

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.paths.database)) as database, database:
            return database.execute(statement, values).fetchall()

    def counts_on_disk(self):
        found = dict(self.sql("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
        return {state: found.get(state.value, 0) for state in State}
