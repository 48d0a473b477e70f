"""`moodbench download` from nothing to datasets, and again after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.publishers import CLASSES, in_words, sha256, wait_for


def test_a_benchmark(world):
    result = world.call("--benchmark", "small")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "downloaded shapes: 12 images, " + in_words(world.shapes.values()) + f", in {world.data}/shapes",
        "downloaded two_shapes: 8 images, "
        + in_words(v for k, v in world.shapes.items() if k[0] != "r")
        + f", in {world.data}/shapes",
        f"no digest is published for loose.txt; recorded sha256 {sha256(world.page('/lists/loose.txt').body)}",
        "downloaded loose: 20 images, " + in_words(world.loose.values()) + f", in {world.data}/far/loose",
    ]
    assert world.files("shapes") == world.shapes
    assert world.files("far/loose") == world.loose
    assert world.left() == []
    assert world.manifest("shapes") == {name: sha256(content) for name, content in sorted(world.shapes.items())}
    note = world.note("shapes")
    assert (note["how"], note["images"], note["source"]) == ("downloaded", 12, world.server.url("/shapes.tar.gz"))
    assert note["archives"][0] == {
        "file": "shapes.tar.gz",
        "source": world.server.url("/shapes.tar.gz"),
        "bytes": len(world.archive),
        "sha256": sha256(world.archive),
        "known": True,
    }
    asked = len(world.server.asked)
    again = world.call("--benchmark", "small")
    assert again.exit_code == 0
    assert again.stderr.splitlines() == [
        "skip shapes: complete (12 images)",
        "skip two_shapes: complete (8 images)",
        "skip loose: complete (20 images)",
    ]
    assert len(world.server.asked) == asked


def test_a_dataset_that_is_there_is_scanned_once(world, monkeypatch):
    assert world.call("shapes").exit_code == 0
    scandir, scans = os.scandir, Counter()

    def counted(folder="."):
        scans[Path(folder)] += 1
        return scandir(folder)

    monkeypatch.setattr("os.scandir", counted)
    assert world.call("shapes").stderr == "skip shapes: complete (12 images)\n"
    assert {name: scans[world.data / "shapes" / name] for name in CLASSES} == dict.fromkeys(CLASSES, 1)


def test_killed_twice_and_finished(world):
    shapes = world.page("/shapes.tar.gz")
    shapes.trickle = (len(world.archive) // 2, 5.0)  # the second half hangs
    first = world.start("--benchmark", "small")
    part = world.data / ".moodbench" / "archives" / "shapes.tar.gz.part"
    wait_for(lambda: part.exists() and part.stat().st_size, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    here = part.stat().st_size
    shapes.trickle = None
    assert not (world.data / "shapes").exists()

    singles = [world.page(f"/single/{name}") for name in world.loose]
    for page in singles[8:]:
        page.trickle = (1, 5.0)  # the rest hangs
    second = world.start("--benchmark", "small", "--jobs", 2)
    done = world.data / ".moodbench" / "partial" / "loose"
    wait_for(lambda: done.is_dir() and len(list(done.glob("*.png"))) == 8, second)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert not (world.data / "far").exists()
    assert world.files("shapes") == world.shapes

    for page in singles:
        page.trickle = None
    last = world.start("--benchmark", "small")
    out, err = last.communicate(timeout=60)
    assert (last.returncode, out) == (0, ""), err
    assert world.files("shapes") == world.shapes
    assert world.files("far/loose") == world.loose
    assert world.left() == []
    # what was fetched and checked was never sent again
    assert shapes.ranges_asked == [None, f"bytes={here}-"]
    assert shapes.asked[1].sent == len(world.archive) - here
    assert [len(page.asked) for page in singles[:8]] == [1] * 8


@pytest.mark.parametrize("where", ["unpack", "note", "rename"])
def test_killed_at_the_worst_moments(world, where):
    target = {
        "unpack": "moodbench.obtain.partial.write_notes",
        "note": "moodbench.obtain.partial.write_origin",
        "rename": "moodbench.obtain.partial.put",
    }[where]
    module, name = target.rsplit(".", 1)
    script = (
        f"import os, signal, sys, {module} as m\n"
        f"m.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from moodbench.cli import main\nmain()\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, *world.args("shapes")], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (world.data / "shapes").exists()
    result = world.call("shapes")
    assert result.exit_code == 0, result.output
    assert world.files("shapes") == world.shapes
    assert world.left() == []
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert world.note("shapes")["how"] == "downloaded"


def test_what_lies_there_unfinished_does_not_stay(world):
    partial = world.data / ".moodbench" / "partial" / "shapes"
    (partial / "disc").mkdir(parents=True)
    (partial / "disc" / "disc 0.png").write_bytes(b"half")
    assert world.call("shapes").exit_code == 0
    assert world.files("shapes") == world.shapes
