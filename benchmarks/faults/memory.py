"""Small files, or words, that ask for gigabytes: each is refused, or read within the memory of an attempt."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from benchmarks.faults.trial import Row, attempt
from moodbench.catalog import ListSpec, load_catalog
from moodbench.commands.import_ import import_features
from moodbench.datasets.images import packed_images
from moodbench.datasets.lists import read_list
from moodbench.datasets.packed.places import packed_place
from moodbench.features.heads import read_head
from moodbench.inspection.manifest import origin_file, read_origin
from moodbench.models.checkpoint import read_checkpoint
from moodbench.scores.base import SCORES, create_score
from moodbench.workspace import Workspace

GIGA = 10**9

Work = Callable[[], object]


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each kind of file; there is no chance in it."""
    for kind, works in KINDS.items():
        row = Row(f"asks for memory: {kind}")
        place = folder / kind.split()[0]
        place.mkdir()
        for case, work in works(place).items():
            row.count(attempt(work, seconds=120), right=True, case=case)
        yield row


def npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    """Return the header of an array as NumPy writes it."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def write_bomb(file: Path, name: str, begin: bytes, zeros: int) -> None:
    """Write a zip file with one member: `begin`, and then so many zeros (whole times 16 MiB) that take a thousandth."""
    piece = bytes(16 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)  # after a full flush, it may be repeated
    last = packer.flush()
    count, crc = zeros // len(piece), zlib.crc32(begin)
    for _ in range(count):
        crc = zlib.crc32(piece, crc)
    size, packed_size = len(begin) + count * len(piece), len(first) + count * len(packed) + len(last)
    extra = struct.pack("<HHQQ", 1, 16, size, packed_size)
    common = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
    with file.open("wb") as stream:
        stream.write(b"PK\x03\x04" + common + name.encode() + extra + first)
        for _ in range(count):
            stream.write(packed)
        stream.write(last)
        at = stream.tell()
        stream.write(b"PK\x01\x02" + struct.pack("<H", 45) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0))
        stream.write(name.encode() + extra)
        stream.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, stream.tell() - at, at, 0))


def _importing(folder: Path, file: Path, **more: Any) -> Work:
    return lambda: import_features("m", "d", file, workspace=Workspace(cache_dir=folder / f"cache-{file.name}"), **more)


def _archives(folder: Path) -> Mapping[str, Work]:
    write_bomb(folder / "rows.npz", "features.npy", npy_header((81_920, 16_384)), 5 << 30)
    write_bomb(folder / "head.npz", "weight.npy", npy_header((81_920, 16_384)), 5 << 30)
    write_bomb(folder / "labels.npz", "labels.npy", npy_header((5 << 27,), "<i8"), 5 << 30)
    np.save(folder / "good.npy", np.ones((6, 4), np.float32))
    short = folder / "short.npy"
    short.write_bytes(npy_header((GIGA, 768)) + bytes(1000))
    with zipfile.ZipFile(folder / "header.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(300 << 20))
    return {
        "features of 5 GB": _importing(folder, folder / "rows.npz"),
        "a head of 5 GB": lambda: read_head(folder / "head.npz"),
        "labels of 5 GB": _importing(folder, folder / "good.npy", labels=folder / "labels.npz"),
        "a header that declares 3 TB": _importing(folder, short),
        "a header of 2 GB": _importing(folder, folder / "header.npz"),
    }


class _Call:
    """Pickles as the call of a function, with a state for the result."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self._how = (function, arguments, state)

    def __reduce__(self) -> Any:
        return self._how


def _pickles(folder: Path) -> Mapping[str, Work]:
    reconstruct = np.array(0).__reduce__()[0]
    row = [0.5] * 1000
    array = np.ones((1000, 1000), np.float32)
    cases: dict[str, Any] = {
        "stride 0": _Call(np.ndarray, (GIGA, 4), np.dtype("f4"), b"abcd", 0, (0, 0)),
        "an empty array of 80 GB": _Call(reconstruct, np.ndarray, (10 * GIGA,), b"d"),
        "an array larger than its bytes": _Call(
            reconstruct, np.ndarray, (0,), b"b", state=(1, (GIGA, 4), np.dtype("f4"), False, b"abcd")
        ),
        "lists of lists of lists": [[row] * 1000] * 1000,
        "a list again and again": [row] * 1_000_000,
        "an array again and again": [array] * 10_000,
        "one long id": {"features": np.ones((30_000, 1)), "ids": ["a" * 300_000] + ["b"] * 29_999},
    }
    contents = {case: pickle.dumps(value) for case, value in cases.items()}
    contents |= {
        "twenty million sets": b"\x80\x04" + b"\x8f" * 20_000_000,
        "twenty million dicts": b"\x80\x04" + b"}" * 20_000_000,
        "a memo of two thousand million": b"\x80\x04Nr\xff\xff\xff\x7f.",
        "a text of 2 GB": b"\x80\x04X\xff\xff\xff\x7fabc.",
        "an array of bytes of 5 GB": b"\x80\x05\x96" + (5 * GIGA).to_bytes(8, "little") + b"abc.",
    }
    for case, content in contents.items():
        (folder / f"{case}.pkl").write_bytes(content)
    works = {case: _importing(folder, folder / f"{case}.pkl") for case in contents}
    heads: dict[str, Work] = {f"{case}, as a head": partial(read_head, folder / f"{case}.pkl") for case in contents}
    return works | heads


