"""Is it all there and intact? What the command `verify` does, as a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names, check_whole
from moodbench.catalog import BenchmarkSpec, Catalog, DatasetSpec
from moodbench.datasets.chosen import chosen_datasets
from moodbench.datasets.images import MAX_PIXELS, packed_at
from moodbench.errors import UsageError
from moodbench.inspection.findings import KINDS, Finding, counts
from moodbench.inspection.overlap import NEAR_BITS, Pictures, duplicates, nearly_overlaps, overlaps
from moodbench.inspection.packed import inspect_listed
from moodbench.inspection.quick import Inspection, how_to_mend, inspect
from moodbench.inspection.verdicts import Verdict, note_verdict, now
from moodbench.tables.notebooks import Records
from moodbench.types import Report
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.inspection.decoding import ImageCheck

MOST_BITS = 16
"""Beyond this, different pictures are alike by chance."""

FINE = {"absent", "archive", "folder", "large", "list", "note", "overlap"}
"""Faults that the images themselves have no part in, or that say by themselves what to do."""

_ORDER = {kind: position for position, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Verification:
    """What was found about one dataset.

    Attributes
    ----------
    name : str
    state : str
        ``ok``, ``faulty`` or ``missing``.
    images : int or None
        Of its images, those that are there; None where its list is missing.
    expected : int or None
        How many there should be; None where nobody says.
    bytes : int
        Size of the images together.
    deep : bool
        Whether every image was read and decoded.
    compared : tuple of str
        What could be compared: ``count`` with the catalogue, ``names`` with list or manifest, ``sizes`` and ``content``
        with the manifest; ``decoded``.
    findings : tuple of Finding
        By kind, then path.
    """

    name: str
    state: str
    images: int | None
    expected: int | None
    bytes: int
    deep: bool
    compared: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. Notes, such as duplicates, are nothing wrong."""
        return not any(finding.fault for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """Kind of finding → how many."""
        return counts(self.findings)

    def record(self) -> dict[str, Any]:
        """Return everything as a plain mapping."""
        found = [finding.record() for finding in self.findings]
        return {
            **asdict(self),
            "compared": list(self.compared),
            "ok": self.ok,
            "counts": self.counts,
            "findings": found,
        }


def verify(
    dataset: str | Sequence[str] = (),
    *,
    benchmark: str | Sequence[str] = (),
    deep: bool = False,
    near: bool = False,
    bits: int = NEAR_BITS,
    jobs: int | None = None,
    max_pixels: int = MAX_PIXELS,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> Records[Verification]:
    """Compare datasets on this disk with the catalogue, their lists and their manifests.

    The quick look opens no image: lists, names, number and sizes. The deep one reads and decodes every image and
    compares its content with the manifest. Either looks for pictures that are ID and OOD in the same benchmark: by
    what is noted in manifests, or by what the images are. Results are noted for `moodbench list datasets`.

    Parameters
    ----------
    dataset, benchmark : str or sequence of str
        What to verify. Without either: every dataset that a benchmark of the catalogue names and that is on this disk.
    deep : bool
    near : bool
        Also look for ID and OOD pictures that are nearly the same, by 64-bit perceptual hashes of which at most `bits`
        differ. Makes the look a deep one.
    jobs : int, optional
        Processes that decode. One a core by default.
    max_pixels : int
        Pictures with more are not decoded.
    report : callable
        Is told, line by line, what is left out and could not be compared.

    Returns
    -------
    list of Verification
        One for each dataset, in order.

    Raises
    ------
    DataError
        There is nothing to verify.
    UsageError
        A name is unknown, or a number out of its range.
    """
    check_whole(bits=bits, max_pixels=max_pixels)
    check_whole(optional=True, jobs=jobs)
    if jobs is not None and jobs < 1:
        raise UsageError(f"the number of jobs must be at least 1, got {jobs}")
    if max_pixels < 1:
        raise UsageError(f"the limit of pixels must be at least 1, got {max_pixels}")
    if not 0 <= bits <= MOST_BITS:
        raise UsageError(f"pictures that differ in {bits} of 64 bits: use 0 to {MOST_BITS}")
    space = as_workspace(workspace)
    dataset, benchmark = as_names(dataset), as_names(benchmark)
    space.check_data_dir()
    deep = deep or near
    looks = [_look(spec, space) for spec in chosen_datasets(space, dataset, benchmark, report)]
    seen = _decode(looks, space.catalog, near, jobs, progress, max_pixels) if deep else map(_by_manifest, looks)
    pictures = {one.dataset: one for one in seen}
    benchmarks = [space.catalog.benchmark(name) for name in benchmark] if benchmark and not dataset else None
    found = list(_twice(pictures, benchmarks or space.catalog.benchmarks.values(), bits if near else None))
    done = [_conclude(look, deep, found) for look in looks]
    _say_uncompared(looks, deep, report)
    for look, made in zip(looks, done, strict=True):
        if look.folder is not None and {f.kind for f in made.findings if f.fault} - FINE:
            report(how_to_mend(look.spec, space.catalog, space.data_dir))
    kept = [made for look, made in zip(looks, done, strict=True) if look.folder is not None and made.state != "missing"]
    _note(kept, space.data_dir, report)
    return Records(done)


def _look(spec: DatasetSpec, space: Workspace) -> Inspection:
    if spec.bundled is None and packed_at(spec, space.data_dir) is None:
        return inspect(spec, space.catalog, space.data_dir)
    return inspect_listed(spec, space.data_dir)


def _decode(
    looks: Sequence[Inspection], catalog: Catalog, near: bool, jobs: int | None, progress: bool, max_pixels: int
) -> Iterator[Pictures]:
    """Decode every image of every dataset, and an image that belongs to several of them once."""
    from moodbench.inspection.decoding import check_images
    from moodbench.processes import cores

    wholes = [catalog.whole_of(look.spec).name for look in looks]
    shared: dict[str, ImageCheck] = {}
    for look, whole in zip(looks, wholes, strict=True):
        if look.folder is None or not look.sizes:
            continue
        if look.packed is not None:
            checks = check_images(
                look.packed,
                near=near,
                jobs=jobs or cores(),
                label=look.spec.name,
                progress=progress,
                max_pixels=max_pixels,
            )
            own = dict(zip(look.packed.ids, checks, strict=True))
            _compare_content(look, own)
            yield _by_content(look, own)
            continue
        files = {path: f"{look.folder}/{path}" for path, size in look.sizes.items() if size > 0}
        new = [file for file in files.values() if file not in shared]
        checks = check_images(
            new, near=near, jobs=jobs or cores(), label=look.spec.name, progress=progress, max_pixels=max_pixels
        )
        found = dict(zip(new, checks, strict=True))
        own = {path: found.get(file) or shared[file] for path, file in files.items()}
        if wholes.count(whole) > 1:
            shared |= found
        _compare_content(look, own)
        yield _by_content(look, own)


def _compare_content(look: Inspection, checks: Mapping[str, ImageCheck]) -> None:
    """Add what a deep look found. An image has one finding, the one that says most."""
    sizes = {finding.path: finding for finding in look.findings if finding.kind == "size"}
    for path, check in checks.items():
        record = None if look.manifest is None else look.manifest.get(path)
        if check.fault is not None:
            smaller = sizes.pop(path, None)
            details = [check.detail, smaller.detail if smaller else None]
            look.found(check.fault, path, "; ".join(detail for detail in details if detail))
        elif record is not None and path not in sizes and record.sha256 != check.sha256.hex():
            look.found("changed", path, f"sha256 {check.sha256.hex()}, {record.sha256} in the manifest")
    look.findings = [f for f in look.findings if f.kind != "size" or f.path in sizes]
    look.compared += ["decoded"] if look.manifest is None else ["decoded", "content"]


def _by_content(look: Inspection, checks: Mapping[str, ImageCheck]) -> Pictures:
    """Return what the images are."""
    keys = {path: check.pixels or check.sha256 for path, check in checks.items()}
    likenesses = {path: check.likeness for path, check in checks.items() if check.likeness is not None}
    return Pictures(look.spec.name, {path: key for path, key in keys.items() if key}, likenesses)


def _by_manifest(look: Inspection) -> Pictures:
    """Return what the images are by the manifest, as far as their sizes agree with it."""
    records = look.manifest or {}
    same = {path for path, size in look.sizes.items() if path in records and size == records[path].bytes > 0}
    return Pictures(look.spec.name, {path: records[path].sha256.encode() for path in look.sizes if path in same}, {})


def _twice(
    pictures: Mapping[str, Pictures], benchmarks: Iterable[BenchmarkSpec], bits: int | None
) -> Iterator[Finding]:
    """Yield duplicates within datasets, and what is ID and OOD in one of the benchmarks."""
    for one in pictures.values():
        yield from duplicates(one)
    pairs: dict[tuple[str, str], list[str]] = {}
    for benchmark in benchmarks:
        ids = benchmark.needed
        # where a dataset is both, classes decide: the same picture in training and test is no contamination
        for ood in (name for name in benchmark.ood_datasets if name not in ids):
            for id_ in ids:
                pairs.setdefault((ood, id_), []).append(benchmark.name)
    for (ood, id_), names in pairs.items():
        if ood in pictures and id_ in pictures:
            yield from overlaps(pictures[ood], pictures[id_], tuple(names))
            if bits is not None:
                yield from nearly_overlaps(pictures[ood], pictures[id_], tuple(names), bits)


def _conclude(look: Inspection, deep: bool, found: Iterable[Finding]) -> Verification:
    own = [*look.findings, *(finding for finding in found if finding.dataset == look.spec.name)]
    findings = tuple(sorted(own, key=lambda f: (_ORDER[f.kind], f.path or "", f.other_dataset or "")))
    kinds = {finding.kind for finding in findings}
    made = Verification(
        name=look.spec.name,
        state="ok",
        images=None if "list" in kinds else len(look.sizes),
        expected=look.expected,
        bytes=sum(look.sizes.values()),
        deep=deep,
        compared=tuple(look.compared),
        findings=findings,
    )
    return replace(made, state="ok" if made.ok else "missing" if "absent" in kinds else "faulty")


def _say_uncompared(looks: Iterable[Inspection], deep: bool, report: Report) -> None:
    names = [look.spec.name for look in looks if look.sizes and look.folder is not None and look.manifest is None]
    if names:
        also = "" if deep else "; --deep decodes the images and compares them with one another"
        report(f"{', '.join(names)}: sizes and content not compared (no manifest){also}")


def _note(done: Iterable[Verification], data_dir: Path, report: Report) -> None:
    time = now()
    for made in done:
        sound = not any(finding.fault and finding.kind != "overlap" for finding in made.findings)
        try:
            verdict = Verdict(time, sound, made.images or 0, made.bytes, made.counts)
            note_verdict(data_dir, made.name, verdict, deep=made.deep)
        except OSError as error:
            report(f"the result cannot be noted below '{data_dir}': {error.strerror}")
            return
