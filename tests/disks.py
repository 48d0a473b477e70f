"""A small data directory with real images, their manifests and a catalogue, to be damaged by tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from moodbench.commands.list_ import list_datasets
from moodbench.commands.verify import verify
from moodbench.inspection.manifest import FileRecord, write_manifest
from moodbench.workspace import Workspace

IMAGES = 6


def picture(seed: int, side: int = 24) -> Image.Image:
    """Return a picture that no other seed gives, with structure enough for a perceptual hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def cut(file: Path, size: int) -> None:
    """Keep the first `size` bytes."""
    file.write_bytes(file.read_bytes()[:size])


def flip(file: Path) -> None:
    """Flip one bit among the pixels of a JPEG or PNG file."""
    data = bytearray(file.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    file.write_bytes(bytes(data))


class Disk:
    """Datasets `id` (ID train of the benchmark `b`), `ood` (its OOD set) and `part`, which is one half of `ood`.

    Images are called ``a/0.png``, ``b/1.png``, ``a/2.png`` and so on. ID test is imported features only.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.content: dict[str, Any] = {
            "datasets": {
                "id": {"title": "ID", "folder": "id", "images": IMAGES},
                "id_test": {"title": "ID test, imported"},
                "ood": {"title": "OOD", "folder": "ood", "images": IMAGES},
                "part": {"title": "Half", "part_of": "ood", "within": "b", "images": IMAGES // 2},
            },
            "benchmarks": {"b": {"id_train": "id", "id_test": "id_test", "ood": {"far": ["ood"]}}},
        }
        for number, name in enumerate(("id", "ood")):
            for i in range(IMAGES):
                self.save(name, f"{'ab'[i % 2]}/{i}.png", picture(100 * number + i))

    def file(self, dataset: str, path: str) -> Path:
        """Return where an image lies."""
        return self.data / dataset / path

    def save(self, dataset: str, path: str, image: Image.Image, **how: Any) -> None:
        """Write an image."""
        file = self.file(dataset, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file, **how)

    def note(self, *datasets: str) -> None:
        """Write manifests of what is there, as a download does."""
        for dataset in datasets:
            root = self.data / dataset
            files = sorted(file for file in root.rglob("*") if file.is_file())
            records = {
                file.relative_to(root).as_posix(): FileRecord(
                    file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
                )
                for file in files
            }
            write_manifest(self.data, dataset, records)

    def entry(self, dataset: str, **keys: Any) -> None:
        """Change what the catalogue says about a dataset."""
        self.content["datasets"][dataset] |= keys

    def catalog(self) -> Path:
        """Write the catalogue."""
        file = self.root / "catalog.yaml"
        file.write_text(yaml.safe_dump(self.content), encoding="utf-8")
        return file

    def space(self) -> Workspace:
        """Return the workspace of this disk and its catalogue."""
        return Workspace(self.data, self.root / "cache", self.root / "results", (self.catalog(),))

    def look(self, *datasets: str, **how: Any) -> dict[str, list[tuple[str, str | None]]]:
        """Verify; return dataset → kind and path of what is found."""
        made = verify(datasets, workspace=self.space(), **how)
        return {one.name: [(f.kind, f.path) for f in one.findings] for one in made}

    def state(self, dataset: str) -> dict[str, Any]:
        """Return what `moodbench list datasets` says about a dataset."""
        return next(record for record in list_datasets(self.space()) if record["name"] == dataset)
