"""``moodbench doctor`` end to end: complete, whatever is broken, and without secrets."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app
from moodbench.diagnosis import libraries, machine
from moodbench.release import __version__

SECTIONS = ("machine", "packages", "libraries", "folders", "catalogues", "weights")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Without asking libraries, which takes seconds."""
    monkeypatch.setattr(libraries, "begin", dict)
    monkeypatch.setattr(libraries, "check", lambda children: [])
    monkeypatch.chdir(tmp_path)


def run(*args, env=None):
    return CliRunner().invoke(app, ["doctor", *args], env=env)


def test_it_says_everything_with_the_libraries_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = run("--json")
    found = json.loads(done.stdout)
    assert done.exit_code == (0 if found["ok"] else 1), done.stdout
    assert found["moodbench"] == __version__
    assert {*SECTIONS} == {one["section"] for one in found["findings"]}
    values = {one["name"]: one["value"] for one in found["findings"]}
    import h5py
    import torch

    assert values["HDF5"] == h5py.version.hdf5_version
    assert values["CPU instructions of torch"]
    assert next(
        one["value"] for one in found["findings"] if one["name"] == "torch" and one["section"] == "libraries"
    ) == (torch.__version__)
    assert values["cache"]["locks"] == "work"
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("quick")
def test_people_read_what_is_wrong_below(monkeypatch):
    monkeypatch.setattr(machine, "SHM", 1 << 60)
    done = run()
    assert done.exit_code == 0, done.stdout
    assert done.stdout.startswith("machine\n")
    assert "\n! /dev/shm" in done.stdout
    above, _, below = done.stdout.partition("\nWill hurt\n")
    assert "built-in" in above
    assert "--shm-size" in below
    assert max(map(len, below.splitlines())) <= 110


@pytest.mark.usefixtures("quick")
def test_a_broken_catalogue_and_a_failing_check_end_nothing(tmp_path, monkeypatch):
    (tmp_path / "bad.yaml").write_text("datasets: [", encoding="utf-8")

    def failing():
        raise OSError("the system refuses")
        yield

    monkeypatch.setattr(machine, "check", failing)
    done = run("--catalog", "bad.yaml")
    assert done.exit_code == 1
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "x bad.yaml" in done.stdout
    assert "the system refuses" in done.stdout
    assert "token of the hub" in done.stdout, "what comes after it is there"
    assert "\nBroken\n" in done.stdout
    found = moodbench.doctor(workspace=moodbench.Workspace(catalogs=("bad.yaml",)))
    assert not found.ok
    assert json.loads(found.json())["broken"] == 1


@pytest.mark.usefixtures("quick")
def test_no_secret_is_printed():
    secrets = {
        "HF_TOKEN": "hf_abcdefghijkl",
        "HTTPS_PROXY": "http://somebody:pass1234@proxy.example:3128",
        "HF_ENDPOINT": "https://somebody:pass1234@hub.example",
        "OMP_NUM_THREADS": "2",
    }
    for args in ((), ("--json",)):
        text = run(*args, env=secrets).stdout
        assert "hub.example" in text
        assert not [word for word in ("abcdefghijkl", "somebody", "pass1234") if word in text]
        assert "OMP_NUM_THREADS" in text
