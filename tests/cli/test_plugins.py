"""Scores of other people: the example in the docs, from a file and from an installed package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def example():
    """The Python of the docs' example."""
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (code,) = [block for block in blocks if "feature_spread" in block]
    assert code.strip().count("\n") <= 24
    return code


@pytest.fixture
def extracted(tmp_path, monkeypatch, catalog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", str(catalog))
    assert CliRunner().invoke(app, ["extract", "--model", "tiny", "--benchmark", "tiny"]).exit_code == 0
    return tmp_path


def score(*args, path=""):
    command = [sys.executable, "-m", "moodbench", "score", "--benchmark", "tiny", "--score", "feature_spread", *args]
    here = str(Path(moodbench.__file__).parents[1])  # the same code as this process has, whatever is installed
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(path), here]))}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_from_a_file(extracted, example):
    (extracted / "mine.py").write_text(example)
    assert score().returncode == 2
    done = score("--scores-from", "mine.py")
    assert done.returncode == 0, done.stderr
    assert "Feature spread" in CliRunner().invoke(app, ["table"]).stdout


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "registers no score"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        ('from moodbench.scores.base import *\nSCORES.register("vim")(Score)', "two scores want the name 'vim'"),
    ],
)
def test_a_file_that_is_no_use(extracted, code, message):
    (extracted / "mine.py").write_text(code)
    done = score("--scores-from", "mine.py")
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_from_an_installed_package(extracted, example):
    wheel = extracted / "spread-1.0-py3-none-any.whl"
    info = "spread-1.0.dist-info"
    files = {
        "spread.py": example.replace('@SCORES.register("feature_spread")\n', ""),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: spread\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[moodbench.scores]\nfeature_spread = spread:FeatureSpread\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", "site", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    done = score(path=extracted / "site")
    assert done.returncode == 0, done.stderr
    assert "scored tiny on tiny: 1 score" in done.stderr
