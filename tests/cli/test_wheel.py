"""The wheel carries everything: catalogue, checkpoints, entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_it_holds_the_catalogue_and_the_checkpoints_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    checkpoints = {f"moodbench/checkpoints/{p.name}" for p in (ROOT / "moodbench" / "checkpoints").iterdir()}
    tables = {
        f"moodbench/comparison/published/{name}" for name in ("README.md", "moodv2_table.csv", "moodv2_figure.csv")
    }
    report = {
        f"moodbench/reporting/templates/{p.name}" for p in (ROOT / "moodbench" / "reporting" / "templates").iterdir()
    }
    assert tables | report <= names
    assert {"moodbench/datasets.yaml", "moodbench/models.yaml", "moodbench/py.typed", *checkpoints} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"moodbench"}


def test_it_runs_in_an_empty_folder(wheel, tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import moodbench, sys; print(moodbench.__file__, file=sys.stderr); from moodbench.cli import main; main()"
    command = [sys.executable, "-c", code, "list", "datasets", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.startswith(str(site))
    assert "digits_train" in {record["name"] for record in json.loads(done.stdout)}
