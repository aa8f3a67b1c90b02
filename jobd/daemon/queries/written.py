"""What running jobs have printed beyond what somebody knows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from jobd.contract.errors import NotFound
from jobd.core.ledger import Ledger
from jobd.outputs.workspace import Output, Workspaces


class Written:
    """Any thread may ask. Jobs that do not run, or whose output cannot be read, have no news."""

    def __init__(
        self,
        workspaces: Workspaces,
        ledger: Ledger,
        attempt_of: Callable[[int], tuple[str, int] | None],
    ) -> None:
        """`attempt_of` a running job: its engine and its number."""
        self._workspaces = workspaces
        self._ledger = ledger
        self._attempt_of = attempt_of

    def beyond(self, known: Mapping[int, int]) -> list[int]:
        """The jobs that have printed more than so many bytes."""
        try:
            return [job for job, output in self._running(known) if output.has_more(known[job])]
        finally:
            if not self._ledger.busy:
                self._workspaces.release()

    def outputs(self, jobs: Iterable[int]) -> list[Output]:
        """What they print into just now."""
        return [output for _, output in self._running(jobs)]

    def _running(self, jobs: Iterable[int]) -> Iterator[tuple[int, Output]]:
        for job in jobs:
            attempt = self._attempt_of(job)
            if attempt is not None:
                engine, number = attempt
                with suppress(NotFound):
                    yield job, self._workspaces.output_of(engine, job, number)
