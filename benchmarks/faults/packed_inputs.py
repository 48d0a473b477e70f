"""Valid images in archives and tables, and valid caches in shards, for the program that changes inputs."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

Files = dict[str, bytes]
"""Name → content; see `benchmarks.faults.inputs`."""

LONG = "c1/" + "a name longer than the hundred bytes of an old header " * 3 + ".png"


def packed_worlds() -> list[Files]:
    """Return the same pictures in zips, tars, WebDataset shards, parquet and a folder of `datasets`."""
    members = {f"c{i % 2}/{i}.png": _png(i) for i in range(2)} | {LONG: _png(2)}
    texts = {**members, "c0/0.cls": b"1"}
    made: list[Files] = [{"a.zip": _zip(texts, how)} for how in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)]
    made += [{"a.tar": _tar(texts, kind)} for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    shard = {"000.png": _png(0), "000.cls": b"1", "001.png": _png(1), "001.cls": b"0"}
    made.append({"t-0.tar": _tar(shard), "t-1.tar": _tar(shard)})
    with contextlib.suppress(ImportError):
        made += _tables(members)
    return made


def _png(number: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (80 * number, 9, 9)).save(stream, "png")
    return stream.getvalue()


def _zip(members: Files, how: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(members: Files, kind: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _tables(members: Files) -> list[Files]:
    import pyarrow as pa
    import pyarrow.parquet

    images = [{"bytes": data, "path": name} for name, data in members.items()]
    table = pa.table({"image": images, "label": [0, 1, 0]})
    stream, plain, arrow = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pyarrow.parquet.write_table(table, stream, row_group_size=2)
    how = {"use_dictionary": False, "data_page_version": "2.0", "data_page_size": 1, "write_batch_size": 1}
    pyarrow.parquet.write_table(table, plain, compression="none", **how)
    with pa.ipc.new_stream(arrow, table.schema) as out:
        out.write_table(table)
    state = json.dumps({"_data_files": [{"filename": "data.arrow"}]}).encode()
    saved = {"saved/data.arrow": arrow.getvalue(), "saved/state.json": state, "saved/dataset_info.json": b"{}"}
    return [{"a.parquet": stream.getvalue()}, {"plain.parquet": plain.getvalue()}, saved]


def read_packed(folder: Path, name: str) -> object:
    """Load every picture."""
    from moodbench.datasets.images import packed_images
    from moodbench.datasets.packed.places import packed_place

    place = {"t-0.tar": "t-{0..1}.tar", "saved/data.arrow": "saved"}.get(name, name)
    images = packed_images(packed_place(folder / place), data_dir=folder)
    return [images.load(i).size for i in range(len(images))]


@cache
def _in_shards() -> tuple[tuple[str, bytes], ...]:
    """Return the files of a joined cache of 9 rows in two shards: manifest, shards and plan."""
    from moodbench.features.create import Layout
    from moodbench.features.filling import filling
    from moodbench.features.shards.join import join
    from moodbench.features.shards.plan import ShardPlan, list_digest, write_plan

    with tempfile.TemporaryDirectory() as temporary:
        cache_file = Path(temporary) / "m" / "d.h5"
        ids, labels = [f"{i}.png" for i in range(9)], np.arange(9) % 3
        noted = {"source": "trial", "limit": None}
        plan = ShardPlan("m", "d", 9, 5, list_digest(ids, labels), 5, False, 4, 3, ["a", "b", "c"], None, noted)
        rng = np.random.default_rng(0)
        cache_file.parent.mkdir()
        write_plan(cache_file, plan)
        for index in (1, 2):
            rows = plan.rows_of(index)
            layout = Layout(ids[rows], labels[rows], 4, 3, ["a", "b", "c"])
            size = rows.stop - rows.start
            with filling(
                plan.file_of(cache_file, index), "m", "d", layout, {**plan.noted, "shard": plan.note(index)}
            ) as shard:
                features, logits = (rng.normal(size=(size, width)).astype(np.float32) for width in (4, 3))
                shard.write(0, features, logits, np.ones(size, np.uint8))
        assert join(cache_file, plan)
        shards = [str(plan.file_of(cache_file, index).relative_to(temporary)) for index in (1, 2)]
        names = ("m/d.h5", *shards, "m/d.shards/plan.json")
        return tuple((name, (cache_file.parents[1] / name).read_bytes()) for name in names)


def shard_worlds() -> list[Files]:
    """Return a joined cache in shards."""
    return [{name: data for name, data in _in_shards() if not name.endswith(".json")}]


def plan_worlds() -> list[Files]:
    """Return a plan without shards."""
    return [{name: data for name, data in _in_shards() if name.endswith(".json")}]


def read_shards(folder: Path, name: str) -> object:
    """Read the rows, or the plan where there is nothing else."""
    from moodbench.features.reader import RowReader
    from moodbench.features.shards.plan import read_plan

    if name.endswith(".json"):
        return read_plan(folder / "m" / "d.h5")
    reader = RowReader(folder / "m" / "d.h5")
    return reader.fingerprint, reader.ids, [block.features.sum() for block in reader.blocks(4)]
