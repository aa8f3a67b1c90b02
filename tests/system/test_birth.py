"""When a file was made."""

import os
import time

from jobd.system.birth import birth_ns


def test_it_is_made_once_and_changed_often(tmp_path):
    before = time.time_ns()
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)
    try:
        made = birth_ns(descriptor)
        os.utime(descriptor, ns=(5, 5))
        assert birth_ns(descriptor) == made
        # A tick of the kernel's clock before, at most; a file system may not keep it at all.
        assert made is None or before - 20_000_000 <= made <= time.time_ns()
    finally:
        os.close(descriptor)


def test_of_what_is_no_file_it_is_not_known():
    assert birth_ns(-1) is None
