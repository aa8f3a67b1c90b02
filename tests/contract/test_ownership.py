"""Whose a directory is, and who can change it."""

import os
import pwd

import pytest

from jobd.contract import ownership

USER = pwd.getpwuid(os.geteuid())


def entry(name, uid, gid):
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))


@pytest.fixture
def shared_by_mode(tmp_path, monkeypatch):
    """A directory of ours that its group may write, and that group is called like us."""
    tmp_path.chmod(0o770)
    group = ownership.grp.struct_group((USER.pw_name, "x", 4321, []))
    monkeypatch.setattr(ownership.grp, "getgrgid", lambda _gid: group)
    monkeypatch.setattr(ownership.pwd, "getpwall", lambda: [entry("me", os.geteuid(), 4321)])
    found = os.stat(tmp_path)
    return os.stat_result((found.st_mode, *found[1:5], 4321, *found[6:]))


def test_the_group_that_a_user_has_alone_is_nobody_else(shared_by_mode):
    assert not ownership.others_can_write(shared_by_mode)


def test_a_group_that_is_another_users_own_is_somebody_else(shared_by_mode, monkeypatch):
    """As `useradd -g` makes it: the list of its members does not tell."""
    users = [entry("me", os.geteuid(), 4321), entry("mate", os.geteuid() + 1, 4321)]
    monkeypatch.setattr(ownership.pwd, "getpwall", lambda: users)
    assert ownership.others_can_write(shared_by_mode)


def test_a_group_with_another_member_is_somebody_else(shared_by_mode, monkeypatch):
    group = ownership.grp.struct_group((USER.pw_name, "x", 4321, [USER.pw_name, "mate"]))
    monkeypatch.setattr(ownership.grp, "getgrgid", lambda _gid: group)
    assert ownership.others_can_write(shared_by_mode)


@pytest.mark.parametrize(
    ("uid_map", "roots"),
    [
        ("0 0 4294967295", {0}),
        ("0 1000 1", {0, 65534}),  # unshare --map-root-user
        ("1000 1000 1", {0, 65534}),
        ("0 1000 1\n1 100000 65536", {0, 65534}),  # rootless containers
        ("0 100000 65536\n65536 0 1", {65536}),
    ],
)
def test_root_is_whoever_stands_for_it_here(monkeypatch, tmp_path, uid_map, roots):
    (tmp_path / "uid_map").write_text(uid_map)
    (tmp_path / "overflowuid").write_text("65534\n")

    def instead(path, mode):
        return (tmp_path / os.path.basename(path)).open(mode)

    monkeypatch.setattr(ownership, "open", instead, raising=False)
    assert ownership._roots() == roots


@pytest.mark.parametrize("user", ["9" * 5000, "a\0b", "caf\udce9", "", "-1", "4294967295", "٣"])
def test_no_such_user_is_none(user):
    assert ownership.number_of(user) is None