def _heads(folder: Path) -> Mapping[str, Work]:
    with h5py.File(folder / "head.h5", "w") as h5:
        h5.create_dataset("weight", (1_000_000, 1000), "f4")  # never written: it takes no room in the file
        h5["bias"] = np.zeros(1_000_000, np.float32)
    with h5py.File(folder / "packed.h5", "w") as h5:
        weight = h5.create_dataset("weight", (400_000, 1024), "f8", chunks=(4096, 1024), compression="gzip")
        for start in range(0, 40_960, 4096):
            weight[start : start + 4096] = 0.0
        h5["bias"] = np.zeros(400_000, np.float32)
    return {case: partial(read_head, folder / f"{case}.h5") for case in ("head", "packed")}


def _texts(folder: Path) -> Mapping[str, Work]:
    laughs = "datasets:\n  a0: &a0 [ha]\n" + "".join(
        f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)
    )
    (folder / "laughs.yaml").write_text(laughs, encoding="utf-8")
    (folder / "deep.yaml").write_text("[" * 1_000_000, encoding="utf-8")
    (folder / "sparse").touch()
    os.truncate(folder / "sparse", 1 << 40)
    origin = origin_file(folder, "d")
    origin.parent.mkdir()
    origin.write_text("[" * 1_000_000, encoding="utf-8")
    np.save(folder / "good.npy", np.ones((6, 4), np.float32))
    catalogues = {
        "laughs.yaml": "laughs.yaml",
        "deep.yaml": "deep.yaml",
        "a terabyte": "sparse",
        "a device": "/dev/zero",
    }
    works: dict[str, Work] = {
        f"catalogue: {case}": partial(load_catalog, [folder / name]) for case, name in catalogues.items()
    }
    for name in ("sparse", "/dev/zero"):
        file = folder / name
        works[f"list: {name}"] = partial(read_list, ListSpec("l", path=file), file)
        works[f"labels: {name}"] = _importing(folder, folder / "good.npy", labels=file)
    return works | {"a note": lambda: read_origin(folder, "d")}


def _parameters(folder: Path) -> Mapping[str, Work]:
    def work(name: str, key: str, value: str) -> Work:
        return lambda: create_score(name, {key: value})

    return {
        f"{name}.{key}={value[:12]}": work(name, key, value)
        for name in SCORES
        for key, default in SCORES.get(name).parameters().items()
        if type(default) is int
        for value in ("10000000000", "9" * 5000)
    }


def _checkpoints(folder: Path) -> Mapping[str, Work]:
    torch.save({"x": torch.ones(1).expand(GIGA, 4)}, folder / "stride.pth")
    torch.save({"x": torch.ones(1000)}, folder / "good.pth")
    write_bomb(folder / "packed.pth", "archive/data/0", b"", 5 << 30)
    stream = io.BytesIO()
    torch.save({"x": torch.ones(1000)}, stream, _use_new_zipfile_serialization=False)
    old = stream.getvalue().replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f")  # 1000 numbers → two thousand million
    (folder / "old.pth").write_bytes(old)
    header = json.dumps({"x": {"dtype": "F32", "shape": [GIGA, 4], "data_offsets": [0, 16 * GIGA]}}).encode()
    (folder / "offsets.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    (folder / "header.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"{" * 1000)
    names = [file.name for file in sorted(folder.iterdir())]
    return {name: partial(_names, folder / name) for name in names}


def _names(file: Path) -> list[str]:
    return list(read_checkpoint(file).tensors)


def _packed(folder: Path) -> Mapping[str, Work]:
    """Return members of gigabytes: zeros that take little room in a zip, and holes in a tar and a zip."""
    begin = b"\x89PNG\r\n\x1a\n"
    write_bomb(folder / "bomb.zip", "c/x.png", begin, 5 << 30)
    with (folder / "holes.tar").open("wb") as stream:
        info = tarfile.TarInfo("c/x.png")
        info.size = 5 << 30
        stream.write(info.tobuf())
        stream.truncate(512 + info.size + 1024)
    with (folder / "holes.zip").open("wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("c/x.png", begin)
    data = (folder / "holes.zip").read_bytes()  # the directory at its end says another size
    (folder / "holes.zip").write_bytes(data.replace(struct.pack("<II", 8, 8), struct.pack("<II", 4 * GIGA, 4 * GIGA)))
    return {file.name: partial(_loaded, file) for file in sorted(folder.iterdir())}


def _loaded(file: Path) -> tuple[int, int]:
    return packed_images(packed_place(file)).load(0).size


KINDS: Mapping[str, Callable[[Path], Mapping[str, Work]]] = {
    "archives of arrays": _archives,
    "pickles": _pickles,
    "heads in HDF5": _heads,
    "texts and devices": _texts,
    "parameters": _parameters,
    "checkpoints": _checkpoints,
    "packed images": _packed,
}
