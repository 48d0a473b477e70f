"""Functions of the commands take one name for several, a text for a path, and refuse words as the command line does."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

import moodbench.commands
from moodbench.arguments import as_names, as_path, as_paths
from moodbench.errors import MoodbenchError, UsageError
from moodbench.evaluation.seeds import check_seeds
from moodbench.workspace import Workspace

RESULTS = Path(moodbench.__file__).parents[1] / "results"
NAME = "no_such_thing"


def functions():
    """Yield every public function of the commands with its name."""
    for found in pkgutil.iter_modules(moodbench.commands.__path__):
        module = importlib.import_module(f"moodbench.commands.{found.name}")
        for name, one in vars(module).items():
            if inspect.isfunction(one) and one.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{found.name}.{name}", one


def alternatives(hint):
    """Return the types of a union, or the one type that it is."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def hints(function):
    names = vars(importlib.import_module(function.__module__))
    only_checked = ("DataFrame", "Settings", "Plan", "Asset", "Extraction", "Backbone")
    found = get_type_hints(function, globalns={**dict.fromkeys(only_checked, object), **names})
    return {name: alternatives(hint) for name, hint in found.items() if name != "return"}


FUNCTIONS = dict(functions())
TAKES_NAMES = [
    (name, parameter)
    for name, function in FUNCTIONS.items()
    for parameter, kinds in hints(function).items()
    if Sequence[str] in kinds
]
TAKES_PATHS = [
    (name, parameter)
    for name, function in FUNCTIONS.items()
    for parameter, kinds in hints(function).items()
    if Path in kinds or any(Path in alternatives(part) for kind in kinds for part in get_args(kind))
]
TAKES_WORDS = [
    (name, parameter)
    for name, function in FUNCTIONS.items()
    for parameter, kinds in hints(function).items()
    if any(get_origin(kind) is Literal for kind in kinds)
]

TAKES_NUMBERS = [
    (name, parameter, kinds)
    for name, function in FUNCTIONS.items()
    if getattr(moodbench, function.__name__, None) is function
    for parameter, kinds in hints(function).items()
    if {int, float} & {*kinds} and str not in kinds
]


def required(name, tmp_path):
    """Return what a function cannot do without, and what lets it come as far as to look at its arguments."""
    space = Workspace(tmp_path / "data", tmp_path / "cache", RESULTS)
    (tmp_path / "a file").write_text("no folder")
    pushed = tmp_path / "place" / "cached" / "d.h5"
    pushed.parent.mkdir(parents=True, exist_ok=True)
    pushed.write_bytes(b"")
    pushed.with_name("d.h5.sha256").write_text(f"{'0' * 64}  d.h5\n")
    values = {
        "workspace": space,
        "space": space,
        "name": "pretext",
        "models": "cached",
        "model": "digits_mim",
        "dataset": "digits_test",
        "file": tmp_path / "nowhere.npz",
        "out": tmp_path / "a file",
        "reference": RESULTS,
        "score": "vim",
        "images": tmp_path / "a file",
        "folders": RESULTS,
        "into": tmp_path / "a file",
        "a": RESULTS,
        "b": RESULTS,
        "key": "plot",
        "rows": (),
        "target": tmp_path / "shared",
        "source": tmp_path,
        "place": tmp_path / "place",
    }
    known = inspect.signature(FUNCTIONS[name]).parameters
    wanted = {"workspace"} | {key for key, one in known.items() if one.default is one.empty}
    return {key: value for key, value in values.items() if key in known and key in wanted}


def run(name, arguments):
    outcome = FUNCTIONS[name](**arguments)
    return list(outcome) if inspect.isgenerator(outcome) else outcome


@pytest.mark.parametrize(("name", "parameter"), TAKES_NAMES)
def test_one_name_does_for_several(tmp_path, monkeypatch, name, parameter):
    monkeypatch.chdir(tmp_path)
    assert str in hints(FUNCTIONS[name])[parameter]
    for given in (NAME, [NAME], (name for name in [NAME])):
        arguments = required(name, tmp_path)
        if "models" in arguments:
            (tmp_path / "cache" / "cached").mkdir(parents=True, exist_ok=True)
            (tmp_path / "cache" / "cached" / "d.h5").write_bytes(b"")
        with pytest.raises(UsageError, match=f"'{NAME}'"):
            run(name, arguments | {parameter: given})


@pytest.mark.parametrize(("name", "parameter"), TAKES_PATHS)
def test_a_path_may_be_a_text(tmp_path, monkeypatch, name, parameter):
    monkeypatch.chdir(tmp_path)
    assert str in hints(FUNCTIONS[name])[parameter]
    (tmp_path / "rows.npz").write_bytes(b"nothing")
    arguments = required(name, tmp_path)
    for given in ("rows.npz", Path("rows.npz")):
        try:
            run(name, arguments | {parameter: given})
        except MoodbenchError:
            continue
        pytest.fail("nothing was said of a file that holds nothing")


