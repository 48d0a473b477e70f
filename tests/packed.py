"""The same images in every place where they may lie packed."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """Return path and bytes of every file below a folder, sorted by path."""
    return sorted((str(file.relative_to(folder)), file.read_bytes()) for file in folder.rglob("*") if file.is_file())


def write_tar(file: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """Write a plain tar."""
    with tarfile.open(file, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def write_zip(file: Path, members: Iterable[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file


def write_shards(folder: Path, members: list[tuple[str, bytes]], count: int = 3) -> str:
    """Write WebDataset shards, keys counted anew in each, and return their pattern; folders are the classes."""
    classes = sorted({name.split("/")[0] for name, _ in members})
    size = -(-len(members) // count)
    for shard in range(count):
        inside: list[tuple[str, bytes]] = []
        for i, (name, data) in enumerate(members[shard * size : (shard + 1) * size]):
            inside += [(f"{i:04}.png", data), (f"{i:04}.cls", str(classes.index(name.split("/")[0])).encode())]
        write_tar(folder / f"train-{shard:04}.tar", inside)
    return str(folder / f"train-{{0000..{count - 1:04}}}.tar")


def table_of(members: list[tuple[str, bytes]]):
    """Return a table as the library `datasets` lays it out: a struct of bytes and path, a label with named classes."""
    import pyarrow as pa

    classes = sorted({name.split("/")[0] for name, _ in members})
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": classes},
    }
    table = pa.table(
        {
            "image": [{"bytes": data, "path": name} for name, data in members],
            "label": [classes.index(name.split("/")[0]) for name, _ in members],
        }
    )
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(file: Path, members: list[tuple[str, bytes]], rows: int = 4) -> Path:
    """Write a parquet file with groups of so many rows."""
    import pyarrow.parquet

    pyarrow.parquet.write_table(table_of(members), file, row_group_size=rows)
    return file


def write_arrow(folder: Path, members: list[tuple[str, bytes]], rows: int = 4) -> Path:
    """Write a folder as the library `datasets` saves a split."""
    import pyarrow as pa

    folder.mkdir()
    table = table_of(members)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table, max_chunksize=rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder
