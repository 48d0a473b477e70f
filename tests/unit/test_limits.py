"""What people bring besides features: checkpoints, files of scores, lists, notes."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
import torch

from moodbench.catalog import ListSpec
from moodbench.datasets.lists import read_list
from moodbench.errors import DataError, ModelError, UsageError
from moodbench.inspection.manifest import origin_file, read_origin
from moodbench.inspection.verdicts import read_verdicts, verdict_file
from moodbench.models.checkpoint import read_checkpoint
from moodbench.scores.base import SCORES, load_scores

PLACES = {
    "pipe": "a pipe",
    "folder": "a folder",
    "/dev/zero": "a device",
    "none": r"does not exist|is not on this disk",
}


@pytest.fixture
def places(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    return [(tmp_path / name, words) for name, words in PLACES.items()]


def test_what_is_no_file(places):
    for file, words in places:
        with pytest.raises(ModelError, match=words):
            read_checkpoint(file)
        with pytest.raises(UsageError, match=words):
            load_scores(file)
        with pytest.raises(DataError, match=words):
            read_list(ListSpec("l", path=file), file)


@pytest.mark.parametrize(
    "tensor", [torch.ones(1).expand(1000, 4), torch.eye(3).to_sparse(), torch.ones(3, dtype=torch.complex64)]
)
def test_tensors_that_the_file_does_not_hold_as_they_stand(tmp_path, tensor):
    torch.save({"x": tensor, "y": torch.ones(3)[1:]}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="tensor 'x'"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_checkpoint_that_unpacks_to_more(tmp_path):
    torch.save({"x": torch.zeros(10_000)}, tmp_path / "good.pth")
    with (
        zipfile.ZipFile(tmp_path / "good.pth") as good,
        zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in good.namelist():
            packed.writestr(name, good.read(name))
    assert set(read_checkpoint(tmp_path / "good.pth").tensors) == {"x"}
    with pytest.raises(ModelError, match="unpacks to"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_view_of_part_of_a_tensor_is_fine():
    stream = io.BytesIO()
    torch.save({"x": torch.arange(10)[2:5]}, stream)
    stream.seek(0)
    assert torch.load(stream, weights_only=True)["x"].tolist() == [2, 3, 4]


HEAD = "from dataclasses import dataclass\nfrom moodbench.scores.base import SCORES, Score\n"
GOOD = """
@SCORES.register("{name}")
@dataclass
class Mine(Score):
    title, family, paper = "Mine", "feature", "2020"
    def score(self, block):
        return block.features[:, 0]
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("@SCORES.register('own')\ndef own(): pass", "not a subclass of Score"),
        (GOOD.replace('"feature"', '"nothing"').format(name="own"), "has the family 'nothing'"),
        (
            "@SCORES.register('own')\nclass Own(Score): family = 'logit'",
            "it has no title; it has no paper; it has no method",
        ),
        (GOOD.format(name="own").replace("def score", "def other"), "it has no method score"),
        (GOOD.format(name="own") + "raise SystemExit(3)", "failed: SystemExit"),
        (GOOD.format(name="own") + "1 / 0", "failed: ZeroDivisionError"),
        (GOOD.format(name="own") + GOOD.format(name="msp"), "there is a score of this name already"),
        ("x = 1", "registers no score"),
        ("x = (", "failed: SyntaxError"),
    ],
)
def test_files_of_scores_that_cannot_be_used_leave_nothing_behind(tmp_path, code, message):
    before = SCORES.names()
    (tmp_path / "own.py").write_text(HEAD + code)
    with pytest.raises(Exception, match=message) as caught:
        load_scores(tmp_path / "own.py")
    assert type(caught.value).__module__ == "moodbench.errors"
    assert SCORES.names() == before


@pytest.mark.parametrize("line", ["a.png " + "9" * 4000, "a.png 99999999999999999999"])
def test_numbers_in_lists_that_are_no_labels(tmp_path, line):
    (tmp_path / "list").write_text(line)
    with pytest.raises(DataError, match="does not fit into 64 bits"):
        read_list(ListSpec("l", path=tmp_path / "list"), tmp_path / "list")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[]", "3", '{"schema": 1, "quick": {"time": 3, "ok": 1, "images": "a", "bytes": null}}', "{"],
)
def test_notes_that_are_damaged(tmp_path, text):
    for file, read in ((origin_file(tmp_path, "d"), read_origin), (verdict_file(tmp_path, "d"), read_verdicts)):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path, "d")
