"""A place for a cache, and a folder of images of which some cannot be decoded."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def broken(tmp_path, pictures):
    folder = tmp_path / "broken"
    shutil.copytree(pictures / "ood", folder)
    whole = (folder / "04.png").read_bytes()
    (folder / "04.png").write_bytes(whole[: len(whole) // 2])
    (folder / "09.png").write_text("<html>not found</html>")
    return folder


@pytest.fixture
def file(tmp_path):
    """Where a cache is to lie."""
    return tmp_path / "cache" / "m" / "d.h5"
