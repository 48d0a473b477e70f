"""The quick look at a dataset: list, names, number and sizes of its images, without opening one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR

from moodbench.catalog import Catalog, DatasetSpec
from moodbench.datasets.images import PackedImages, dataset_folder, expected_ids, unlabelled
from moodbench.datasets.suffixes import image_suffixes, looks_like_an_image, suffix_of
from moodbench.errors import DataError
from moodbench.inspection.findings import Finding
from moodbench.inspection.manifest import FileRecord, read_manifest
from moodbench.inspection.scan import Scan, look_at, scan


@dataclass
class Inspection:
    """What is known about one dataset after a look at its files.

    Attributes
    ----------
    spec : DatasetSpec
    folder : Path or None
        None: bundled.
    sizes : dict
        Path of each of its images that is there → bytes, in order.
    expected : int or None
        How many images there should be: as the catalogue says, else the list, else the manifest.
    manifest : mapping or None
        Path → size and digest, as they were when the dataset came here.
    compared : list of str
        What could be compared: ``count``, ``names``, ``sizes``; ``decoded`` and ``content`` after a deep look.
    findings : list of Finding
    packed : PackedImages or None
        The images, where they lie in an archive, a table or behind an address; `folder` then names that.
    """

    spec: DatasetSpec
    folder: Path | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    expected: int | None = None
    manifest: Mapping[str, FileRecord] | None = None
    compared: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    packed: PackedImages | None = None

    def found(self, kind: str, path: str | None = None, detail: str | None = None) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, self.spec.name, path, detail))


def inspect(spec: DatasetSpec, catalog: Catalog, data_dir: Path) -> Inspection:
    """Compare the files of a dataset with the catalogue, its list and its manifest. Opens no image.

    Parameters
    ----------
    spec : DatasetSpec
        Neither bundled nor packed: of those, see `moodbench.inspection.packed`.
    catalog : Catalog
        A part's manifest is that of the whole.
    data_dir : Path
    """
    folder = dataset_folder(spec, data_dir)
    seen = Inspection(spec, folder, expected=spec.images)
    try:
        if folder is not None and not S_ISDIR(folder.stat().st_mode):
            seen.found("folder", detail="a dataset is a folder of images, but this is a file")
            return seen
    except PermissionError as error:
        seen.found("folder", detail=f"'{folder}': {error.strerror}")
        return seen
    except OSError:
        folder = None
    if folder is None:
        seen.found("absent", detail=_how_to_get(spec, seen.folder))
        return seen
    seen.manifest = _manifest(seen, catalog, data_dir)
    try:
        listed = expected_ids(spec, data_dir)
    except DataError as error:  # nobody knows which images are meant
        seen.found("list", detail=f"{error.what}; {error.fix}" if error.fix else error.what)
        return seen
    present = _present(spec, folder, listed)
    if present.nothing:
        seen.found("absent", detail=_how_to_get(spec, folder))
        return seen
    _compare_names(seen, listed, present)
    _compare_sizes(seen)
    _find_left_out(seen, folder, present)
    _count_unlabelled(seen, folder, data_dir)
    return seen


def _how_to_get(spec: DatasetSpec, folder: Path | None) -> str:
    if folder is None:
        return f"the catalogue names no images of it; moodbench cache verify --dataset {spec.name}  looks at features"
    how = "put its images there" if spec.source == "folder" else f"run  moodbench download {spec.name}"
    return f"expected in '{folder}'; {how}"


def how_to_mend(spec: DatasetSpec, catalog: Catalog, data_dir: Path) -> str:
    """Return what to do about images that are damaged or missing."""
    whole = catalog.whole_of(spec)
    again = ""
    if whole.source != "folder":
        folder = dataset_folder(whole, data_dir)
        again = f", or move '{folder}' away and run  moodbench download {whole.name}"
    return f"to mend {spec.name}: restore the images that are named{again}"


def _manifest(seen: Inspection, catalog: Catalog, data_dir: Path) -> dict[str, FileRecord] | None:
    """Return the dataset's manifest, or its share of the manifest of what it is a part of."""
    spec, prefix = seen.spec, ""
    try:
        while (records := read_manifest(data_dir, spec.name)) is None:
            if spec.part_of is None:
                return None
            prefix = f"{spec.within.rstrip('/')}/{prefix}" if spec.within else prefix
            spec = catalog.dataset(spec.part_of)
    except DataError as error:
        seen.found("note", detail=error.what)
        return None
    own = {path[len(prefix) :]: record for path, record in records.items() if path.startswith(prefix)}
    include, suffixes = seen.spec.include, image_suffixes() | {""}
    images = {
        path: record
        for path, record in own.items()
        # what has no suffix was an image when the manifest was written
        if suffix_of(path) in suffixes and (not include or path.split("/", 1)[0] in include)
    }
    return images or None


