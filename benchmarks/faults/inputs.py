"""Valid inputs of every kind, and the readers that they are for."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np

from benchmarks.faults.changes import either, misspoken, mutated
from benchmarks.faults.packed_inputs import packed_worlds, plan_worlds, read_packed, read_shards, shard_worlds
from moodbench.catalog import ListSpec, load_catalog
from moodbench.commands.import_ import import_features
from moodbench.datasets.inventory import FolderInventory
from moodbench.datasets.lists import read_list
from moodbench.datasets.match import match_list
from moodbench.features.given import read_labels
from moodbench.features.heads import read_head
from moodbench.inspection.manifest import Origin, origin_file, read_origin
from moodbench.inspection.verdicts import Verdict, read_verdicts, verdict_file
from moodbench.obtain.unpack import unpack
from moodbench.results import provenance_file, read_provenance, read_results, write_results
from moodbench.types import Result
from moodbench.workspace import Workspace

Files = dict[str, bytes]
"""Name → content; one of them is changed."""


@dataclass(frozen=True)
class Reader:
    """Something that reads files of others.

    Attributes
    ----------
    name : str
    worlds : callable
        Returns valid inputs.
    read : callable
        Takes a folder with such files in it, and the name of the first.
    runs : int
        How many changed inputs the program tries.
    change : callable
        Makes a bad input of a good one.
    """

    name: str
    worlds: Callable[[], Sequence[Files]]
    read: Callable[[Path, str], object]
    runs: int
    change: Callable[[bytes, random.Random], bytes] = mutated


_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(6, 4)).astype(np.float32)
_W, _B = _RNG.normal(size=(3, 4)).astype(np.float32), np.zeros(3, np.float32)
_ARRAYS = {
    "features": _X,
    "logits": _X @ _W.T + _B,
    "labels": np.arange(6) % 3,
    "ids": np.array([f"a/{i}.png" for i in range(6)]),
    "classes": np.array(["cat", "dog", "owl"]),
}


def _npz(save: Any = np.savez, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _h5(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="earliest") as h5:
        for name, array in arrays.items():
            h5[name] = array
    return stream.getvalue()


def _imports() -> list[Files]:
    lists = {"features": _X.tolist(), "labels": [0, 1, 2, 0, 1, 2], "ids": ["a", "b", "c", "d", "e", "f"]}
    return [
        {"rows.npz": _npz(**_ARRAYS)},
        {"rows.npz": _npz(np.savez_compressed, **_ARRAYS)},
        {"rows.npy": _npy(_X)},
        {"rows.npy": _npy(np.asfortranarray(_X.astype(">f8")))},
        {"rows.npy": _npy(_X), "labels.txt": b"0 1 2\n0 1 -1\n"},
        *({"rows.pkl": pickle.dumps(value, p)} for p in (0, 2, 4, 5) for value in (_X, _ARRAYS, lists)),
    ]


def _import(folder: Path, name: str) -> object:
    labels = folder / "labels.txt"
    space = Workspace(cache_dir=folder / "cache")
    return import_features("m", "d", folder / name, labels=labels if labels.exists() else None, workspace=space)


def _odd_arrays(_data: bytes, rng: random.Random) -> bytes:
    """Return arrays that do not fit together, or are of kinds that nobody expects."""
    shapes = [(6, 4), (6, 3), (6,), (3,), (5, 4), (), (0, 4), (6, 0), (6, 4, 1), (3, 4), (2**16,)]
    kinds = ["f4", ">f8", "f2", "i8", "u8", "?", "c8", "M8[s]", "m8[D]", "S3", "U2", "O", "f4,i4", "V3", "f16"]
    arrays = dict(_ARRAYS)
    for name in rng.sample(list(arrays), rng.randint(1, 3)):
        values = rng.choice((np.arange, np.ones, np.zeros))(np.prod(rng.choice(shapes), dtype=int))
        with contextlib.suppress(ValueError, TypeError, OverflowError), np.errstate(all="ignore"):
            shaped = values.reshape(rng.choice([s for s in shapes if np.prod(s, dtype=int) == values.size]))
            arrays[name] = np.asarray(shaped.astype(rng.choice(kinds)) * rng.choice((1, 1, -1, 10**6)))
        if rng.random() < 0.2:
            del arrays[name]
        elif rng.random() < 0.1:
            arrays[name] = np.full(
                arrays[name].shape, rng.choice((np.nan, np.inf, 1e300, -1e300, 2**63, 1 + 2j, "a\0b", b"\xff"))
            )
    return pickle.dumps(arrays, rng.choice((2, 4, 5))) if rng.random() < 0.5 else _npz(**arrays)


def _import_odd(folder: Path, name: str) -> object:
    file = folder / name
    if not file.read_bytes().startswith(b"PK"):
        file = file.rename(folder / "rows.pkl")
    return _import(folder, file.name)


def _heads() -> list[Files]:
    whole = {"weight": _W, "bias": _B}
    return [
        {"head.npz": _npz(**whole)},
        {"head.npz": _npz(np.savez_compressed, **whole)},
        {"head.h5": _h5(**whole)},
        *({"head.pkl": pickle.dumps(value, p)} for p in (0, 2, 4, 5) for value in (whole, [_W, _B])),
    ]


_CATALOGUE = b"""
datasets:
  train: {title: Ours, path: data/train, images: 12, include: [a, b], labels: folder}
  test: &t {title: Ours too, folder: ours, homepage: "https://x.org/a?b=c", licence: MIT, steps: [one, two]}
  more: {<<: *t, title: More, folder: more, list: {path: l.csv, column: image, lines: 3, strip: x/, only: a}}
  part: {title: A part, part_of: test, within: sub, problems: [it is small]}
  far:
    title: Fetched
    folder: far
    archives:
      - {file: a.zip, urls: ["https://x.org/a.zip"], bytes: 5 MB, md5: unknown, sha256: unknown, max_files: 9,
         max_bytes: 10 kB}
  single: {title: S, folder: s, per_image: "https://x.org/{name}", list: {url: "https://x.org/l.txt", lines: 3}}
