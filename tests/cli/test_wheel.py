"""The wheel carries everything: catalogue, checkpoints, entry point; and the sdist all that makes and tests it."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from moodbench.release import DISTRIBUTION, __version__

ROOT = Path(__file__).parents[2]
STEM = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def built(source: Path, folder: Path, *targets: str) -> None:
    """Build with the backend itself, of a source folder or of what an sdist holds."""
    kinds = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", *kinds, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    built(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(packages):
    return packages / f"{STEM}-py3-none-any.whl"


@pytest.fixture(scope="module")
def sdist(packages):
    return packages / f"{STEM}.tar.gz"


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / STEM


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_both_are_called_as_the_index_knows_them(packages):
    assert {file.name for file in packages.iterdir() if file.name != ".gitignore"} == {
        f"{STEM}.tar.gz",
        f"{STEM}-py3-none-any.whl",
    }


def test_it_holds_the_catalogue_and_the_checkpoints_and_no_tests(wheel):
    names = set(contents(wheel))
    checkpoints = {f"moodbench/checkpoints/{p.name}" for p in (ROOT / "moodbench" / "checkpoints").iterdir()}
    tables = {
        f"moodbench/comparison/published/{name}" for name in ("README.md", "moodv2_table.csv", "moodv2_figure.csv")
    }
    report = {
        f"moodbench/reporting/templates/{p.name}" for p in (ROOT / "moodbench" / "reporting" / "templates").iterdir()
    }
    assert tables | report <= names
    assert {"moodbench/datasets.yaml", "moodbench/models.yaml", "moodbench/py.typed", *checkpoints} <= names
    assert {name.split("/")[0] for name in names} == {"moodbench", f"{STEM}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]


def test_its_metadata_is_whole(wheel):
    files = contents(wheel)
    about = email.message_from_bytes(files[f"{STEM}.dist-info/METADATA"])
    assert (about["Name"], about["Version"]) == (DISTRIBUTION, __version__)
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload().startswith("# moodbench")
    assert {"clip", "onnx", "transformers", "site"} <= {*about.get_all("Provides-Extra")}
    assert f"{STEM}.dist-info/licenses/LICENSE" in files
    assert b"moodbench = moodbench.__main__:main" in files[f"{STEM}.dist-info/entry_points.txt"]


def test_the_sdist_builds_the_same_wheel(wheel, unpacked, tmp_path):
    built(unpacked, tmp_path, "wheel")
    assert contents(tmp_path / wheel.name) == contents(wheel)


def test_the_sdist_has_every_file_of_the_repository_and_none_that_lies_beside(unpacked):
    """So that the tests run from it: they read documentation, results, constraints and recipes."""
    there = {file.relative_to(unpacked).as_posix() for file in unpacked.rglob("*") if file.is_file()} - {"PKG-INFO"}
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode or "pyproject.toml" not in git.stdout.split("\n"):
        pytest.skip("this is no checkout of git")
    known = {name for name in git.stdout.splitlines() if (ROOT / name).exists()}
    assert not known - there
    new = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    assert there - known <= {*new.stdout.splitlines()}


def test_it_runs_in_an_empty_folder(wheel, tmp_path):
    site = tmp_path / "site"
    install = [*PIP, "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import moodbench, sys; print(moodbench.__file__, file=sys.stderr); from moodbench.cli import main; main()"
    command = [sys.executable, "-c", code, "list", "datasets", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.startswith(str(site))
    assert "digits_train" in {record["name"] for record in json.loads(done.stdout)}
