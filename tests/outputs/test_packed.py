"""A compressed output is the same to whoever reads it, and nothing that happens loses any of it."""

import errno
import os
import random
import shutil
import subprocess

import pytest

from jobd.contract import directories
from jobd.contract.errors import Refused, StoreFailed
from jobd.outputs import packed, packing
from jobd.outputs.content import opened
from jobd.outputs.files import PIECE, read_head, read_piece, read_tail
from jobd.outputs.limit import cut
from jobd.outputs.packed import FRAME
from jobd.outputs.packing import Packing, pack, stored
from jobd.system import leases
from tests.helpers import own

LINES = b"".join(b"%09d some words that come again and again\n" % n for n in range(60_000))
"""Nearly three frames."""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "7.1.log"
    path.write_bytes(LINES)
    return path


def names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def kept():
    return True


def test_it_is_smaller_and_says_both_sizes(path):
    os.utime(path, ns=(1, 10**18))
    assert pack(own(path), kept) is Packing.DONE
    assert names(path) == ["7.1.log.zst"]
    found = stored(own(path))
    assert found.path == f"{path}.zst"
    assert found.kept == len(LINES)
    assert found.room < len(LINES) / 4
    made = os.stat(found.path)
    assert (made.st_mode & 0o777, made.st_mtime_ns) == (0o600, 10**18)


def pieces(path, offset=0, tail=None):
    data = b""
    while True:
        found = read_piece(own(path), offset, tail, missing_ok=False)
        data += found.data
        if found.last:
            return data
        offset, tail = found.next, None


@pytest.mark.parametrize("lines", [0, 1, 3, 20_000, 59_999, 10**9])
def test_last_lines_and_pieces_are_the_same(path, lines):
    before = pieces(path, tail=lines), read_tail(own(path), 5000), read_head(own(path), 70)
    offsets = [0, 1, FRAME - 1, FRAME, FRAME + 1, len(LINES) - 1, len(LINES), len(LINES) + 9]
    read = [read_piece(own(path), at, None, missing_ok=False) for at in offsets]
    pack(own(path), kept)
    assert before == (
        pieces(path, tail=lines),
        read_tail(own(path), 5000),
        read_head(own(path), 70),
    )
    assert [read_piece(own(path), at, None, missing_ok=False) for at in offsets] == read
    assert len(read[0].data) == PIECE


def test_what_was_read_before_is_known_again(path):
    seen = LINES[70:134]
    pack(own(path), kept)
    assert not read_piece(own(path), 134, None, missing_ok=False, seen=seen).anew
    assert read_piece(own(path), 134, None, missing_ok=False, seen=b"x" * 64).anew


def test_any_piece_of_anything(tmp_path):
    dice = random.Random(7)
    content = b"".join(dice.randbytes(20) * dice.randrange(900) for _ in range(300))
    path = tmp_path / "1.1.log"
    path.write_bytes(content)
    assert pack(own(path), kept) is Packing.DONE
    with opened(own(path)) as found:
        assert found.size() == len(content)
        for _ in range(200):
            at, count = dice.randrange(len(content) + 10), dice.randrange(3 * FRAME)
            assert found.pread(count, at) == content[at : at + count]


def test_what_was_cut_stays_cut(path):
    assert cut(own(path), 500_000, final=True)
    before = pieces(path), pieces(path, tail=10_000), stored(own(path)).kept
    assert b"cut here, --max-output 500 kB]" in before[0]
    assert pack(own(path), kept) is Packing.DONE
    assert (pieces(path), pieces(path, tail=10_000), stored(own(path)).kept) == before


def test_a_hole_is_not_read(path, monkeypatch):
    """It may be terabytes long."""
    os.truncate(path, 300 * FRAME)
    with path.open("ab") as file:
        file.write(LINES)
    assert cut(own(path), 500_000, final=True)
    taken = []
    pread = os.pread

    def counting(descriptor, count, offset):
        taken.append(count)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(packed.os, "pread", counting)
    before = pieces(path)
    taken.clear()
    pack(own(path), kept)
    assert sum(taken) < 6 * FRAME
    assert pieces(path) == before


@pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd program here")
def test_other_programs_read_it(path):
    pack(own(path), kept)
    done = subprocess.run(["zstd", "-dc", f"{path}.zst"], check=True, capture_output=True)
    assert done.stdout == LINES


@pytest.mark.parametrize("content", [b"", b"short\n" * 500, random.Random(1).randbytes(3 * FRAME)])
def test_what_would_not_become_smaller_stays(path, content):
    path.write_bytes(content)
    assert pack(own(path), kept) is Packing.UNFIT
    assert names(path) == ["7.1.log"]


