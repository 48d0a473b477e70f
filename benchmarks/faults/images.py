"""Pictures and folders as people have them: other suffixes, too many pixels, links to themselves, long names."""

from __future__ import annotations

import functools
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.faults.trial import Row, attempt
from moodbench.catalog import ListSpec
from moodbench.commands.verify import Verification, verify
from moodbench.datasets.images import folder_images
from moodbench.datasets.lists import read_list
from moodbench.datasets.suffixes import image_formats
from moodbench.errors import DataError
from moodbench.workspace import Workspace

JPEG = ("jpg", "JPEG", "jfif", "jpe", "")
OTHER = {"png": "PNG", "bmp": "BMP", "webp": "WEBP", "avif": "AVIF", "jp2": "JPEG2000", "tga": "TGA", "tif": "TIFF"}
NONE = ("txt", "xml", "mat", "h5", "pdf", "1", "part")

MEMORY = 300 * 2**20
"""Bytes that an attempt on a large file may take: a fraction of the file."""

SPARSE = 10 * 10**9


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each kind of fault."""
    chance = random.Random(seed)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / "x.jpg")
    yield _suffixes(folder, chance)
    yield _bombs(folder, chance)
    yield _links(folder, chance)
    yield _names(folder, chance)
    yield _labels(folder, chance)
    yield _sparse(folder)


def _suffixes(folder: Path, chance: random.Random) -> Row:
    """Of each folder, every picture is used and every other file counted, in words."""
    row = Row("suffixes: images used, the rest counted")
    kinds = {suffix: kind for suffix, kind in OTHER.items() if kind in image_formats()}
    for number in range(60):
        place = folder / f"suffixes{number}"
        place.mkdir()
        images = 0
        for i in range(chance.randint(1, 9)):
            name = chance.choice([*JPEG, *kinds])
            file = place / (f"{i}.{name}" if name else f"{i}")
            if name in kinds:
                Image.open(folder / "x.jpg").save(file, kinds[name])
            else:
                shutil.copy(folder / "x.jpg", file)
            images += 1
        others = chance.randint(0, 9)
        for i in range(others):
            (place / f"other{i}.{chance.choice(NONE)}").write_bytes(chance.randbytes(30))

        def counts(place: Path = place) -> tuple[int, int, int, int]:
            listed = folder_images(place)
            made = _verified(place, deep=True)
            told = sum(finding.kind == "left out" for finding in made.findings)
            return len(listed), sum(listed.left_out.values()), made.images or 0, told

        found = attempt(counts)
        kinds_left = len({file.suffix for file in place.iterdir() if file.name.startswith("other")})
        row.count(found, right=found.value == (images, others, images, kinds_left), case=str(sorted(place.iterdir())))
    return row


def _bombs(folder: Path, chance: random.Random) -> Row:
    """A picture above the limit says its size, by `verify` and by whoever loads it; it is not called damaged."""
    row = Row("pictures above the limit of pixels")
    for number in range(40):
        place = folder / f"bombs{number}"
        place.mkdir()
        width, height = chance.randint(14_000, 60_000), chance.randint(13_000, 60_000)
        (place / "x.png").write_bytes(png(width, height))

        def said(place: Path = place) -> tuple[bool, bool]:
            made = _verified(place, deep=True)
            try:
                folder_images(place).load(0)
            except DataError as error:
                return "large" in made.counts and "undecodable" not in made.counts, "--max-pixels" in str(error)
            return False, False

        found = attempt(said)
        row.count(found, right=found.value == (True, True), case=f"{width} × {height}")
    return row


def _links(folder: Path, chance: random.Random) -> Row:
    """Links to themselves, to their parents and to nowhere: what is there is found, what is not is named."""
    row = Row("links that lead nowhere")
    for number in range(40):
        place = folder / f"links{number}"
        (place / "a" / "b").mkdir(parents=True)
        shutil.copy(folder / "x.jpg", place / "a" / "x.jpg")
        for i in range(chance.randint(1, 4)):
            link = place / chance.choice(("", "a", "a/b")) / f"link{i}{chance.choice(('', '.jpg', '.d'))}"
            link.symlink_to(chance.choice((link, place, link.parent, place / "gone", place / "a" / "b")))
        for work in (_listed, functools.partial(_verified, deep=True)):
            found = attempt(functools.partial(work, place))
            row.count(found, right=True, case=str(place))
    return row


def _names(folder: Path, chance: random.Random) -> Row:
    """Names of over 255 bytes, in every place where a user may give one."""
    row = Row("names over 255 bytes")
    place = folder / "names"
    place.mkdir()
    shutil.copy(folder / "x.jpg", place / "x.jpg")
    for _ in range(30):
        long = chance.choice("xé数") * chance.randint(256, 5000)
        (place / "list.txt").write_text(f"x.jpg 0\n{long}.jpg 1\n", encoding="utf-8")
        for work in (
            functools.partial(folder_images, place / long),
            functools.partial(folder_images, place, include=[long]),
            functools.partial(folder_images, place, image_list=place / "list.txt"),
            functools.partial(folder_images, place, image_list=place / long),
        ):
            row.count(attempt(functools.partial(_length, work)), right=False, case=f"{len(long.encode())} bytes")
    return row


def _length(work: Callable[[], object]) -> int:
    return len(work())  # type: ignore[arg-type]


def _labels(folder: Path, chance: random.Random) -> Row:
    """Labels of a list beyond 64 bits are refused, the others kept."""
    row = Row("labels beyond 64 bits")
    file = folder / "labels.txt"
    for _ in range(60):
        label = chance.choice((1, -1)) * 2 ** chance.randint(60, 70) + chance.randint(-1, 1)
        if chance.random() < 0.2:
            label = 10 ** chance.randint(30, 3000)
        file.write_text(f"a.jpg {label}\n", encoding="utf-8")

        def read() -> object:
            return read_list(ListSpec("labels.txt", file), file).images[0].readings[0][1]

        found = attempt(read)
        row.count(found, right=found.value == label and -(2**63) <= label < 2**63, case=str(label)[:40])
    return row


def _sparse(folder: Path) -> Row:
    """`verify` reads no file into memory, whatever it begins with."""
    row = Row(f"verify of a file of {SPARSE // 10**9} GB without content, in {MEMORY // 2**20} MiB")
    heads = (b"", b"RIFF\0\0\0\0WEBPVP8 ")
    for number, head in enumerate(heads):
        place = folder / f"sparse{number}"
        place.mkdir()
        (place / "x.jpg").write_bytes(head)
        os.truncate(place / "x.jpg", SPARSE)
        for deep in (False, True):
            found = attempt(lambda p=place, d=deep: _verified(p, deep=d).counts, seconds=120, limit=MEMORY)  # type: ignore[misc]
            row.count(found, right=found.value == ({"large": 1} if deep else {}), case=f"{head!r}, deep {deep}")
        shutil.rmtree(place)
    return row


def _listed(place: Path) -> int:
    return len(folder_images(place))


def _verified(place: Path, *, deep: bool) -> Verification:
    """Verify a folder as the dataset of a catalogue."""
    file = place.with_name(f"{place.name}.yaml")
    file.write_text(f"datasets: {{odd: {{title: Odd, path: '{place}'}}}}\n", encoding="utf-8")
    (made,) = verify(["odd"], deep=deep, jobs=1, workspace=Workspace(place.parent / "data", catalogs=(file,)))
    return made


def png(width: int, height: int) -> bytes:
    """Return the beginning of a PNG file that promises so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data))
    return b"\x89PNG\r\n\x1a\n" + chunks
