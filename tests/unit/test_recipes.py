"""The image and the workflow: checked by linters where they are installed, and in what linters do not know."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
HADOLINT = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which("hadolint")


def instructions() -> list[tuple[str, str]]:
    """Return every instruction of the Dockerfile with what it says."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines.splitlines() if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, said in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, said))
    return found


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_the_dockerfile_passes_its_linter():
    done = subprocess.run([str(HADOLINT), "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_is_small_and_has_no_root():
    build, image = stages()
    names = [name for name, _ in image]
    assert all(said.partition(" ")[0].endswith("-slim") for stage in (build, image) for name, said in stage[:1])
    assert ("COPY", "--from=build /opt/moodbench /opt/moodbench") in image
    assert names.count("COPY") == 1, "nothing of the sources"
    (user,) = (said for name, said in image if name == "USER")
    assert int(user) > 0
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "pip install" not in " ".join(said for _, said in image)
    assert ("ENTRYPOINT", '["moodbench"]') in image


def test_everything_that_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    copied = [said.split()[:-1] for name, said in stages()[0] if name == "COPY"]
    names = [name for group in copied for name in group]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {*names}
    assert all((ROOT / name).exists() for name in names)
    # what the wheel is made of
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "moodbench", "datasets.yaml"}
    assert needed <= {*names}


def test_the_versions_are_those_of_constraints_and_pyproject():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (backend,) = set(re.findall(r"\bcu(\d+)\b", text))
    (toolkit,) = re.findall(r"^cuda-toolkit==(\d+)\.(\d+)", CONSTRAINTS, re.M)
    assert backend == "".join(toolkit), "another CUDA than that of the pinned torch"
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", text, re.M)
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
@pytest.mark.parametrize(
    ("schema", "file"), [("github-workflows", ".github/workflows/ci.yml"), ("citation-file-format", "CITATION.cff")]
)
def test_files_of_others_fit_their_schemas(schema, file):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(ROOT / file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_what_people_run_with_the_oldest_and_the_newest_python():
    known = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", one)]
    known.sort(key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["requires-python"] == f">={known[0]}"
    test = WORKFLOW["jobs"]["test"]
    assert test["strategy"]["matrix"] == {"os": ["ubuntu-latest", "macos-latest"], "python": [known[0], known[-1]]}
    assert test["steps"][-1] == {"run": ".ci/run"}
    assert WORKFLOW["jobs"]["package"]["strategy"]["matrix"]["python"] == [known[0], known[-1]]


def test_actions_are_pinned_by_their_major_version_and_nothing_may_write():
    used = [step["uses"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in used)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in WORKFLOW["jobs"].values():
        assert job["timeout-minutes"] <= 180
        for step in job["steps"]:
            if str(step.get("uses", "")).startswith("actions/setup-python"):
                assert step["with"]["cache"] == "pip"
                files = step["with"]["cache-dependency-path"].split()
                assert all(any(fnmatch.fnmatch(p.name, one) for p in ROOT.iterdir()) for one in files)
