"""The benchmark of packed images compares the same images everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.packed import FILES, places


def test_every_place_has_the_same_images_in_the_same_order(tmp_path):
    pytest.importorskip("pyarrow")
    sources = places(tmp_path, 9)
    files = sources.pop(FILES)
    assert set(sources) == {"tar", "zip, stored", "zip, deflated", "WebDataset", "parquet", "parquet of the hub"}
    for source in sources.values():
        assert len(source) == len(files) == 9
        for i in range(9):
            assert np.array_equal(np.asarray(source.load(i)), np.asarray(files.load(i)))
