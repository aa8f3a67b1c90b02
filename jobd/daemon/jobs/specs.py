"""From what a client asks of new jobs to what is stored of them, and back: no check, no queue."""

from __future__ import annotations

import zlib

from jobd.contract.models import Command, Options, Recipe
from jobd.core.ready_queue import Entry
from jobd.store.records import JobRow, Policy, Spec, Terms


def spec_of(command: Command, options: Options, *, cwd: bytes, umask: int) -> Spec:
    return Spec(
        argv=command.argv,
        shell=command.shell,
        cwd=cwd,
        umask=umask,
        requeue=options.requeue,
        nice=options.nice,
        interpreter=options.shell,
        stdin=options.stdin,
        progress=options.progress,
        max_output=options.max_output,
        packed_script=zlib.compress(command.script) if command.script else b"",
        variables=tuple(options.env),
        engine_options=tuple(options.engine_options),
    )


def recipe_of(row: JobRow) -> Recipe:
    """The opposite, but for what was meant for that one submit: key, times, dependencies."""
    spec, policy = row.spec, row.policy
    return Recipe(
        command=spec.command,
        cwd=spec.cwd,
        options=Options(
            name=row.name,
            tags=row.tags,
            priority=row.priority,
            group=row.group,
            slots=row.slots,
            gpus=row.gpus,
            time_limit=policy.time_limit,
            retries=policy.retries,
            retry_delay=policy.retry_delay,
            retry_on=list(policy.retry_on),
            requeue=spec.requeue,
            nice=spec.nice,
            shell=spec.interpreter,
            stdin=spec.stdin,
            progress=spec.progress,
            max_output=spec.max_output,
            notify=row.notify,
            engine_options=list(spec.engine_options),
            env=list(spec.variables),
        ),
    )


def terms_of(options: Options, user: str) -> Terms:
    """All but what is known only in the transaction: environment, time and parents."""
    return Terms(
        user=user,
        environment=0,
        name=options.name,
        priority=options.priority,
        group=options.group,
        slots=options.slots,
        gpus=options.gpus,
        tags=tuple(dict.fromkeys(options.tags)),
        held=options.hold,
        due_fixed=options.at is not None,
        policy=policy_of(options),
        key=options.key,
        notify=tuple(options.notify),
    )


def due_of(at: float | None, delay: float | None, now: int) -> int | None:
    """Not before when, in microseconds since the epoch; None: at once."""
    due = now + int((delay or 0) * 1e6) if at is None else int(at * 1e6)
    return due if due > now else None


def policy_of(options: Options) -> Policy:
    return Policy(options.time_limit, options.retries, options.retry_delay, tuple(options.retry_on))


def entry_of(job: int, options: Options) -> Entry:
    return Entry(job, options.priority, options.group, options.slots, options.gpus)


def same_submit(spec: Spec | None, wanted: Spec) -> bool:
    """Whether what is stored under a key is the command that is asked for again."""
    return spec is not None and (spec.argv, spec.shell, spec.cwd, spec.packed_script) == (
        wanted.argv, wanted.shell, wanted.cwd, wanted.packed_script,
    )  # fmt: skip
