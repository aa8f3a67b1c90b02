"""The door of an instance: what leads elsewhere than it says, and the words of a refusal."""

import os
from pathlib import Path

import pytest

from jobd.admin import own_instance
from jobd.contract import ownership
from jobd.contract.errors import JobdError, NotPermitted
from jobd.contract.ownership import NotOurs, check_way, open_owned
from jobd.contract.paths import Paths, locate

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def entered(directory, command="jobd stop", **environment):
    """`directory` goes to JOBD_HOME unless a variable leads there."""
    environ = environment or {"JOBD_HOME": str(directory)}
    own_instance.enter(locate({"JOBD_HOME": str(directory)}), command, environ)


def test_what_is_not_there_yet_is_entered(home):
    entered(home / "a/b/c")
    entered(home)
    assert list(home.iterdir()) == []


def test_a_home_that_is_a_file_is_told_of_by_what_needs_a_directory(home):
    (home / "file").touch()
    entered(home / "file")


ACT = "act as that user (sudo -H -u nobody"
OUT = {
    "JOBD_HOME": ACT + " env 'JOBD_HOME={}' jobd stop), or unset it",
    "XDG_STATE_HOME": ACT + " jobd stop), or unset it",
    "HOME": ACT + " jobd stop), or set it to your own home",
}


@needs_root
@pytest.mark.parametrize("variable", OUT)
def test_root_is_told_the_way_out(home, variable):
    state = home / "with space"
    state.mkdir()
    os.chown(state, 65534, 65534)
    with pytest.raises(NotOurs) as refused:
        entered(state, **{"HOME": "somewhere", variable: "there"})
    assert refused.value.owner == 65534
    out = OUT[variable].format(state)
    assert refused.value.message == (
        f"not permitted: {state} belongs to user nobody. {variable} leads there: {out}"
    )


@needs_root
def test_a_user_without_a_login_has_a_number(home):
    (home / "state").mkdir()
    os.chown(home / "state", 54321, 54321)
    with pytest.raises(NotOurs, match=r"user number 54321.*sudo -H -u '#54321' env"):
        entered(home / "state")


def test_what_others_can_write_is_mended_by_its_owner(home):
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    with pytest.raises(NotOurs, match=r"chmod go-w .*/open\. JOBD_HOME leads there: unset it, or"):
        entered(home / "open/jobd")
    (home / "open").chmod(0o1777)
    entered(home / "open/jobd")


@needs_root
def test_a_database_that_lies_with_a_stranger_is_named(home):
    state, disk = home / "state", home / "disk"
    state.mkdir()
    disk.mkdir()
    (disk / "queue.db").touch()
    (state / "jobd.db").symlink_to(disk / "queue.db")
    entered(state)
    os.chown(disk, 65534, 65534)
    with pytest.raises(NotPermitted, match=r"disk belongs to user nobody; .*/jobd.db leads there"):
        entered(state)


@pytest.mark.parametrize("name", ["jobd.db", "jobd.db-wal", "jobd.db-shm"])
def test_a_database_that_is_no_file_is_not_waited_for(home, name):
    """To open a FIFO is to wait until somebody else does."""
    os.mkfifo(home / name)
    with pytest.raises(NotPermitted, match=rf"/{name} is no plain file; move it away"):
        entered(home)
    (home / name).rename(home / "fifo")
    (home / name).symlink_to("fifo")
    with pytest.raises(NotPermitted, match=rf"/{name} is no plain file; move it away"):
        entered(home)
    (home / "fifo").unlink()
    entered(home)


@needs_root
def test_a_database_in_memory_is_looked_for_where_nobody_else_has_put_one(home, monkeypatch):
    """`jobd check` and `backup`, in /dev/shm."""
    paths = Paths(home / "state", home / "config.toml", ephemeral=True)
    paths.state.mkdir()
    monkeypatch.setattr(Paths, "memory", home / "memory")
    (home / "memory").mkdir()
    own_instance.enter(paths, "jobd check")
    os.chown(home / "memory", 65534, 65534)
    with pytest.raises(NotOurs, match=r"memory belongs to user nobody$"):
        own_instance.enter(paths, "jobd check")


