"""Labels of tables: numbers, and texts, which are the names of the classes."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.datasets.packed.tables import open_table

pa = pytest.importorskip("pyarrow")


def write(file, labels, name="label", **more):
    import pyarrow.parquet

    images = [f"image {row}".encode() for row in range(len(labels))]
    pyarrow.parquet.write_table(pa.table({"image": images, name: labels, **more}), file, row_group_size=2)
    return str(file)


@pytest.mark.parametrize("as_read", [list, lambda texts: pa.array(texts).dictionary_encode()])
def test_texts_are_the_names_of_classes_in_order(tmp_path, as_read):
    files = [
        write(tmp_path / "0.parquet", as_read(["owl", "cat", None, "owl"])),
        write(tmp_path / "1.parquet", as_read(["bee", "cat"])),
    ]
    table = open_table(files)
    assert table.columns.classes == ("bee", "cat", "owl")
    np.testing.assert_array_equal(table.number, [2, 1, -1, 2, 0, 1])


def test_numbers_come_before_texts(tmp_path):
    table = open_table([write(tmp_path / "a.parquet", [3, 1], label_text=["x", "y"])])
    np.testing.assert_array_equal(table.number, [3, 1])
    assert table.columns.classes == ()
    both = open_table([write(tmp_path / "b.parquet", ["x", "y"], target=[5, 6])])
    np.testing.assert_array_equal(both.number, [5, 6])


def test_texts_of_other_columns_are_no_labels(tmp_path):
    table = open_table([write(tmp_path / "a.parquet", ["x", "y"], name="caption")])
    np.testing.assert_array_equal(table.number, [-1, -1])
