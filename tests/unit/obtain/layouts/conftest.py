"""A layout run on archives."""

from __future__ import annotations

import pytest

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS


@pytest.fixture
def lay(tmp_path):
    """Write archives and run a layout on them; its target folder comes back."""

    def lay(layout: str, archives: dict[str, bytes], **keys):
        specs = []
        for name, content in archives.items():
            (tmp_path / name).write_bytes(content)
            own = {"max_files": 1000, "max_bytes": 10_000_000, **keys}
            specs.append(ArchiveSpec(name, (), None, None, None, **own))
        spec = DatasetSpec("ours", "Ours", folder="ours", archives=tuple(specs), layout=layout)
        target = tmp_path / f"target{len(list(tmp_path.glob('target*')))}"
        target.mkdir()
        LAYOUTS.get(layout)(spec, {name: tmp_path / name for name in archives}, target, False)
        return target

    return lay
