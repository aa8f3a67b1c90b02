"""The queue that people see in all that was read by eye: `ls`, `watch`, `logs` of many, `top`."""

from jobd.contract.models import Array, Page
from jobd.contract.states import State
from tests.jobctl.fakes import NOON, job

_NAMES = [
    f"imagenet-resnet50-lr{rate}-warmup{steps}-seed1-final"
    for rate in ("0.1", "0.01", "0.001")
    for steps in (0, 100, 500, 1000)
]


def busy_queue():
    """Twelve long names that differ in their middle, one whose program is not there, an array of
    10,000, and a group that is paused.
    """
    command = "python train.py --config configs/imagenet.yaml --output runs/{}"
    jobs = [
        job(number, "running", name=name, run_s=130.0 * number, started_at=NOON, pid=4000 + number,
            progress=number * 5.0, eta_s=1800.0, cpu_s=125.0 * number, rss_kb=number * 300_000,
            attempt=1, command=command.format(name), output_path=f"/output/0/{number}.1.log")
        for number, name in enumerate(_NAMES[:4], start=11)
    ] + [
        job(number, "pending", name=name, command=command.format(name), reason="queued")
        for number, name in enumerate(_NAMES[4:], start=15)
    ]  # fmt: skip
    jobs += [
        job(1, "pending", group="gpu", name="held-back", reason="group paused", priority=100),
        job(47, "pending", name="sweep", command="./simulate $JOBD_ARRAY_INDEX", array_index=4312),
        job(2, "pending", name="later", reason="held"),
        job(5, "failed", reason="exit code 127", command="pyhton evaluate.py --all", run_s=0.1,
            started_at=NOON, finished_at=NOON, exit_code=127, attempt=1),
        *(
            job(number, "completed", name=f"fetch-{number}", run_s=41.0, started_at=NOON,
                command="curl -O https://example.org/data.tar.gz", finished_at=NOON, attempt=1)
            for number in (9, 8, 7)
        ),
        job(6, "stopped", name="too-large", reason="by user", run_s=3.0, started_at=NOON,
            finished_at=NOON, attempt=1),
    ]  # fmt: skip
    counts = {
        State.RUNNING: 7, State.PENDING: 5_698, State.COMPLETED: 4_304, State.FAILED: 9,
        State.STOPPED: 1,
    }  # fmt: skip
    array = Array(
        first=47, last=10_046, first_index=1, last_index=10_000, eta_s=2_520.0,
        counts={State.COMPLETED: 4_301, State.RUNNING: 3, State.FAILED: 8, State.PENDING: 5_688},
    )  # fmt: skip
    return Page(jobs=jobs, counts=counts, arrays={47: array})
