"""Every layout is found, and the one that takes an archive as it is."""

from __future__ import annotations

import gzip

import pytest

from moodbench.errors import CatalogError, DataError, UnknownNameError
from moodbench.obtain.layouts import imagenet
from moodbench.obtain.layouts.base import LAYOUTS
from tests.archives import tar, tree


def test_every_layout_is_found():
    assert sorted(LAYOUTS.names()) == ["archive", "cifar", "imagenet_train", "imagenet_val", "mnist", "svhn"]
    with pytest.raises(UnknownNameError, match="there is no layout 'zip'"):
        LAYOUTS.get("zip")


def test_archives_that_share_a_folder(lay):
    one, two = (
        tar([("blur/1.jpg", b"1"), ("readme", b"same")]),
        gzip.compress(tar([("fog/1.jpg", b"2"), ("readme", b"same")])),
    )
    files = {"blur/1.jpg": b"1", "fog/1.jpg": b"2", "readme": b"same"}
    assert tree(lay("archive", {"blur.tar": one, "fog.tar": two})) == files
    assert tree(lay("archive", {"blur.tar": one, "fog.tar": two}, into="a/b")) == {
        f"a/b/{n}": c for n, c in files.items()
    }
    assert tree(lay("archive", {"one.tar": one}, take="blur", into="c")) == {"c/1.jpg": b"1"}
    with pytest.raises(DataError, match="more than 1 files"):
        lay("archive", {"blur.tar": one, "fog.tar": two}, max_files=1)


@pytest.mark.parametrize("layout", ["cifar", "imagenet_train", "imagenet_val", "mnist", "svhn"])
def test_archives_that_a_layout_does_not_know(lay, layout):
    with pytest.raises(CatalogError, match=f"has the layout '{layout}', which needs .*it has 'other.zip'"):
        lay(layout, {"other.zip": b""})
    with pytest.raises(CatalogError, match="it has none"):
        lay(layout, {})


def test_a_layout_that_takes_everything(lay):
    with pytest.raises(CatalogError, match="has 'take', which its layout 'imagenet_train' cannot do"):
        lay("imagenet_train", {imagenet.TRAIN: b""}, take="n01440764")
