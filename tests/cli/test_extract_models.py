"""`moodbench extract` with several models: one after another, and none is lost because another one fails."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app
from moodbench.errors import MoodbenchError, UsageError

FEW = ("--dataset", "digits_test", "--limit", "2", "--device", "cpu")


def extract(*options):
    return CliRunner().invoke(app, ["extract", *map(str, options)], catch_exceptions=False)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder, and a catalogue with a model whose weights are gone and one that is no network's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", "catalog.yaml")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    (tmp_path / "catalog.yaml").write_text(
        "models:\n"
        "  gone: {title: Gone, pretext: hybrid, timm: test_vit, checkpoint: nowhere.pth}\n"
        "  broken: {title: Broken, pretext: hybrid, timm: test_vit, checkpoint: broken.pth}\n"
    )
    return tmp_path


def cached(home):
    return sorted(str(file.relative_to(home / "cache")) for file in (home / "cache").glob("*/*.h5"))


def test_each_is_extracted_in_turn(home):
    result = extract("--model", "digits_mim", "--model", "digits_distillation", "--model", "digits_mim", *FEW)
    assert result.exit_code == 0, result.stderr
    said = [line.split(":")[0] for line in result.stderr.splitlines() if line.startswith(("extracted", "skip"))]
    assert said == ["extracted digits_mim on digits_test", "extracted digits_distillation on digits_test"]
    assert {"digits_mim/digits_test.h5", "digits_distillation/digits_test.h5"} <= set(cached(home))


def test_one_that_fails_does_not_stop_the_others(home):
    result = extract("--model", "gone", "--model", "broken", "--model", "digits_mim", *FEW)
    assert result.exit_code == 1
    assert "error: 2 of 3 models could not be extracted:\n    gone: " in result.stderr
    assert "\n    broken: " in result.stderr
    assert "cannot extract broken: " in result.stderr
    assert "extracted digits_mim on digits_test" in result.stderr
    assert "digits_mim/digits_test.h5" in cached(home)


def test_a_single_model_fails_in_its_own_words(home):
    result = extract("--model", "broken", *FEW)
    assert result.exit_code == 1
    assert "models could not be extracted" not in result.stderr
    assert "cannot extract" not in result.stderr


def test_a_misspelt_name_is_said_before_anything_begins(home):
    result = extract("--model", "digits_mim", "--model", "digits_mimm", *FEW)
    assert result.exit_code == 2
    assert "Did you mean 'digits_mim'" in result.stderr
    assert not (home / "cache").exists()


@pytest.mark.parametrize("option", ["--checkpoint", "--checkpoint-key", "--format", "--head-file", "--features"])
def test_what_belongs_to_one_model_is_refused_for_several(home, option):
    result = extract("--model", "digits_mim", "--model", "digits_distillation", option, "timm", *FEW)
    assert result.exit_code == 2
    assert f"{option} belongs to one model, and these are named: digits_mim, digits_distillation" in result.stderr
    assert not (home / "cache").exists()


def test_a_format_needs_a_file(home):
    result = extract("--model", "digits_mim", "--format", "timm", *FEW)
    assert result.exit_code == 2
    assert "no file is given with --checkpoint" in result.stderr
    assert not (home / "cache").exists()


def test_the_same_from_python(home):
    few = {"dataset": ["digits_test"], "limit": 2, "device": "cpu"}
    done = moodbench.extract(["digits_mim", "digits_distillation"], **few)
    assert [one.rows for one in done] == [2, 2]
    with pytest.raises(UsageError, match="no model is named"):
        moodbench.extract([], **few)
    with pytest.raises(UsageError, match="name belongs to one model"):
        moodbench.extract(["digits_mim", "digits_distillation"], name="mine", **few)


def test_a_network_of_ones_own_takes_no_checkpoint(home):
    from torch import nn

    transform = moodbench.build_transform("moodv2", {}, 8)
    own = moodbench.Backbone.from_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), transform)
    with pytest.raises(MoodbenchError, match="brings its weights along"):
        moodbench.extract(own, name="mine", dataset=["digits_test"], checkpoint="x.pth", device="cpu")
