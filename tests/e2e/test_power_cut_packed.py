"""The power fails at any moment while outputs are compressed: each is whole, either way."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jobd.outputs.content import opened
from tests.e2e import power_cut
from tests.e2e.test_power_cut import LIBRARY, SEED
from tests.helpers import own

pytestmark = [pytest.mark.e2e, pytest.mark.local("what nodes write is not recorded")]

CUTS = 100
OUTPUTS = 5
PROGRAM = """
import os, sys
from pathlib import Path
from jobd.contract.directories import Directory
from jobd.outputs.packing import pack
from tests.e2e.power_cut import Record
from tests.e2e.test_power_cut_packed import OUTPUTS, content_of

root, note = Path(sys.argv[1]), Record(Path(sys.argv[2])).note
folder = Directory(root / "0")
os.umask(0o077)
for job in range(OUTPUTS):
    with open(folder.file(f"{job}.1.log").make(os.O_WRONLY), "wb", buffering=0) as file:
        file.write(content_of(job))
        os.fsync(file.fileno())
    folder.sync()
    Directory(root).sync()
    note(there=job)
for job in range(OUTPUTS):
    pack(folder.file(f"{job}.1.log"), lambda: True)
    note(packed=job)
"""


def content_of(job: int) -> bytes:
    """Some pages of text."""
    return b"".join(b"%d: line %d of this output\n" % (job, n) for n in range(2000))


@pytest.fixture
def base():
    directory = Path(tempfile.mkdtemp(prefix="jp-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


def recorded(base: Path, **environment: str) -> list[power_cut.Op]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library, root, record = base / "record.so", base / "root", base / "record"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, LIBRARY, "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    root.mkdir(mode=0o700)
    env = {
        **os.environ, "LD_PRELOAD": str(library), "RECORD_FILE": str(record),
        "RECORD_ROOT": str(root), **environment,
    }  # fmt: skip
    made = power_cut.Record(record)
    program = [sys.executable, "-c", PROGRAM, root, record]
    subprocess.run(program, check=True, env=env, cwd=Path(__file__).parents[2])
    return made.ops()


def broken(ops: list[power_cut.Op], base: Path) -> list[str]:
    """Outputs that are not whole, on so many disks."""
    wrong = []
    for number in range(CUTS):
        chance = random.Random(f"{SEED} {number}")
        upto = ops[: chance.randrange(1, len(ops) + 1)]
        choose = power_cut.CHOICES[number % len(power_cut.CHOICES)]
        place = base / str(number)
        power_cut.State(upto, choose(chance, upto)).write(str(base / "root"), place)
        notes = [power_cut.note_of(op) for op in upto if op.kind == "A"]
        for job in (note["there"] for note in notes if "there" in note):
            try:
                with opened(own(place / "0" / f"{job}.1.log")) as found:
                    whole = found.pread(10**9, 0) == content_of(job)
            except Exception:  # noqa: BLE001 - whatever it is, it cannot be read
                whole = False
            if not whole:
                wrong.append(f"{number}, {choose.__name__}: job {job}")
        shutil.rmtree(place)
    return wrong


def test_no_cut_takes_anything_of_an_output(base):
    ops = recorded(base)
    assert sum(op.kind == "R" for op in ops) == OUTPUTS
    assert sum(op.kind == "U" for op in ops) == OUTPUTS
    assert broken(ops, base) == []


def test_a_sync_that_is_left_out_is_found(base):
    """The test itself."""
    assert broken(recorded(base, RECORD_WITHOUT=".zst.new"), base)
