"""Folders, file systems, catalogues, and where weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from moodbench.diagnosis import catalogues, folders, hub
from moodbench.diagnosis.mounts import is_network, kind_of

LINUX = r"""overlay / overlay rw,relatime 0 0
proc /proc proc rw 0 0
/dev/sda1 /data ext4 rw 0 0
server:/x /data/shared nfs4 rw,vers=4.2 0 0
/dev/sdb1 /data/with\040blank xfs rw 0 0
tmpfs /data/shared tmpfs rw 0 0
"""
MAC = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@server/x on /Volumes/x (smbfs, nodev, nosuid)
"""


@pytest.mark.parametrize(
    ("table", "folder", "kind"),
    [
        (LINUX, "/data/images", "ext4"),
        (LINUX, "/data/shared/images", "tmpfs"),
        (LINUX, "/data/sharedness", "ext4"),
        (LINUX, "/data/with blank/a", "xfs"),
        (LINUX, "/elsewhere", "overlay"),
        (MAC, "/Volumes/x/images", "smbfs"),
        (MAC, "/Users", "apfs"),
        ("", "/data", None),
    ],
)
def test_the_kind_is_that_of_the_nearest_mount(table, folder, kind):
    assert kind_of(Path(folder), table) == kind


def test_kinds_on_a_network():
    assert all(map(is_network, ("nfs", "nfs4", "cifs", "smbfs", "lustre", "fuse.sshfs", "9p")))
    assert not any(map(is_network, ("ext4", "xfs", "apfs", "overlay", "tmpfs", "fuse.fuse-overlayfs", None)))


def test_a_real_folder_is_asked_and_left_as_it_was(tmp_path):
    (tmp_path / "here").mkdir()
    wanted = {"cache": tmp_path / "here", "results": tmp_path / "not" / "yet"}
    found = {one.name: one for one in folders.check(wanted) if one.text}
    assert {*found} == {"cache", "results", "temporary"}
    for use in ("cache", "results"):
        assert found[use].value["locks"] == "work"
        assert found[use].value["writable"]
        assert found[use].value["total"] >= found[use].value["free"] > 0
    assert "not there yet" in found["results"].text
    assert [one.name for one in tmp_path.iterdir()] == ["here"]
    assert not [*(tmp_path / "here").iterdir()]


@pytest.mark.parametrize("beyond", ["", "x", "x/y"])
@pytest.mark.parametrize("use", ["cache", "data"])
def test_a_file_in_the_place_of_a_folder(tmp_path, use, beyond):
    (tmp_path / "afile").write_text("", encoding="utf-8")
    (found,) = (one for one in folders.check({use: tmp_path / "afile" / beyond}) if one.name == use)
    assert found.level == "broken"
    assert "afile is a file, not a folder" in found.problem
    assert f"--{use}-dir" in found.fix


def test_a_link_to_nowhere_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (found,) = (one for one in folders.check({"results": tmp_path / "link"}) if one.name == "results")
    assert (found.level, "a link to nowhere" in found.problem) == ("broken", True)


def test_a_folder_in_which_nothing_can_be_made():
    """/proc takes nothing, also of an administrator."""
    if not Path("/proc/self").exists():
        pytest.skip("no /proc")
    (cache,) = (one for one in folders.check({"cache": Path("/proc/self")}) if one.name == "cache" and one.text)
    assert cache.level == "broken"
    assert "cannot be written" in cache.problem
    assert "--cache-dir" in cache.fix


GOOD = {
    "writable": True,
    "error": "",
    "free": 9e11,
    "total": 1e12,
    "files_free": 10**8,
    "case_insensitive": False,
    "locks": "work",
}


@pytest.mark.parametrize(
    ("use", "kind", "changes", "levels", "said"),
    [
        ("cache", "ext4", {}, [], ""),
        ("cache", "nfs4", {}, ["warning"], "is on a network (nfs4)"),
        ("cache", "nfs4", {"locks": "do not hold"}, ["broken"], "locks do not hold"),
        ("cache", "fuse.s3fs", {"locks": "Function not implemented"}, ["broken"], "Function not implemented"),
        ("results", "apfs", {"case_insensitive": True}, ["warning"], "differ in case alone"),
        ("data", "ext4", {"writable": False, "error": "Read-only file system"}, ["warning"], "download will not work"),
        ("results", "ext4", {"writable": False, "error": "Read-only file system"}, ["broken"], "Read-only"),
        ("data", "ext4", {"free": 1e9}, ["warning"], "1.0 GB are free"),
        ("results", "ext4", {"free": 1e9}, [], ""),
        ("data", "ext4", {"files_free": 5}, ["warning"], "5 more files"),
        ("data", "btrfs", {"files_free": None}, [], ""),
        ("temporary", "nfs4", {"locks": "failed", "case_insensitive": True}, [], ""),
        ("cache", "nfs4", {"free": 1e9}, ["warning", "warning"], ""),
    ],
)
def test_what_is_said_of_a_folder(use, kind, changes, levels, said):
    here = Path("/x")
    found = list(folders.findings(use, here, here, kind, GOOD | changes, ""))
    assert [one.level for one in found if one.level != "ok"] == levels
    assert all(one.fix for one in found if one.level != "ok")
    assert said in " ".join(one.problem for one in found)
    assert found[0].text


def test_a_folder_that_does_not_answer():
    (one,) = folders.findings("data", Path("/x"), Path("/x"), "nfs", {}, "no answer within 10 seconds")
    assert one.level == "broken"
    assert "no answer within 10 seconds" in one.problem


def test_catalogues_that_are_valid_or_not(tmp_path):
    good, bad, after = (tmp_path / name for name in ("good.yaml", "bad.yaml", "after.yaml"))
    good.write_text("datasets:\n  mine: {title: Mine}\n", encoding="utf-8")
    bad.write_text("datasets:\n  mine2: {titel: Mine}\n", encoding="utf-8")
    builtin, first = catalogues.check((good,))
    assert (builtin.level, first.level) == ("ok", "ok")
    assert first.value["datasets"] == builtin.value["datasets"] + 1
    *_, last = catalogues.check((good, bad))
    assert last.level == "broken"
    assert "bad.yaml" in last.problem
    assert "'mine2' lacks the key 'title'" in last.problem
    *_, missing = catalogues.check((after,))
    assert missing.level == "broken"


def test_secrets_stay_secret(tmp_path):
    environment = {
        "HF_HOME": str(tmp_path),
        "HF_TOKEN": "hf_thisisverysecret",
        "HF_ENDPOINT": "https://me:password@hub.example:8443/path?token=abc",
        "https_proxy": "http://me:password@proxy.example:3128",
        "HF_HUB_OFFLINE": "1",
    }
    found = list(hub.check(environment))
    text = repr(found)
    assert not [word for word in ("verysecret", "password", "me:", "abc", "proxy.example") if word in text]
    values = {one.name: one for one in found}
    assert values["hub"].value == "https://hub.example:8443"
    assert values["token of the hub"].value is True
    assert values["proxies"].value == ["HTTPS_PROXY"]
    assert values["offline"].level == "warning"


def test_without_settings_nothing_is_wrong(tmp_path):
    found = list(hub.check({"XDG_CACHE_HOME": str(tmp_path)}))
    assert {one.level for one in found} == {"ok"}
    assert {one.name: one.value for one in found}["token of the hub"] is False