def test_what_somebody_may_still_write_to_stays(path):
    with path.open("ab") as left_behind:
        assert pack(own(path), kept) is Packing.WRITTEN_TO
        left_behind.write(b"more\n")
    assert names(path) == ["7.1.log"]
    with path.open("rb"):  # whoever reads is in nobody's way
        assert pack(own(path), kept) is Packing.DONE
    assert pieces(path) == LINES + b"more\n"


def test_what_is_written_to_while_it_is_compressed_stays(path, monkeypatch):
    def and_more(*given):
        done = packed.write_packed(*given)
        with path.open("ab") as file:
            file.write(b"more\n")
        return done

    monkeypatch.setattr(packing, "write_packed", and_more)
    assert pack(own(path), kept) is Packing.WRITTEN_TO
    assert names(path) == ["7.1.log"]


def test_where_nobody_can_tell_it_stays(path, monkeypatch):
    def unknown(_):
        raise OSError(22, "no leases here")

    monkeypatch.setattr(packing, "is_written_to", unknown)
    assert pack(own(path), kept) is Packing.UNFIT
    assert names(path) == ["7.1.log"]


def test_a_lease_leaves_nothing_behind(path):
    descriptor = os.open(path, os.O_RDONLY)
    assert not leases.is_written_to(descriptor)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # would wait for one that is held
    assert leases.is_written_to(descriptor)
    os.close(writer)
    os.close(descriptor)


def test_a_job_that_is_removed_meanwhile_leaves_nothing(path):
    def removed():
        path.unlink()
        return False

    assert pack(own(path), removed) is Packing.GONE
    assert names(path) == []
    assert pack(own(path), kept) is Packing.GONE


class Killed(BaseException):
    """Nothing is tidied up behind it."""


STEPS = ["make", "fsync", "replace", "sync_directory", "unlink"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_nothing(path, monkeypatch, step, when):
    def dying(real):
        def act(*given, **more):
            if when == "after":
                real(*given, **more)
            raise Killed

        return act

    owners = {"fsync": packed.os, "sync_directory": directories}
    owner = owners.get(step, directories.File)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, dying(getattr(owner, step)))
        with pytest.raises(Killed):
            pack(own(path), kept)
    assert pieces(path) == LINES
    assert pack(own(path), kept) in (Packing.DONE, Packing.GONE)
    assert names(path) == ["7.1.log.zst"]
    assert pieces(path) == LINES


def test_it_is_on_the_disk_before_the_output_goes(path, monkeypatch):
    done = []
    for owner, name in [(packed.os, "fsync"), (directories, "sync_directory")]:
        monkeypatch.setattr(owner, name, lambda *_, name=name: done.append(name))
    for name in ("replace", "unlink"):
        real = getattr(directories.File, name)

        def noted(file, *given, name=name, real=real):
            done.append(name)
            return real(file, *given)

        monkeypatch.setattr(directories.File, name, noted)
    pack(own(path), kept)
    assert done == ["fsync", "replace", "sync_directory", "unlink"]


def test_a_full_disk_leaves_it_as_it_was(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packed.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pack(own(path), kept)
    assert names(path) == ["7.1.log"]


def test_where_no_file_can_be_made_that_is_what_is_told(path, monkeypatch):
    def full(*_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(directories.File, "make", full)
    with pytest.raises(OSError, match="Disk quota exceeded"):
        pack(own(path), kept)
    assert names(path) == ["7.1.log"]


@pytest.mark.parametrize("place", [0, 5, 1000, -1, -5, -9, -12, -20, -40])
def test_one_that_is_damaged_is_told_and_never_taken_for_output(path, place):
    pack(own(path), kept)
    made = path.with_name("7.1.log.zst")
    raw = bytearray(made.read_bytes())
    raw[place] ^= 0x55
    made.write_bytes(raw)
    with pytest.raises(StoreFailed, match=r"7\.1\.log\.zst is damaged"):
        pieces(path)
    assert read_tail(own(path), 10) in (b"", LINES[-10:])


@pytest.mark.parametrize("length", [0, 8, 9, 17, 5000])
def test_one_that_is_short_is_told(path, length):
    pack(own(path), kept)
    os.truncate(path.with_name("7.1.log.zst"), length)
    with pytest.raises(StoreFailed, match="is damaged"):
        pieces(path)
    assert stored(own(path)).kept == 0


def test_without_the_library_it_says_what_to_install(path, monkeypatch):
    pack(own(path), kept)

    def missing():
        raise Refused("needs a library: pip install 'jobctl-queue[zstd]'")

    monkeypatch.setattr(packed, "_zstd", missing)
    with pytest.raises(Refused, match="pip install"):
        pieces(path)
    assert stored(own(path)).kept == len(LINES)
    assert read_tail(own(path), 10) == b""
