"""Whether a job could ever start as things are, and what it lacks if not.

Whether it may start just now is another question, and that of the ready queue: here nobody looks at
what is busy. What a job lacks may come, when workers are raised or GPUs are configured.
"""

from __future__ import annotations

from jobd.contract.models import Lack
from jobd.contract.states import Resource


def lacks(
    slots: int, gpus: int, *, workers: int, share: int | None, devices: int
) -> tuple[Lack, ...]:
    """All that a job needs more of than there is; nothing: it could start.

    `workers`: how many there are. `share`: how many of them its group may have; None: all.
    `devices`: GPUs that there are.
    """
    there_are = (
        (Resource.WORKERS, slots, workers),
        (Resource.GROUP, slots, share),
        (Resource.GPUS, gpus, devices),
    )
    return tuple(
        Lack(what=what, needs=needs, have=have)
        for what, needs, have in there_are
        if have is not None and needs > have
    )


def is_too_large(lack: Lack) -> bool:
    """Whether the job stands out by what it lacks.

    Where there are no workers at all, the job that needs one waits for the first like all others.
    """
    return lack.needs > 1 or lack.what is Resource.GPUS
