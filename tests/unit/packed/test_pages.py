"""Parquet read page by page: what pyarrow reads, however it is written, and no more of the file than is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moodbench.datasets.packed import tables
from moodbench.datasets.packed.pages import Pages, find_pages
from moodbench.datasets.packed.storage import Handle
from moodbench.datasets.packed.tables import open_table
from moodbench.errors import DataError

pa = pytest.importorskip("pyarrow")

SMALL = {"data_page_size": 4096, "write_batch_size": 2}

HUB = {
    **SMALL,
    "compression": "none",
    "use_dictionary": False,
    "column_encoding": {"image.bytes": "PLAIN"},
    "write_page_index": True,
}
"""As the library `datasets` writes today, with smaller pages."""

LAYOUTS = {
    "hub": HUB,
    "as pyarrow writes": {},
    "small pages": SMALL,
    "a dictionary that grew too large": {**SMALL, "dictionary_pagesize_limit": 5000},
    "other pages": {**SMALL, "data_page_version": "2.0"},
    "other pages, not compressed": {
        **SMALL,
        "data_page_version": "2.0",
        "compression": "none",
        "use_dictionary": False,
    },
    "zstd": {**SMALL, "compression": "zstd", "use_dictionary": False},
}
LEFT_TO_PYARROW = {
    "gzip": {"compression": "gzip"},
    "lengths apart": {"use_dictionary": False, "column_encoding": {"image.bytes": "DELTA_LENGTH_BYTE_ARRAY"}},
}


def images(count=60, missing=()):
    """Bytes of many lengths, some of which are there twice; None for those that are missing."""
    rng = np.random.default_rng(1)
    found = [rng.bytes(int(size)) for size in rng.integers(0, 3000, count)]
    found[7] = found[count - 2] = found[3]
    return [None if row in missing else data for row, data in enumerate(found)]


def write(file, values, rows=25, **how):
    import pyarrow.parquet

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    column = pa.array([{"bytes": data, "path": f"{row}.png"} for row, data in enumerate(values)], kind)
    pyarrow.parquet.write_table(pa.table({"n": range(len(values)), "image": column}), file, row_group_size=rows, **how)
    return str(file)


def layout_of(file, group=0, column="image.bytes"):
    import pyarrow.parquet

    return find_pages(pyarrow.parquet.ParquetFile(file), Handle(file), group, column)


@pytest.fixture
def without_groups(monkeypatch):
    """Nothing is read through pyarrow's readers of groups."""

    def refused(*_):
        raise AssertionError("a whole group was read")

    monkeypatch.setattr(tables, "_image_column", refused)


@pytest.mark.parametrize("missing", [(), (0, 11, 24, 59), range(60)])
@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS)
def test_every_row_is_what_was_written_in_any_order(tmp_path, without_groups, how, missing):
    values = images(missing=missing)
    table = open_table([write(tmp_path / "a.parquet", values, **how)])
    for row in (*range(60), 59, 0, 30, 29, 31):
        if values[row] is None:
            with pytest.raises(DataError, match="no bytes of an image"):
                table.read(row)
        else:
            assert table.read(row) == values[row]


def test_the_layouts_are_as_different_as_they_say(tmp_path):
    found = {name: layout_of(write(tmp_path / "a.parquet", images(), **how)) for name, how in LAYOUTS.items()}
    by_number = {name: {page.numbers for page in layout.pages} for name, layout in found.items()}
    assert by_number["hub"] == by_number["zstd"] == {False}
    assert by_number["as pyarrow writes"] == {True}
    assert by_number["a dictionary that grew too large"] == {True, False}
    assert len(found["as pyarrow writes"].pages) == 1
    assert all(len(found[name].pages) > 2 for name in ("hub", "other pages, not compressed", "zstd"))
    assert all(page.levels is not None for page in found["other pages"].pages)


@pytest.mark.parametrize("how", LEFT_TO_PYARROW.values(), ids=LEFT_TO_PYARROW)
def test_what_is_written_in_another_way_is_left_to_pyarrow(tmp_path, how):
    values = images(missing=(5,))
    file = write(tmp_path / "a.parquet", values, **how)
    assert layout_of(file) is None
    table = open_table([file])
    assert [table.read(row) for row in range(60) if row != 5] == values[:5] + values[6:]
    with pytest.raises(DataError, match="no bytes of an image"):
        table.read(5)


@pytest.mark.parametrize("nullable", [True, False])
def test_columns_of_bytes_alone_and_structs_that_are_missing(tmp_path, without_groups, nullable):
    import pyarrow.parquet

    file, values = tmp_path / "a.parquet", images(20)
    schema = pa.schema([pa.field("image", pa.large_binary(), nullable)])
    pyarrow.parquet.write_table(pa.table({"image": values}, schema), file)
    table = open_table([str(file)])
    assert [table.read(row) for row in range(20)] == values
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pyarrow.parquet.write_table(pa.table({"image": pa.array([{"bytes": b"x", "path": "x"}, None], kind)}), file)
    with pytest.raises(DataError, match="no bytes of an image"):
        open_table([str(file)]).read(1)


