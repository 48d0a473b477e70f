"""Datasets of one benchmark that were extracted before and after the weights changed are not scored together."""

from __future__ import annotations

from pathlib import Path

import yaml
from safetensors.torch import load_file, save_file

from tests.commands import call


def test_features_of_other_weights_are_refused(home, catalog, checkpoint):
    assert call("extract", "--model", "tiny", "--dataset", "tiny_train", "--dataset", "tiny_test").exit_code == 0
    tensors = load_file(checkpoint)
    name = next(name for name in tensors if name.startswith("blocks.") and name.endswith("weight"))
    save_file({**tensors, name: tensors[name] + 0.1}, home / "tuned.safetensors")
    content = yaml.safe_load(catalog.read_text())
    content["models"]["tiny"]["checkpoint"] = str(home / "tuned.safetensors")
    catalog.write_text(yaml.safe_dump(content))
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood").exit_code == 0
    result = call("score", "--benchmark", "tiny", "--score", "msp")
    assert result.exit_code == 1
    assert "the features of 'tiny_ood' were made by another network than those of 'tiny_train'" in result.stderr
    assert "model.weights_sha256" in result.stderr
    assert not Path("results").exists()
    assert call("cache", "remove", "--model", "tiny", "--yes").exit_code == 0
    assert call("extract", "--model", "tiny", "--benchmark", "tiny").exit_code == 0
    assert call("score", "--benchmark", "tiny", "--score", "msp").exit_code == 0
