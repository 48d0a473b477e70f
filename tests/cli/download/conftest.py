"""A catalogue with its server, and a folder of images that a person has already."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.publishers import CLASSES, World, md5, picture, sha256, tar
from tests.server import server_fixture  # noqa: F401


@pytest.fixture
def world(tmp_path, server, monkeypatch) -> World:
    """A small catalogue with its server, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("moodbench.transfer.mirror.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("moodbench.obtain.per_image.PAUSE", 0.0)
    shapes = {f"{name}/{name} {i}.png": picture(10 * c + i) for c, name in enumerate(CLASSES) for i in range(4)}
    archive = tar({f"pack/images/{name}": content for name, content in shapes.items()} | {"pack/readme.txt": b"hello"})
    loose = {f"{i:02}.png": picture(100 + i) for i in range(20)}
    lists = {
        "/lists/two.txt": "".join(f"root/{n} -1\r\n" for n in shapes if n.startswith(("disc", "star"))).encode(),
        "/lists/loose.txt": "".join(f"{n}\n" for n in loose).encode(),
    }
    for path, body in {"/shapes.tar.gz": archive, **lists}.items():
        server.add(path, body)
    for name, content in loose.items():
        server.add(f"/single/{name}", content, content_type="image/png")
    normal = lists["/lists/two.txt"].replace(b"\r\n", b"\n")
    entries = {
        "shapes": {
            "title": "Shapes",
            "folder": "shapes",
            "labels": "folder",
            "images": 12,
            "archives": [
                {
                    "file": "shapes.tar.gz",
                    "urls": [server.url("/shapes.tar.gz")],
                    "bytes": len(archive),
                    "md5": md5(archive),
                    "sha256": sha256(archive),
                    "take": "pack/images",
                    "max_files": 100,
                    "max_bytes": "10 MB",
                }
            ],
        },
        "two_shapes": {
            "title": "Two of the shapes",
            "part_of": "shapes",
            "labels": "none",
            "images": 8,
            "list": {
                "url": server.url("/lists/two.txt"),
                "sha256": sha256(normal),
                "lines": 8,
                "strip": "root/",
            },
        },
        "loose": {
            "title": "Loose pictures",
            "folder": "far/loose",
            "labels": "none",
            "images": 20,
            "per_image": server.url("/single/{name}"),
            "list": {"url": server.url("/lists/loose.txt"), "sha256": "unknown", "lines": 20},
        },
        "secret": {
            "title": "Secret pictures",
            "folder": "secret",
            "labels": "folder",
            "images": 12,
            "homepage": "https://example.org/secret",
            "steps": ["Register at example.org and accept   the terms.", "Download the two files."],
            "archives": [
                {"file": "secret.tar.gz", "bytes": len(archive), "md5": md5(archive)}
                | {"sha256": sha256(archive), "take": "pack/images", "max_files": 100, "max_bytes": "10 MB"},
            ],
        },
    }
    return World(server, tmp_path, entries, shapes, archive, loose)


@pytest.fixture
def theirs(world) -> Path:
    """A folder with the shapes, and things that are none."""
    folder = world.home / "their shapes"
    for name, content in {**world.shapes, "readme.txt": b"hello"}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder
