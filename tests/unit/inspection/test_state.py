"""What is noted of a look, and what `moodbench list datasets` says of it."""

from __future__ import annotations

import json

import pytest

from moodbench.commands.verify import verify
from moodbench.inspection.manifest import Origin, origin_file, write_origin
from moodbench.inspection.verdicts import verdict_file
from tests.disks import IMAGES, flip, picture


class TestState:
    """What `moodbench list datasets` says."""

    def test_from_missing_to_deep_verified(self, disk):
        assert disk.state("id")["state"] == "there"
        disk.look("id")
        assert disk.state("id")["state"] == "verified"
        disk.look("id", deep=True)
        state = disk.state("id")
        assert (state["state"], state["images_here"]) == ("deep verified", IMAGES)
        assert state["bytes"] == sum(f.stat().st_size for f in (disk.data / "id").rglob("*.png"))
        disk.look("id")
        assert disk.state("id")["state"] == "deep verified"

    def test_what_a_deep_look_found_stays_until_the_next(self, disk):
        disk.note("id")
        flip(disk.file("id", "a/0.png"))
        disk.look("id", deep=True)
        disk.look("id")
        state = disk.state("id")
        assert state["state"] == "faulty"
        assert sum(state["findings"].values()) == 1
        disk.save("id", "a/0.png", picture(0))
        disk.look("id", deep=True)
        assert disk.state("id")["state"] == "deep verified"

    def test_images_that_came_later_are_not_verified(self, disk):
        disk.look("id", deep=True)
        origin = Origin("id", "downloaded", "https://x.org", IMAGES, 1234, "2999-01-01T00:00:00+00:00")
        write_origin(disk.data, origin)
        state = disk.state("id")
        assert (state["state"], state["images_here"], state["bytes"]) == ("there", IMAGES, 1234)
        assert state["origin"]["source"] == "https://x.org"

    def test_a_part_has_the_origin_of_the_whole(self, disk):
        write_origin(disk.data, Origin("ood", "copied", "/media", IMAGES, 1234, "2020-01-01T00:00:00+00:00"))
        state = disk.state("part")
        assert (state["origin"]["how"], state["images_here"], state["bytes"]) == ("copied", None, None)

    def test_what_is_not_there(self, disk):
        archive = {"file": "a.tar", "bytes": "unknown", "md5": "unknown", "sha256": "unknown"}
        archive |= {"max_files": 9, "max_bytes": "1 MB"}
        made = {"by": {"archives": [archive]}, "net": {"archives": [archive | {"urls": ["https://x.org/a.tar"]}]}}
        for name, keys in made.items():
            disk.content["datasets"][name] = {"title": name, "folder": name, **keys}
        disk.content["datasets"]["of_by"] = {"title": "part", "part_of": "by", "within": "x"}
        states = {name: disk.state(name)["state"] for name in ("by", "of_by", "net", "id_test", "digits_noise")}
        assert states == {
            "by": "by hand",
            "of_by": "by hand",
            "net": "missing",
            "id_test": "no images",
            "digits_noise": "bundled",
        }
        (shown,) = disk.state("net")["archives"]
        assert (shown["bytes"], shown["md5"], shown["sha256"]) == ("unknown", "unknown", "unknown")
        (disk.data / ".moodbench" / "archives").mkdir(parents=True)
        (disk.data / ".moodbench" / "archives" / "a.tar.part").write_bytes(b"0")
        assert disk.state("net")["state"] == "partly downloaded"

    def test_a_list_that_was_not_fetched(self, disk):
        disk.entry("ood", list={"url": "https://x.org/ood.txt"})
        state = disk.state("ood")
        assert (state["state"], state["list"]["state"], state["list"]["sha256"]) == (
            "list missing",
            "missing",
            "unknown",
        )

    @pytest.mark.parametrize("file", [origin_file, verdict_file])
    def test_a_damaged_note_is_told_and_not_fatal(self, disk, file):
        disk.look("id")
        file(disk.data, "id").write_text("{")
        state = disk.state("id")
        assert state["state"] == "there"
        assert "cannot be read" in state["note_problem"]
        disk.look("id")  # writes its own anew
        assert json.loads(verdict_file(disk.data, "id").read_text())["quick"]["ok"]

    def test_a_disk_that_cannot_be_written_is_told(self, disk):
        (disk.data / ".moodbench").write_text("in the way")
        lines = []
        assert verify(("id",), workspace=disk.space(), report=lines.append)
        assert any("cannot be noted" in line for line in lines)
