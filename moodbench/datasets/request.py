"""Which images a command reads: datasets of the catalogue, or a folder that the user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moodbench.catalog import LABEL_RULES, label_rule
from moodbench.datasets.chosen import chosen_datasets
from moodbench.datasets.images import (
    FolderImages,
    ImageSource,
    PackedImages,
    folder_images,
    is_on_disk,
    open_images,
    packed_images,
)
from moodbench.datasets.packed.places import is_packed, packed_place
from moodbench.datasets.suffixes import in_words
from moodbench.errors import UsageError
from moodbench.sizes import many
from moodbench.types import Report
from moodbench.workspace import Workspace, check_dataset_name


@dataclass(frozen=True)
class ImageSet:
    """The images of one dataset; `expected` is how many the catalogue says it has."""

    dataset: str
    images: ImageSource
    expected: int | None = None

    def remarks(self) -> Iterator[str]:
        """Yield what people should know about them, a line each."""
        if self.expected not in (None, len(self.images)):
            yield f"{self.dataset} has {many(len(self.images), 'image')} here, the catalogue expects {self.expected}"
        left_out = getattr(self.images, "left_out", None)
        if left_out:
            yield f"{self.dataset}: left out, as no images by their suffix: {in_words(left_out)}"
        for remark in getattr(self.images, "remarks", ()):
            yield f"{self.dataset}: {remark}"


@dataclass(frozen=True)
class ImageRequest:
    """What images to read, and how.

    Attributes
    ----------
    benchmark, dataset : sequence of str
        Without either: every dataset that a benchmark of the catalogue names and that is on this disk.
    images : str or Path, optional
        A folder of images, or where they lie packed (an archive, a table, an address), to be called by the single name
        in `dataset`.
    labels : str or Path, optional
        How those get their labels: a rule (`moodbench.catalog.LABEL_RULES`), or a file that names the class folders in
        order.
    max_pixels : int, optional
        Pictures with more pixels count as undecodable; as Pillow has it by default.
    """

    benchmark: Sequence[str] = ()
    dataset: Sequence[str] = ()
    images: str | Path | None = None
    labels: str | Path | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.max_pixels < 1:
            raise UsageError(f"the limit of pixels must be at least 1, got {self.max_pixels}")

    def open(self, space: Workspace, report: Report) -> list[ImageSet]:
        """Return the datasets in order, all found before any is read; `report` is told which are left out.

        Raises
        ------
        UsageError
            The options contradict each other, or a name is unknown.
        DataError
            A dataset is not on this disk, or not as the catalogue says.
        """
        rule = self._rule()
        if self.images is not None:
            sets = [self._named(space, self.images, rule)]
        else:
            sets = [
                ImageSet(spec.name, open_images(spec, space.data_dir), spec.images)
                for spec in chosen_datasets(space, self.dataset, self.benchmark, report)
            ]
        return [replace(one, images=self._limited(one.images)) for one in sets]

    def _rule(self) -> str | Path:
        """Return how the images of a folder get their labels."""
        if self.labels is None:
            return "auto"
        if self.images is None:
            raise UsageError(
                "labels are given for a folder of images, and none is named",
                fix="give --images FOLDER, or say 'labels' in the dataset's entry of the catalogue",
            )
        rule = self.labels if isinstance(self.labels, Path) else label_rule(self.labels)
        if rule is None or rule == "list":
            rules = ", ".join(rule for rule in LABEL_RULES if rule != "list")
            raise UsageError(f"there is no rule '{self.labels}' for labels", fix=f"use one of: {rules}; or a file")
        try:
            return rule.expanduser() if isinstance(rule, Path) else rule
        except RuntimeError as error:  # ~NAME of somebody who is not known here
            raise UsageError(
                f"the file of labels '{self.labels}' cannot be found: {error}", fix="write its whole path"
            ) from None

    def _named(self, space: Workspace, where: str | Path, rule: str | Path) -> ImageSet:
        if len(self.dataset) != 1 or self.benchmark:
            raise UsageError(
                "--images FOLDER needs exactly one --dataset NAME to call it by, and no --benchmark",
                fix="moodbench extract --model M --images FOLDER --dataset my_images",
            )
        name = check_dataset_name(self.dataset[0])
        known = space.catalog.datasets.get(name)
        if known is not None and is_on_disk(known, space.data_dir):
            raise UsageError(
                f"the catalogue's dataset '{name}' has images of its own ({known.source}), and --images names others",
                fix="choose another --dataset NAME",
            )
        images: FolderImages | PackedImages
        if is_packed(where):
            images = packed_images(packed_place(where), labels=rule, data_dir=space.data_dir)
        else:
            images = folder_images(Path(where), labels=rule)
        return ImageSet(name, images, None if known is None else known.images)

    def _limited(self, images: ImageSource) -> ImageSource:
        """Return the same images with another limit of their size."""
        if self.max_pixels is None or not isinstance(images, FolderImages | PackedImages):
            return images
        return replace(images, max_pixels=self.max_pixels)