def test_a_circle_of_links_is_an_error(home):
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    with pytest.raises(JobdError, match=r"cannot use .*/a: .*too many levels"):
        entered(home / "a")


# --- the way --------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["cwd", "root", "exe", "fd/0", "ns/mnt"])
def test_links_of_processes_are_not_believed(link):
    """In another's own world `/` is what he likes, though the link belongs to root and says `/`."""
    for path in (f"/proc/self/{link}", f"/proc/self/{link}/jobd"):
        with pytest.raises(NotOurs, match="/proc leads through /proc"):
            check_way(Path(path))


def mount(monkeypatch, directory, kind, options):
    """As if `directory` lay on another file system."""
    fstat, wanted = os.fstat, os.stat(directory)

    def other(descriptor):
        found = fstat(descriptor)
        if not os.path.samestat(found, wanted):
            return found
        fields = list(found)
        fields[2] = os.makedev(0, 4242)
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", other)
    real = ownership._mount
    there = os.makedev(0, 4242)
    monkeypatch.setattr(
        ownership, "_mount", lambda device: (kind, options) if device == there else real(device)
    )


def test_what_another_user_has_mounted_is_his_whatever_it_says(home, monkeypatch):
    """FUSE with allow_other: its files have the owners that its program makes up."""
    (home / "mnt").mkdir()
    mount(monkeypatch, home / "mnt", "fuse.sshfs", "rw,user_id=65534,group_id=65534,allow_other")
    with pytest.raises(NotOurs, match="mnt was mounted by user nobody") as refused:
        check_way(home / "mnt")
    assert refused.value.owner == 65534


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("fuse.gvfsd", f"rw,user_id={os.geteuid()},group_id=0"),
        ("fuse.glusterfs", "rw,user_id=0,group_id=0,allow_other"),
        ("nfs4", "rw,user_id=65534"),
        ("tmpfs", "rw"),
        ("", ""),
    ],
)
def test_what_was_mounted_by_oneself_or_root_is_used(home, monkeypatch, kind, options):
    (home / "mnt").mkdir()
    mount(monkeypatch, home / "mnt", kind, options)
    check_way(home / "mnt")


def test_types_and_options_of_mounts_are_read():
    assert ownership._mount(os.stat("/proc").st_dev)[0] == "proc"
    assert ownership._mount(os.makedev(4000, 4000)) == ("", "")


def test_errors_name_the_whole_path(home):
    with pytest.raises(FileNotFoundError) as missing:
        open_owned(home / "a/b")
    assert missing.value.filename == str(home / "a")
    (home / "directory").mkdir()
    with pytest.raises(IsADirectoryError) as written:
        open_owned(home / "directory", os.O_WRONLY)
    assert written.value.filename == str(home / "directory")


def test_devices_are_no_files_that_others_could_change():
    os.close(open_owned(Path("/dev/null")))


@pytest.mark.parametrize("name", ["jobd.lock", "running", "running.mark"])
def test_what_has_another_name_elsewhere_is_not_written_to(home, name):
    """Somebody put it there while the directory was open: it is our own file, and another one."""
    state, precious = home / "state", home / "precious"
    state.mkdir(mode=0o700)
    precious.write_text("precious")
    os.link(precious, state / name)
    with pytest.raises(NotPermitted, match="hard link"):
        entered(state)


@pytest.mark.parametrize("name", ["jobd.lock", "running", "jobd.log"])
def test_a_pipe_is_waited_for_by_nobody(home, name):
    state = home / "state"
    state.mkdir(mode=0o700)
    os.mkfifo(state / name)
    with pytest.raises(NotPermitted, match="no plain file"):
        entered(state)
