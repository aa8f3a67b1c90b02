"""Of an output over its limit the middle goes; who reads it sees the begin, a mark and the end."""

import errno
import os

import pytest

from jobd.core.progress.recognition import WINDOW
from jobd.outputs.files import PIECE, read_piece, read_tail
from jobd.outputs.limit import Cut, cut, cut_of, kept_size, note_of
from jobd.outputs.workspace import NotCuttable
from jobd.system import file_space
from tests.helpers import own, record_syncs

LIMIT = 400_000
MARK = b"[jobd: %s cut here, --max-output 400 kB]\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "7.1.log"


def fill(path, first, last):
    """Lines of ten bytes that tell where they are."""
    with open(path, "ab") as file:
        file.write(b"".join(b"%09d\n" % n for n in range(first, last)))


def lines(first, last):
    return b"".join(b"%09d\n" % n for n in range(first, last))


def read(path, offset=0, tail=None):
    """All pieces, as a client asks for them."""
    data = b""
    while True:
        found = read_piece(own(path), offset, tail, missing_ok=False)
        data += found.data
        if found.last:
            return data
        offset, tail = found.next, None


@pytest.fixture
def long(path):
    """Two megabytes, cut to its limit."""
    fill(path, 0, 200_000)
    assert cut(own(path), LIMIT, final=True)
    return path


def test_begin_mark_and_end(long):
    assert cut_of(own(long)) == Cut(200_000, 1_800_000, LIMIT)
    assert read(long) == lines(0, 20_000) + MARK % b"2 MB" + lines(180_000, 200_000)
    assert long.stat().st_size == 2_000_000
    assert long.stat().st_blocks * 512 <= LIMIT + 2 * 65536
    assert kept_size(own(long)) == LIMIT


def test_output_and_note_are_on_disk_before_the_hole_is_punched(path, monkeypatch):
    """Else a power cut leaves a hole that no note tells of: zeros would be taken for output."""
    fill(path, 0, 200_000)
    synced, punch, before = record_syncs(monkeypatch), file_space.punch_hole, []
    monkeypatch.setattr(
        file_space, "punch_hole", lambda *hole: (before.extend(synced), punch(*hole))
    )
    assert cut(own(path), LIMIT, final=True)
    assert before == [str(path), str(path.with_name("7.1.cut.new")), str(path.parent)]


def test_it_grows_and_is_cut_again(long):
    fill(long, 200_000, 300_000)
    assert cut(own(long), LIMIT, final=False)
    assert read(long) == lines(0, 20_000) + MARK % b"3 MB" + lines(280_000, 300_000)
    assert long.stat().st_blocks * 512 <= LIMIT + 2 * 65536


def test_a_limit_is_exact_at_the_end_only(path):
    fill(path, 0, 41_000)
    assert not cut(own(path), LIMIT, final=False)
    assert cut(own(path), LIMIT, final=True)
    assert not cut(own(path), LIMIT, final=True)
    assert kept_size(own(path)) == LIMIT


def test_a_limit_that_became_smaller(long):
    assert cut(own(long), 200_000, final=True)
    assert cut_of(own(long)) == Cut(100_000, 1_900_000, 200_000)
    assert read(long).startswith(lines(0, 10_000) + b"[jobd: 2 MB cut here")


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (3, lines(199_997, 200_000)),
        (20_000, lines(180_000, 200_000)),
        (20_002, lines(19_998, 20_000) + MARK % b"2 MB" + lines(180_000, 200_000)),
    ],
)
def test_the_last_lines(long, count, wanted):
    assert read(long, tail=count) == wanted


def test_who_was_behind_the_begin_of_the_cut_is_told_of_the_rest(long):
    assert read(long, 1_300_000) == MARK % b"500 kB" + lines(180_000, 200_000)
    assert read(long, 1_800_000) == lines(180_000, 200_000)


def test_the_mark_has_a_line_of_its_own(path):
    path.write_bytes(b"x" * 1000)
    cut(own(path), 100, final=True)
    mark = b"[jobd: 900 B cut here, --max-output 100 B]\n"
    assert read(path) == b"x" * 50 + b"\n" + mark + b"x" * 50


def test_a_cut_between_looking_and_reading_gives_no_zeros(path, monkeypatch):
    fill(path, 0, 200_000)
    pread = os.pread

    def late(*which):
        monkeypatch.setattr(os, "pread", pread)
        cut(own(path), LIMIT, final=True)
        return pread(*which)

    monkeypatch.setattr(os, "pread", late)
    found = read_piece(own(path), 0, None, missing_ok=False)
    assert len(found.data) < PIECE
    assert found.data == lines(0, 20_000) + MARK % b"2 MB"


def test_progress_is_read_behind_the_hole(path):
    path.write_bytes(b"10%\n" * 1000)
    cut(own(path), 1000, final=True)
    assert read_tail(own(path), WINDOW) == b"10%\n" * 125


def test_a_file_system_without_holes_keeps_all(path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EOPNOTSUPP, "no")

    fill(path, 0, 200_000)
    monkeypatch.setattr(file_space, "punch_hole", fails)
    with pytest.raises(NotCuttable):
        cut(own(path), LIMIT, final=True)
    assert not os.path.exists(note_of(own(path)).path)
    assert read(path) == lines(0, 200_000)


@pytest.mark.parametrize("grows", [False, True])
def test_a_hole_that_could_not_be_punched_is_punched_the_next_time(path, monkeypatch, grows):
    """As on a full disk, where it may need room itself: just there it is needed most."""
    fill(path, 0, 200_000)
    with monkeypatch.context() as patch:
        patch.setattr(file_space, "_fallocate", fails_with(errno.ENOSPC))
        with pytest.raises(OSError, match="no"):
            cut(own(path), LIMIT, final=False)
    assert read(path) == lines(0, 20_000) + MARK % b"2 MB" + lines(180_000, 200_000)
    if grows:
        fill(path, 200_000, 300_000)
    assert cut(own(path), LIMIT, final=True) == grows
    assert path.stat().st_blocks * 512 <= LIMIT + 2 * 65536
    assert len((path.parent / "7.1.cut").read_text().split()) == 3
    monkeypatch.setattr(file_space, "_fallocate", fails_with(errno.EIO))
    assert not cut(own(path), LIMIT, final=True), "what has been done is not done again"


def fails_with(code):
    def fails(*_):
        raise OSError(code, "no")

    return fails


def test_an_output_that_became_short_again_is_read_whole(long):
    os.truncate(long, 0)
    fill(long, 0, 10)
    assert read(long) == lines(0, 10)
