"""Archives that hold the image files as they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.layouts.parts import sources
from moodbench.obtain.unpack import unpack_into


@LAYOUTS.register("archive")
def archive(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Unpack every archive: what lies below its `take`, into its `into`. See `Layout`."""
    for source in sources(spec, files).values():
        unpack_into(source.file, source.folder(target), take=source.entry.take, progress=progress)
