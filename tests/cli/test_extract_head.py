"""`moodbench extract --head-file`: a backbone with a head that somebody trained apart, as DINOv2's."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from moodbench.cli.app import app

WIDTH = 80
"""Of the features of the digits models."""


def extract(*options):
    command = ["extract", "--model", "digits_mim", "--dataset", "digits_test", "--limit", "5", "--device", "cpu"]
    return CliRunner().invoke(app, [*command, *map(str, options)])


@pytest.fixture
def head(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def save(width, classes=3):
        state = {"module.linear.weight": torch.randn(classes, width), "module.linear.bias": torch.randn(classes)}
        torch.save({"state_dict": state}, "head.pth")
        return state.values()

    return save


def test_logits_are_those_of_the_file(head):
    weight, bias = head(WIDTH)
    result = extract("--head-file", "head.pth")
    assert result.exit_code == 0, result.stderr
    with h5py.File("cache/digits_mim/digits_test.h5") as h5:
        found, logits = h5["features"][:], h5["logits"][:]
        assert "head_sha256" in h5.attrs["provenance"]
    assert found.shape == (5, WIDTH)
    np.testing.assert_allclose(logits, found @ weight.numpy().T + bias.numpy(), rtol=1e-4, atol=1e-4)


def test_another_head_is_not_mixed_in(head):
    head(WIDTH)
    assert extract("--head-file", "head.pth").exit_code == 0
    result = extract()
    assert result.exit_code == 1
    assert "head" in result.stderr
    assert "--variant" in result.stderr


def test_a_head_of_another_width_is_refused(head):
    head(WIDTH + 1)
    result = extract("--head-file", "head.pth")
    assert result.exit_code == 1
    assert f"{WIDTH + 1}" in result.stderr
    assert f"{WIDTH}" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--head-file", "nowhere.pth"), 1, "nowhere.pth"),
        (("--head-file", "head.pth", "--no-head"), 2, "--no-head asks for none"),
        (("--head-file", "head.pth", "--features", "cls_mean"), 1, "tokens after the final norm"),
        (("--head-file", "head.pth", "--features", "clsmean"), 2, "cls_mean"),
    ],
)
def test_bad_input_gets_one_message(head, options, code, message):
    head(WIDTH)
    result = extract(*options)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
