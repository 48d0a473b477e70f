"""Questions in processes of their own: what breaks there is said, and breaks nothing here."""

from __future__ import annotations

import sys

import pytest

from moodbench.diagnosis import children
from moodbench.diagnosis.children import Child
from moodbench.diagnosis.libraries import about_torch, check


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A function that asks a child that runs some Python."""
    monkeypatch.setattr(children, "HERE", tmp_path)

    def ask(code, seconds=60.0):
        (tmp_path / "ask.py").write_text(code, encoding="utf-8")
        return Child("ask.py", seconds=seconds, isolated=True).answer()

    return ask


def test_the_last_line_is_the_answer(script):
    assert script("print('a warning of some library'); print('{\"a\": 1}')") == ({"a": 1}, "")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.abort()", "died of SIGABRT"),
        ("raise OSError('libcudart.so.13: cannot open')", "OSError: libcudart.so.13: cannot open"),
        ("import sys; sys.exit(7)", "ended with 7"),
        ("print('no JSON')", "ended with 0"),
        ("print('[1]')", "ended with 0"),
        ("print('{}'); raise SystemExit(3)", "ended with 3"),
    ],
)
def test_what_goes_wrong_is_said(script, code, said):
    answer, fault = script(code)
    assert answer == {}
    assert said in fault


def test_who_never_answers_is_left(script):
    assert script("import time; time.sleep(600)", seconds=0.2) == ({}, "no answer within 0.2 seconds")


def test_a_python_that_is_not_there(script, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    answer, fault = script("")
    assert answer == {}
    assert "could not be started" in fault


@pytest.mark.parametrize(
    ("code", "said"),
    [("import os; os.kill(os.getpid(), 4)", "SIGILL"), ("raise ImportError('undefined symbol: ncclX')", "ncclX")],
)
def test_a_library_that_breaks_the_process_is_named(tmp_path, monkeypatch, code, said):
    """As a build for other instructions does, or for another driver."""
    (tmp_path / "h5py.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = check(
        {"torch": Answered({}), "h5py": Child("ask_libraries.py", "h5py", seconds=60), "numpy": Answered({})}
    )
    assert finding.level == "broken"
    assert said in finding.problem
    assert finding.fix == "pip install -U h5py"


def test_a_library_that_takes_long_is_not_called_broken(tmp_path, monkeypatch):
    """As torch from a cold disk, on a machine with other work."""
    (tmp_path / "h5py.py").write_text("import time; time.sleep(600)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    slow = Child("ask_libraries.py", "h5py", seconds=0.2)
    (finding,) = check({"torch": Answered({}), "h5py": slow, "numpy": Answered({})})
    assert finding.level == "warning"
    assert "no answer within 0.2 seconds" in finding.problem
    assert "once more" in finding.fix


class Answered:
    late = False

    def __init__(self, found):
        self.found = found

    def answer(self):
        return self.found, ""


TORCH = {
    "version": "2.9.0",
    "capability": "AVX2",
    "threads": 4,
    "cuda_build": None,
    "hip_build": None,
    "mps": False,
    "mkl": True,
    "devices": [],
    "cuda_error": "",
    "torchvision": "0.24",
    "torchvision_error": "",
}
GPU = {"name": "Some GPU", "bytes": 80e9, "capability": "9.0"}


@pytest.mark.parametrize(
    ("changes", "levels", "said"),
    [
        ({}, [], ""),
        ({"cuda_build": "12.8", "devices": [GPU], "cudnn": 91000}, [], ""),
        ({"cuda_build": "12.8"}, ["warning"], "built for CUDA 12.8, but finds no device"),
        ({"hip_build": "6.4"}, ["warning"], "built for ROCm 6.4, but finds no device"),
        (
            {"cuda_build": "12.8", "devices": [GPU], "cuda_error": "RuntimeError: no kernel image"},
            ["warning"],
            "no kernel image",
        ),
        ({"torchvision_error": "RuntimeError: operator torchvision::nms does not exist"}, ["broken"], "nms"),
        ({"mps": True}, [], ""),
    ],
)
def test_what_is_said_of_torch(changes, levels, said):
    found = list(about_torch({**TORCH, **changes}))
    wrong = [one for one in found if one.level != "ok"]
    assert [one.level for one in wrong] == levels
    assert all(said in one.problem and one.fix for one in wrong)
    if changes.get("devices"):
        assert any("Some GPU (80.0 GB, 9.0)" in one.shown for one in found)