@pytest.mark.parametrize(("name", "parameter"), TAKES_WORDS)
def test_other_words_are_refused_alike(tmp_path, monkeypatch, name, parameter):
    monkeypatch.chdir(tmp_path)
    arguments = required(name, tmp_path)
    if name == "download.download":
        arguments["dataset"] = "digits_test"
    with pytest.raises(UsageError, match=f"^{parameter} cannot be 'nonsense'"):
        run(name, arguments | {parameter: "nonsense"})
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("name", "parameter", "kinds"), TAKES_NUMBERS)
def test_what_is_no_number_is_said(tmp_path, monkeypatch, name, parameter, kinds):
    monkeypatch.chdir(tmp_path)
    wrong = [
        "many",
        "3",
        True,
        math.nan,
        *([2.5] if float not in kinds else []),
        *([] if NoneType in kinds else [None]),
    ]
    for given in wrong:
        with pytest.raises(UsageError, match=re.escape(f"{given!r}")) as refused:
            run(name, required(name, tmp_path) | {parameter: given})
        assert "number" in refused.value.what or parameter == "label_noise"
    assert not (tmp_path / "cache").exists()


def test_there_is_something_to_test():
    assert {("table.table", "decimals"), ("extract.extract", "limit")} <= {
        (name, one) for name, one, _ in TAKES_NUMBERS
    }
    assert {("score.score", "model"), ("cache.remove_caches", "models"), ("extract.extract", "model")} <= {*TAKES_NAMES}
    assert {("import_.import_features", "labels"), ("demo.run_demo", "catalogs")} <= {*TAKES_PATHS}
    assert {("extract.extract", "on_error"), ("download.download", "link")} <= {*TAKES_WORDS}


def test_names_and_paths():
    assert as_names("ab") == ("ab",)
    assert as_names(["a", "b", "a"]) == ("a", "b")
    assert as_names(()) == ()
    assert as_path(None) is None
    assert as_path("a/b") == Path("a", "b")
    assert as_paths("a") == as_paths([Path("a")]) == (Path("a"),)


def test_a_workspace_takes_texts(tmp_path):
    space = Workspace("d", cache_dir=str(tmp_path), catalogs="more.yaml")
    assert space == Workspace(Path("d"), tmp_path, catalogs=(Path("more.yaml"),))
    assert space.cached_models() == []


@pytest.mark.parametrize("wrong", [None, 5, b"digits_mim", Path("digits_mim"), [None], ["digits_mim", 5]])
def test_what_is_no_name_is_said(wrong):
    with pytest.raises(UsageError, match="a name is a text, and "):
        as_names(wrong)


def test_layers_that_are_no_names_are_said():
    for asked in ({"layers": 3}, {"layers": ["blocks.1", 3]}, {"view": "fgsm", "view_layers": 3}):
        with pytest.raises(UsageError, match="a name is a text, and 3 is none"):
            moodbench.extract("digits_mim", dataset="digits_noise", **asked)


@pytest.mark.parametrize("wrong", [5, b"results", ["results"]])
def test_what_is_no_path_is_said(wrong):
    with pytest.raises(UsageError, match=r"a path is a text or a pathlib\.Path, and "):
        as_path(wrong)


@pytest.mark.parametrize(("name", "wrong"), [("score", "knn.k=10"), ("score", {"knn": "k=10"}), ("detect", "k=10")])
def test_parameters_are_given_by_name(tmp_path, name, wrong):
    asked = {"score": "knn", "params": wrong, "workspace": Workspace(cache_dir=tmp_path)}
    asked |= {"images": "x.png"} if name == "detect" else {}
    with pytest.raises(UsageError, match=r"parameters are given by name, and 'k.*' names none") as refused:
        getattr(moodbench, name)(**asked, model="digits_mim")
    assert "params={" in refused.value.fix


@pytest.mark.parametrize("seeds", [True, 0, -1, 2.0, "3", None])
def test_seeds_are_a_whole_number(seeds):
    with pytest.raises(UsageError, match="the number of seeds is a whole number between"):
        check_seeds(seeds, {})


@pytest.mark.parametrize("name", ["rank", "table", "frame", "report", "score", "plot", "verify", "download", "extract"])
def test_the_first_name_needs_no_keyword(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"'{NAME}'"):
        getattr(moodbench, name)(NAME, workspace=Workspace(tmp_path / "data", tmp_path / "cache", RESULTS))