def test_of_a_group_only_the_pages_asked_for_are_read(tmp_path, monkeypatch):
    values = images(400)
    file = write(tmp_path / "a.parquet", values, rows=400, **HUB)
    layout = layout_of(file)
    assert len(layout.pages) > 50
    read = []

    class Counted(Handle):
        def read(self, offset, size):
            read.append(size)
            return super().read(offset, size)

    pages = Pages(Counted(file), layout)
    assert [pages.read(row) for row in range(200, 216)] == values[200:216]
    assert sum(read) < sum(map(len, values[200:216])) + 2 * 20_000
    assert len(read) == len(
        {np.searchsorted(np.cumsum([p.count for p in layout.pages]), row, "right") for row in range(200, 216)}
    )


def test_headers_may_be_long(tmp_path, without_groups):
    import pyarrow.parquet

    values = [bytes([65 + row]) * 1500 for row in range(8)]  # smallest and largest stand in the header of the page
    pyarrow.parquet.write_table(pa.table({"image": values}), tmp_path / "a.parquet", write_page_index=False)
    layout = layout_of(str(tmp_path / "a.parquet"), column="image")
    assert layout.pages[0].offset > 3000
    table = open_table([str(tmp_path / "a.parquet")])
    assert [table.read(row) for row in range(8)] == values


def test_damage_within_a_page_names_the_image_and_leaves_other_pages(tmp_path, without_groups):
    values = images()
    file = write(tmp_path / "a.parquet", values, rows=60, compression="zstd", use_dictionary=False, **SMALL)
    page = layout_of(file).pages[3]
    first = sum(one.count for one in layout_of(file).pages[:3])
    with Path(file).open("r+b") as stream:
        stream.seek(page.offset)
        stream.write(b"oops" * (page.stored // 4))
    table = open_table([file])
    with pytest.raises(DataError, match="damaged") as error:
        table.read(first)
    assert str(error.value.file) == f"{file}/{first}.png"
    assert "--on-error skip" in error.value.fix
    assert table.read(first - 1) == values[first - 1]
    assert table.read(first + page.count) == values[first + page.count]


def test_damage_in_a_group_that_pyarrow_reads_names_the_image_too(tmp_path):
    import pyarrow.parquet

    file = Path(write(tmp_path / "a.parquet", images(), **LEFT_TO_PYARROW["gzip"]))
    begin = pyarrow.parquet.ParquetFile(file).metadata.row_group(1).column(1).dictionary_page_offset
    data = bytearray(file.read_bytes())
    data[begin + 200 : begin + 900] = bytes(700)
    file.write_bytes(data)
    table = open_table([str(file)])
    assert table.read(24) == images()[24]
    with pytest.raises(DataError, match="damaged") as error:
        table.read(26)
    assert str(error.value.file) == f"{file}/26.png"


def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    table = open_table([write(tmp_path / "a.parquet", images())])

    def lack(*_):
        raise MemoryError

    monkeypatch.setattr(Handle, "read", lack)
    with pytest.raises(MemoryError):
        table.read(0)


def test_a_file_that_is_replaced_is_read_on_as_it_was(tmp_path, without_groups):
    values = images()
    table = open_table([write(tmp_path / "a.parquet", values, **HUB)])
    assert table.read(0) == values[0]
    write(tmp_path / "b.parquet", [b"another"] * 60, **HUB)
    (tmp_path / "b.parquet").replace(tmp_path / "a.parquet")
    assert [table.read(row) for row in range(25)] == values[:25]


@pytest.mark.parametrize("how", [HUB, SMALL, LAYOUTS["other pages"]], ids=["hub", "dictionary", "other pages"])
def test_any_changed_byte_is_read_refused_or_left_to_pyarrow(tmp_path, how):
    import pyarrow.parquet

    file = write(tmp_path / "a.parquet", [b"abc", None, b"", b"abc", b"defg" * 9, b"hi"], rows=6, **how)
    opened, whole = pyarrow.parquet.ParquetFile(file), (tmp_path / "a.parquet").read_bytes()
    chunk = opened.metadata.row_group(0).column(1)
    end = chunk.data_page_offset + chunk.total_compressed_size

    class Changed(Handle):
        def read(self, offset, size):
            return data[offset : offset + size]

    changed = Changed(file)
    for place in range(chunk.dictionary_page_offset or chunk.data_page_offset, end):
        for value in (0, 1, 127, 128, 255, whole[place] ^ 1):
            data = bytearray(whole)
            data[place] = value
            data = bytes(data)
            layout = find_pages(opened, changed, 0, "image.bytes")
            for row in range(6 if layout else 0):
                try:
                    found = Pages(changed, layout).read(row)
                except MemoryError:
                    raise
                except Exception:  # as Table.read takes it
                    continue
                assert found is None or len(found) <= len(whole)
