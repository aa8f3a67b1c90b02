"""From what a client asks of new jobs to what is stored of them."""

from __future__ import annotations

from jobd.contract.models import Command, Options, Submit
from jobd.core.ready import Entry
from jobd.store.records import Policy, Spec, Terms


def spec_of(request: Submit, command: Command) -> Spec:
    options = request.options
    return Spec(
        argv=command.argv,
        shell=command.shell,
        cwd=request.cwd,
        umask=request.umask,
        requeue=options.requeue,
        nice=options.nice,
        interpreter=options.shell,
        stdin=options.stdin,
        progress=options.progress,
        max_output=options.max_output,
    )


def terms_of(options: Options, user: str, environment: int, now: int) -> Terms:
    """`now`: microseconds since the epoch, from which a delay counts."""
    return Terms(
        user=user,
        environment=environment,
        name=options.name,
        priority=options.priority,
        group=options.group,
        slots=options.slots,
        gpus=options.gpus,
        tags=tuple(dict.fromkeys(options.tags)),
        held=options.hold,
        due=_due(options, now),
        due_fixed=options.at is not None,
        policy=policy_of(options),
        key=options.key,
    )


def _due(options: Options, now: int) -> int | None:
    if options.at is not None:
        return int(options.at * 1e6)
    return None if not options.delay else now + int(options.delay * 1e6)


def policy_of(options: Options) -> Policy:
    return Policy(options.time_limit, options.retries, options.retry_delay, tuple(options.retry_on))


def entry_of(job: int, options: Options) -> Entry:
    return Entry(job, options.priority, options.group, options.slots, options.gpus)