benchmarks:
  ours: {id_train: train, id_test: [test], id_val: part, ood: {near: [more], far: [far]}, classes: [0, 3],
         paper: 2020-01-01}
  each: {id_train: train, id_test: test, ood: {others: [test]}, classes: {cat: 3, dog: 5}}
models:
  m:
    title: A model
    pretext: hybrid
    timm: vit_base_patch16_224.augreg_in21k
    args: {img_size: 224, drop: [0.1, 0.2]}
    checkpoint: w.pth
    bytes: 12
    head: {url: "https://x.org/h.pth", sha256: unknown}
    image: {size: 224, crop: 0.9, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], interpolation: bicubic}
    params: 86.6
    top1: 81.2
    text_supervision: true
    tuning: linear
    variants: {fair: {transform: center, top1: 80}, bare: null}
"""


def _load_catalog(folder: Path, name: str) -> object:
    with patch("moodbench.catalog.load._builtin_files", return_value=()):  # they take most of the time
        catalog = load_catalog([folder / name])
    return [repr(spec) for spec in catalog.datasets.values()], [spec.datasets for spec in catalog.benchmarks.values()]


_LIST = b"a/1.png 0\na/2.png 1\r\nb/3 4.png 2\n\nb/5.png\n"
_TABLE = b'image,label\na/1.png,0\n"a/2.png",1\nb/3 4.png,2\n'


def _read_list(folder: Path, name: str) -> object:
    spec = ListSpec("list", path=folder / name, column="image" if name.endswith("csv") else None)
    for image in ("a/1.png", "a/2.png", "b/3 4.png", "b/5.png"):
        (folder / image).parent.mkdir(exist_ok=True)
        (folder / image).touch()
    return match_list(FolderInventory(folder), read_list(spec, folder / name))


def _results() -> list[Files]:
    def row(ood: str, group: str, auroc: float | None, note: str = "") -> Result:
        return Result("b", "m", "hybrid", "msp", "k=3", "logit", ood, group, 50, 40, auroc, 0.8, 0.95, 0.25, note=note)

    rows = [row("texture", "far", 0.9), row("mean", "far", 0.9), row("street", "near", None, 'no "logits", here')]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.csv"
        write_results(file, rows, {"moodbench": "1", "caches": {"texture": "abc"}})
        return [{"m.csv": file.read_bytes(), "m.json": provenance_file(file).read_bytes()}]


def _read_results(folder: Path, name: str) -> object:
    return read_results(folder / name), read_provenance(folder / name)


def _notes_of_results() -> list[Files]:
    return [{"m.json": files["m.json"], "m.csv": files["m.csv"]} for files in _results()]


def _read_results_json(folder: Path, _name: str) -> object:
    return _read_results(folder, "m.csv")


def _archives() -> list[Files]:
    names = {"a/1.txt": b"one" * 50, "a/b/2.txt": b"two", "c.txt": b""}
    made: list[Files] = []
    for mode in ("w", "w:gz", "w:xz", "w:bz2"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as tar:
            for name, data in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        made.append({"archive": stream.getvalue()})
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, data in names.items():
                archive.writestr(name, data)
        made.append({"archive": stream.getvalue()})
    return made


def _unpack(folder: Path, name: str) -> object:
    return unpack(folder / name, folder / "out", max_files=20, max_bytes=1 << 20)


def _checkpoints() -> list[Files]:
    import torch
    from safetensors.torch import save

    state = {"head.weight": torch.ones(3, 4), "head.bias": torch.zeros(3), "x": torch.arange(5)}
    made: list[Files] = [{"w.safetensors": save(state)}]
    for new in (True, False):
        stream = io.BytesIO()
        torch.save({"state_dict": state, "arch": "x"}, stream, _use_new_zipfile_serialization=new)
        made.append({"w.pth": stream.getvalue()})
    return made


def _read_checkpoint(folder: Path, name: str) -> object:
    from moodbench.models.checkpoint import read_checkpoint

    return {key: tensor.sum().item() for key, tensor in read_checkpoint(folder / name).tensors.items()}


def _notes() -> list[Files]:
    origin = Origin("d", "copied", "/x", 3, 4, "2021", ({"file": "a.zip", "bytes": 3},), None)
    quick = asdict(Verdict("2021", True, 3, 4, {"missing": 1}))
    one, two = origin_file(Path(), "d"), verdict_file(Path(), "d")
    return [
        {str(one): json.dumps({"schema": 1, **asdict(origin)}).encode()},
        {str(two): json.dumps({"schema": 1, "quick": quick, "deep": quick}).encode()},
    ]


def _read_notes(folder: Path, _name: str) -> object:
    return read_origin(folder, "d"), read_verdicts(folder, "d")


READERS = (
    Reader("import", _imports, _import, 600),
    Reader("odd arrays", lambda: [{"rows.npz": _npz(**_ARRAYS)}], _import_odd, 400, _odd_arrays),
    Reader("heads", _heads, lambda folder, name: read_head(folder / name), 400),
    Reader("labels", lambda: [{"labels.txt": b"0 1 2\n0 -1"}], lambda f, name: read_labels(f / name).whole(), 100),
    Reader("catalogue", lambda: [{"mine.yaml": _CATALOGUE}], _load_catalog, 1500, either),
    Reader("lists", lambda: [{"list.txt": _LIST}, {"list.csv": _TABLE}], _read_list, 450),
    Reader("results", _results, _read_results, 300),
    Reader("results in JSON", _notes_of_results, _read_results_json, 150, misspoken),
    Reader("archives", _archives, _unpack, 250),
    Reader("packed images", packed_worlds, read_packed, 600),
    Reader("caches in shards", shard_worlds, read_shards, 300),
    Reader("plans of shards", plan_worlds, read_shards, 300, either),
    Reader("checkpoints", _checkpoints, _read_checkpoint, 200),
    Reader("notes of datasets", _notes, _read_notes, 200, either),
)
