"""The work of scripts/demo: archive Python's own library, hashing and compressing file by file.

archive.py FORMAT DIGEST EVERY   every EVERY-th file into FORMAT-DIGEST.tar
archive.py verify COUNT          read all COUNT archives back and compare
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import tarfile
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
STEP = 10
"""Percent from one report to the next."""


def sources() -> list[Path]:
    found = (p.relative_to(LIBRARY) for p in LIBRARY.rglob("*.py"))
    return sorted(p for p in found if p.parts[0] not in {"site-packages", "dist-packages"})


def report(percent: float, message: str) -> None:
    """Tell jobd how far this job is: the last line of a file counts."""
    with open(os.environ.get("JOBD_PROGRESS", os.devnull), "a", encoding="utf-8") as file:
        file.write(f"{percent:.0f} {message}\n")


def pack(form: str, digest: str, every: int) -> None:
    files = sources()[::every]
    total = sum((LIBRARY / file).stat().st_size for file in files)
    target = Path(f"{form}-{digest}.tar")
    done = reported = 0
    with (
        tarfile.open(target, f"w:{form}") as archive,  # type: ignore[call-overload]
        open(target.with_suffix(".sums"), "w", encoding="utf-8") as sums,
    ):
        for file in files:
            content = (LIBRARY / file).read_bytes()
            sums.write(f"{hashlib.new(digest, content).hexdigest()}  {file}\n")
            archive.add(LIBRARY / file, arcname=str(file))
            done += len(content)
            if 100 * done // total >= reported + STEP:
                reported = 100 * done // total // STEP * STEP
                report(reported, str(file))
    packed = target.stat().st_size
    print(f"{len(files)} files, {done:,} bytes to {packed:,} ({100 * packed / done:.0f}%)")
    print(f"{digest} {hashlib.new(digest, target.read_bytes()).hexdigest()}")


def verify(count: int) -> None:
    """Compare every archived file with its sum and with the library. Raises: SystemExit."""
    targets = sorted(Path().glob("*.tar"))
    if len(targets) != count:
        sys.exit(f"{len(targets)} archives, not {count}")
    for target in targets:
        digest = target.stem.partition("-")[2]
        lines = target.with_suffix(".sums").read_text("utf-8").splitlines()
        sums = {name: value for value, name in (line.split("  ", 1) for line in lines)}
        with tarfile.open(target) as archive:
            for member in archive:
                stored = archive.extractfile(member)
                content = stored.read() if stored else b""
                sound = hashlib.new(digest, content).hexdigest() == sums.pop(member.name, "")
                if not sound or content != (LIBRARY / member.name).read_bytes():
                    sys.exit(f"{target.name}: {member.name} is damaged")
        if sums:
            sys.exit(f"{target.name}: {len(sums)} files are missing")
        print(f"verified {target.name}: {len(lines)} files, each as in the library")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["verify", count]:
            verify(int(count))
        case [form, digest, every]:
            pack(form, digest, int(every))
        case _:
            sys.exit(__doc__)
