"""The last lines of an output, also where lines are very long."""

import os

import pytest

from jobd.outputs import content
from jobd.outputs.files import LONGEST_LINE, read_piece
from tests.helpers import own

BLOCK = 65536


@pytest.fixture
def tail(tmp_path, monkeypatch):
    """What is given of a content, whether it is clipped, and the bytes that were read for it."""
    path = tmp_path / "1.1.log"

    def read(written, lines, size=None):
        path.write_bytes(written)
        if size is not None:
            os.truncate(path, size)
        taken = []
        pread = os.pread

        def counting(descriptor, count, offset):
            taken.append(count)
            return pread(descriptor, count, offset)

        monkeypatch.setattr(content.os, "pread", counting)
        found = read_piece(own(path), 0, lines, missing_ok=False)
        monkeypatch.setattr(content.os, "pread", pread)
        return found, sum(taken)

    return read


@pytest.mark.parametrize("size", [3 * 2**30, 40 * 2**20])
@pytest.mark.parametrize("lines", [1, 2, 1000])
def test_of_a_line_without_end_only_its_end_is_read(tail, size, lines):
    found, taken = tail(b"begin\n", lines, size)
    assert found.clipped
    assert LONGEST_LINE <= size - found.offset <= LONGEST_LINE + BLOCK
    assert taken < 4 * LONGEST_LINE


def test_lines_behind_it_are_whole(tail):
    content = b"x" * (3 * LONGEST_LINE) + b"\na\nb\n"
    for lines, begins in ((1, b"b\n"), (2, b"a\nb\n")):
        found, _ = tail(content, lines)
        assert (found.data, found.clipped) == (begins, False)
    found, _ = tail(content, 3)
    assert found.clipped
    assert found.offset > LONGEST_LINE


def test_many_lines_that_are_long_but_not_too_long_are_all_there(tail):
    line = b"y" * (LONGEST_LINE - 10) + b"\n"
    found, _ = tail(line * 5, 4)
    assert (found.offset, found.clipped) == (len(line), False)


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, LONGEST_LINE - BLOCK])
@pytest.mark.parametrize("ends", [b"", b"\n"])
def test_what_begins_the_file_is_not_clipped(tail, length, ends):
    found, _ = tail(b"z" * length + ends, 1)
    assert (found.offset, found.clipped) == (0, False)


def test_a_line_as_long_as_the_file_is_whole_up_to_the_limit(tail):
    found, _ = tail(b"z" * LONGEST_LINE, 1)
    assert (found.offset, found.clipped) == (0, False)
    found, _ = tail(b"z" * (LONGEST_LINE + 1), 1)
    assert found.clipped


# --- output that gets shorter -------------------------------------------------------------


def piece(path, offset, seen=b""):
    found = read_piece(own(path), offset, None, missing_ok=False, seen=seen)
    return found.data, found.offset, found.next, found.anew


def test_output_that_got_shorter_is_read_from_its_begin(tmp_path):
    path = tmp_path / "1.1.out"
    path.write_bytes(b"new\n")
    assert piece(path, 100, b"old\n") == (b"new\n", 0, 4, True)
    # Who has not read what lies before it may ask for as far as it likes.
    assert piece(path, 100) == (b"", 100, 100, False)
    path.write_bytes(b"")
    assert piece(path, 4, b"new\n") == (b"", 0, 0, True)
    assert piece(path, 4) == (b"", 4, 4, False)
    assert piece(path, 0) == (b"", 0, 0, False)


def test_output_that_was_replaced_by_as_much_is_known_by_what_was_read(tmp_path):
    path = tmp_path / "1.1.out"
    path.write_bytes(b"old one\nmore\n")
    assert piece(path, 8, b"old one\n") == (b"more\n", 8, 13, False)
    path.write_bytes(b"another one\n")
    assert piece(path, 8, b"old one\n") == (b"another one\n", 0, 12, True)
    assert piece(path, 8, b"more than was there\n")[3]
