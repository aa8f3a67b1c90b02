"""Whether a job could ever start as things are, and what it lacks if not.

Whether it may start just now is another question, and that of the ready queue: here nobody looks at
what is busy. What a job lacks may come, when workers are raised or GPUs are configured.
"""

from __future__ import annotations

from jobd.contract.models import Lack
from jobd.contract.states import Resource


def lacks(slots: int, gpus: int, *, workers: int, share: int | None, devices: int) -> list[Lack]:
    """All that a job needs more of than there is; nothing: it could start.

    `workers`: how many there are. `share`: how many of them its group may have; None: all.
    `devices`: GPUs that there are.
    """
    found = []
    if slots > workers:
        found.append(Lack(what=Resource.WORKERS, needs=slots, have=workers))
    if share is not None and slots > share:
        found.append(Lack(what=Resource.GROUP, needs=slots, have=share))
    if gpus > devices:
        found.append(Lack(what=Resource.GPUS, needs=gpus, have=devices))
    return found


def is_too_large(lack: Lack) -> bool:
    """Whether the job stands out by what it lacks.

    Where there are no workers at all, the job that needs one waits for the first like all others.
    """
    return lack.needs > 1 or lack.what is Resource.GPUS