def _count_unlabelled(seen: Inspection, folder: Path, data_dir: Path) -> None:
    """Say how many images have no label: one finding for all."""
    try:
        count = unlabelled(seen.spec, folder, tuple(seen.sizes), data_dir)
    except DataError as error:
        seen.found("unlabelled", detail=f"the labels cannot be told: {error.what}")
        return
    if count:
        seen.found("unlabelled", detail=f"{count} of {len(seen.sizes)}")


def _find_left_out(seen: Inspection, folder: Path, present: Scan) -> None:
    """Say which files are no images by their suffix: one finding for each."""
    for suffix, count in sorted(present.left_out.items(), key=lambda item: (-item[1], item[0])):
        example = present.examples[suffix]
        named = f"{count} {suffix}" if count > 1 else f"'{example}'"
        image = looks_like_an_image(f"{folder}/{example}")
        seen.found("left out", detail=f"{named}, by its content an image ('{example}'): rename it" if image else named)


def _is_shared(spec: DatasetSpec) -> bool:
    """Whether others may keep images in its folder."""
    return spec.part_of is not None or spec.path is not None


def _present(spec: DatasetSpec, folder: Path, listed: tuple[str, ...] | None) -> Scan:
    if listed is not None and _is_shared(spec):
        return look_at(folder, listed)  # a few of perhaps a million files
    return scan(folder, spec.include)


def _compare_names(seen: Inspection, listed: tuple[str, ...] | None, present: Scan) -> None:
    for path, reason in present.unreadable.items():
        seen.found("folder", path, reason)
    for path in present.unnameable:
        seen.found("name", path)
    sizes = present.sizes
    seen.sizes = sizes if listed is None else {path: sizes[path] for path in listed if path in sizes}
    known = tuple(seen.manifest) if listed is None and seen.manifest is not None else listed
    broken = set(present.broken)
    for path in present.broken if known is None else (path for path in known if path not in sizes):
        seen.found("missing", path, "a link to nowhere" if path in broken else None)
    _find_extra(seen, present, listed)
    _compare_count(seen, None if known is None else len(known))
    if known is not None:
        seen.compared.append("names")


def _find_extra(seen: Inspection, present: Scan, listed: tuple[str, ...] | None) -> None:
    """Say which images lie in the folder without being the dataset's."""
    if listed is not None and _is_shared(seen.spec):
        return
    for path in present.sizes.keys() - set(listed or ()):
        if seen.manifest is None:
            if listed is not None:
                seen.found("unlisted", path)
        elif path not in seen.manifest:
            seen.found("extra", path)


def _compare_count(seen: Inspection, known: int | None) -> None:
    expected = seen.spec.images
    if expected is None:
        seen.expected = known
        return
    seen.compared.append("count")
    if known is None and len(seen.sizes) != expected:
        seen.found("count", detail=f"{len(seen.sizes)} here, the catalogue says {expected}")
    elif known is not None and known != expected:
        where = "manifest" if seen.spec.image_list is None else "list"
        seen.found("count", detail=f"the catalogue says {expected}, the {where} has {known}")


def _compare_sizes(seen: Inspection) -> None:
    if seen.manifest is not None:
        seen.compared.append("sizes")
    for path, size in seen.sizes.items():
        record = None if seen.manifest is None else seen.manifest.get(path)
        if size == 0:
            seen.found("empty", path)
        elif record is not None and record.bytes != size:
            seen.found("size", path, f"{size} bytes, {record.bytes} in the manifest")
