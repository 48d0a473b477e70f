"""Weights that are here already: checked, found without torch, and listed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from moodbench.catalog import load_catalog
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.weights import (
    Weights,
    digest_known,
)
from tests.hub import fetch


def test_embedded_checkpoints_are_checked(tmp_path):
    spec = load_catalog().model("digits_mim")
    found, lines = fetch(spec)
    assert found == Weights(spec.checkpoint, spec.checkpoint.stat().st_size, spec.sha256, already=True)
    assert lines == []
    with pytest.raises(ModelError, match="not the expected file"):
        fetch(dataclasses.replace(spec, sha256="0" * 64))
    with pytest.raises(ModelError, match="'digits_mim' does not exist"):
        fetch(dataclasses.replace(spec, checkpoint=tmp_path / "no.pth"))


def test_what_weights_are_checked_against():
    catalog = load_catalog()
    known = {name: digest_known(catalog.model(name)) for name in ("digits_mim", "vit", "mae_official", "beit")}
    assert known == {"digits_mim": "whole", "vit": "prefix", "mae_official": "none", "beit": "hub"}


def test_torchs_cache_is_the_same_without_torch(monkeypatch, tmp_path):
    def both() -> tuple[Path, Path]:
        with_torch = hub.torch_cache()
        with monkeypatch.context() as without:
            without.delitem(sys.modules, "torch")
            return with_torch, hub.torch_cache()

    for variables in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path)}, {"HOME": str(tmp_path)}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        first, second = both()
        assert first == second
        assert first.is_relative_to(tmp_path)


def test_listing_imports_nothing_heavy():
    code = (
        "import sys\nfrom moodbench.commands.list_ import list_models, list_fair\n"
        "from moodbench.workspace import Workspace\n"
        "assert list_models(Workspace()) and list_fair(Workspace())\n"
        "print(*({'torch', 'timm', 'numpy', 'requests', 'safetensors'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == []


def test_the_list_says_what_is_here(server, body, space):
    from typer.testing import CliRunner

    from moodbench.cli import app

    server.add("/vit.safetensors", body)
    space.catalogs[0].write_text(
        "models:\n  mine: {title: M, pretext: hybrid, timm: test_vit, params: 250,"
        " variants: {moodv2: {transform: moodv2}},"
        f" url: '{server.url('/vit.safetensors')}', sha256: unknown}}\n"
    )

    def listed(*options: str) -> str:
        result = CliRunner().invoke(app, ["list", "models", "--catalog", str(space.catalogs[0]), *options])
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    line = next(line for line in listed().splitlines() if line.startswith("mine"))
    assert line.split() == ["mine", "hybrid", "own", "address", "no", "≈1.0", "GB", "none", "moodv2"]
    fetch(space.catalog.model("mine"))
    record = next(r for r in json.loads(listed("--json")) if r["name"] == "mine")
    assert (record["on_disk"], record["bytes"], record["digest"]) == (True, len(body), "none")
    line = next(line for line in listed().splitlines() if line.startswith("mine"))
    assert line.split()[4:] == ["yes", f"{len(body) / 1e6:.0f}", "MB", "none", "moodv2"]


@pytest.mark.parametrize("home", ["a file", "a loop", "too long"])
def test_list_models_without_a_home_that_may_be_read(tmp_path, monkeypatch, home):
    """Root may read everything, so tests use homes that nobody can."""
    from typer.testing import CliRunner

    from moodbench.cli import app

    place = tmp_path / ("x" * 300 if home == "too long" else "home")
    if home == "a file":
        place.write_text("")
    elif home == "a loop":
        place.symlink_to(place)
    monkeypatch.setenv("TORCH_HOME", str(place))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # which has read its own setting already
    done = CliRunner().invoke(app, ["list", "models"])
    assert (done.exit_code, done.stderr) == (0, "")


def test_nobody_knows_a_home(monkeypatch):
    from moodbench.models.hub import torch_cache

    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where the user has no entry
    assert torch_cache().parts[-3:] == ("torch", "hub", "checkpoints")
