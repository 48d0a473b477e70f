"""The quick look at a dataset that lies packed, or comes with the package: what it lists, and how many there are."""

from __future__ import annotations

from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.datasets.images import PackedImages, open_images, packed_at
from moodbench.datasets.labels import UNKNOWN
from moodbench.datasets.suffixes import NO_SUFFIX
from moodbench.errors import MoodbenchError
from moodbench.inspection.quick import Inspection


def inspect_listed(spec: DatasetSpec, data_dir: Path) -> Inspection:
    """List an archive, a table, an address or a bundled set, and compare the number with the catalogue.

    An archive that cannot be listed, or lacks what a list promises, is one finding.
    """
    where = packed_at(spec, data_dir)
    look = Inspection(spec, None if where is None else Path(where), expected=spec.images, compared=["count"])
    try:
        images = open_images(spec, data_dir)
    except MoodbenchError as error:
        at = "" if error.file is None else f" ({error.file})"
        fix = "" if error.fix is None else f"; {error.fix}"
        look.found("undecodable" if where is None else "archive", detail=f"{error.what}{at}{fix}")
        return look
    look.sizes = dict.fromkeys(images.ids, 0)
    if spec.images not in (None, len(images)):
        come = "come with the package" if where is None else "are there"
        look.found("count", detail=f"{len(images)} {come}, the catalogue says {spec.images}")
    if isinstance(images, PackedImages):
        look.packed = images
        look.sizes = dict(zip(images.ids, images.sizes.tolist(), strict=True))
        if not images.content.extent:
            for name, size in look.sizes.items():
                if size == 0:
                    look.found("empty", name)
        for suffix, count in images.left_out.items():
            look.found("left out", detail=f"{count} {suffix}" if suffix != NO_SUFFIX else f"{count} without suffix")
        unknown = int((images.labels == UNKNOWN).sum())
        if images.classes and unknown:
            look.found("unlabelled", detail=f"{unknown} of {len(images)}")
    return look
