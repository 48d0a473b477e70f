"""`moodbench extract --checkpoint`: what was taken of a file is said, and kept with the features."""

from __future__ import annotations

import json

import h5py
import pytest
import torch
from typer.testing import CliRunner

from moodbench.catalog import load_catalog
from moodbench.cli.app import app
from moodbench.models.checkpoint import read_checkpoint


def extract(*options):
    command = ["extract", "--model", "digits_mim", "--dataset", "digits_test", "--limit", "2", "--device", "cpu"]
    return CliRunner().invoke(app, [*command, *map(str, options)])


@pytest.fixture
def two_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = read_checkpoint(load_catalog().model("digits_mim").checkpoint).tensors
    below = {f"net.{name}": tensor for name, tensor in state.items()}
    torch.save({"model": below, "model_ema": {name: tensor * 1 for name, tensor in below.items()}}, "run.pth")


def test_the_part_is_chosen_said_and_recorded(two_networks):
    result = extract("--checkpoint", "run.pth")
    assert result.exit_code == 1
    assert "--checkpoint-key model" in result.stderr
    result = extract("--checkpoint", "run.pth", "--checkpoint-key", "model_ema")
    assert result.exit_code == 0, result.stderr
    said = "file run.pth, model_ema, below 'net.'"
    assert f"weights of digits_mim: {said}, read as format 'timm'" in " ".join(result.stderr.split())
    with h5py.File("cache/digits_mim/digits_test.h5") as h5:
        assert said in json.dumps(json.loads(h5.attrs["provenance"]))


def test_a_key_needs_a_file(two_networks):
    result = extract("--checkpoint-key", "model")
    assert result.exit_code == 2
    assert "--checkpoint" in result.stderr
