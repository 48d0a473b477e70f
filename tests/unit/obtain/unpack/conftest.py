"""An empty folder to unpack into."""

from __future__ import annotations

import pytest

from moodbench.obtain.unpack import unpack
from tests.archives import ROOM, tree


@pytest.fixture
def run(tmp_path):
    """Unpack bytes into an empty folder; nothing may ever appear beside it."""

    def run(data: bytes, name: str = "some.archive", **options):
        archive = tmp_path / name
        archive.write_bytes(data)
        target = tmp_path / "out" / "target"
        before = tree(tmp_path)
        try:
            return unpack(archive, target, **{**ROOM, **options}), tree(target)
        finally:
            outside = {path: content for path, content in tree(tmp_path).items() if not path.startswith("out/target/")}
            assert outside == before
            assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]

    return run
