"""The state directory: on which file system, and of which host."""

import pytest

from jobd.contract.errors import JobdError
from jobd.store import host_check

MOUNTS = r"""
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 21 0:40 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw
41 40 8:2 / /home/anna/local\040disk rw - xfs /dev/sdb1 rw
42 21 0:42 / /mnt rw - ext4 /dev/sdc1 rw
43 42 0:43 / /mnt rw - cifs //server/share rw
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home", "nfs4"),
        ("/home/anna", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/anna/local disk/jobd", "xfs"),
        ("/mnt/x", "cifs"),
    ],
)
def test_the_longest_mount_point_counts_and_of_several_the_last(path, kind):
    assert host_check.kind_of(path, MOUNTS) == kind


def test_a_directory_of_this_machine_is_fine(tmp_path):
    host_check.check_file_system(tmp_path)
    host_check.check_host(tmp_path, None)
    host_check.check_host(tmp_path, host_check.this_host())


def test_another_name_is_no_other_host(tmp_path):
    host_check.check_host(tmp_path, f"{host_check.host_id()} another-name")


def test_a_network_file_system_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(host_check, "kind_of", lambda *_: "nfs4")
    with pytest.raises(JobdError, match=r"network file system \(nfs4\).*state_is_private = true"):
        host_check.check_file_system(tmp_path)


def test_another_host_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(JobdError, match=r"another host, old\. Set JOBD_HOME.*state_is_private"):
        host_check.check_host(tmp_path, "0123 old")
