"""What shells offer after options: the right names, at once, and never a word of complaint."""

from __future__ import annotations

import importlib

import pytest

import moodbench
from moodbench import choices
from moodbench.cli import completion
from moodbench.metrics import METRICS
from moodbench.registry import written_names
from moodbench.workspace import ModelName
from tests.commands import offered

HEAVY = {"torch", "timm", "pandas", "h5py", "matplotlib", "numpy", "sklearn", "scipy"}


@pytest.fixture
def home(tmp_path, monkeypatch, catalog):
    """An empty folder to work in, with the tiny catalogue in the environment, and names of caches and results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", str(catalog))
    caches = (
        "tiny/tiny_ood.h5",
        "tiny@moodv2/tiny_test.h5",
        "tiny/heads/probe.h5",
        "tiny@v/tiny_train.shards/plan.json",
    )
    for name in (f"cache/{one}" for one in caches):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"no cache")
    for name in ("results/tiny/tiny.csv", "results/tiny/tiny+probe.csv", "results/digits/timm-resnet18.csv"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("no results")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("moodbench ta", ["table"]),
        ("moodbench table --fo", ["--format"]),
        ("moodbench table --format ", ["csv", "html", "json", "latex", "markdown", "plain"]),
        ("moodbench table --layout ", ["all", "classes", "datasets", "depth", "grid", "paper"]),
        ("moodbench table --metric aup", ["aupr_in", "aupr_out"]),
        ("moodbench table --benchmark ", ["digits", "tiny"]),
        ("moodbench table --head ", ["own", "probe"]),
        ("moodbench table --model ", ["timm:resnet18", "tiny", "tiny+probe"]),
        ("moodbench table --benchmark tiny --model ", ["tiny", "tiny+probe"]),
        ("moodbench table --benchmark tiny --group ", ["all", "far"]),
        ("moodbench table --benchmark tiny --dataset ", ["tiny_ood"]),
        ("moodbench table --layout gird --group f", ["far", "fine", "flat"]),
        ("moodbench plot gr", ["grid"]),
        ("moodbench score --score ms", ["msp"]),
        ("moodbench score --head ", ["probe"]),
        ("moodbench score --model ", ["tiny", "tiny@moodv2"]),
        ("moodbench cache list --dataset ", ["tiny_ood", "tiny_test", "tiny_train"]),
        ("moodbench cache remove --model ", ["tiny", "tiny@moodv2", "tiny@v"]),
        ("moodbench cache verify --model tiny@v --dataset ", ["tiny_train"]),
        ("moodbench cache remove --model tiny --dataset ", ["tiny_ood"]),
        ("moodbench cache list --cache-dir elsewhere --dataset ", []),
        ("moodbench extract --model digits_mi", ["digits_mim", "digits_mim_token"]),
        ("moodbench extract --model beit --variant ", ["fair", "model", "moodv2"]),
        ("moodbench extract --precision ", ["bf16", "fp16", "fp32"]),
        ("moodbench extract --on-error s", ["skip", "stop"]),
        ("moodbench extract --labels n", ["natural", "none"]),
        ("moodbench extract --format mo", ["moco", "moco_v3"]),
        ("moodbench extract --transform ", ["model", "moodv2"]),
        ("moodbench download tiny_t", ["tiny_test", "tiny_train"]),
        ("moodbench download --link ", ["hard", "symbolic"]),
        ("moodbench import --pretext m", ["masked\\ image\\ modeling", "multimodal"]),
        ("moodbench verify --benchmark tin", ["tiny"]),
        ("moodbench probe --device ", ["auto", "cpu", "cuda"]),
    ],
)
def test_names_are_offered_at_once(home, line, names):
    found, modules = offered(line)
    assert sorted(found) == names
    assert not modules & HEAVY


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(home, shell):
    found, _ = offered("moodbench import --pretext m", shell)
    assert "masked image modeling" in "\n".join(found)


@pytest.mark.parametrize("line", ["moodbench extract --model ", "moodbench table --group ", "moodbench verify "])
def test_a_broken_catalogue_is_not_the_time_to_complain(home, line):
    (home / "broken.yaml").write_text("models: [\n")
    assert offered(line, MOODBENCH_CATALOG=str(home / "broken.yaml"))[0] == []
    assert offered(line, MOODBENCH_CATALOG=str(home / "nowhere.yaml"))[0] == []


@pytest.mark.parametrize(
    "line", ["moodbench score --model ", "moodbench cache list --dataset ", "moodbench table --model "]
)
def test_folders_that_cannot_be_read_offer_nothing(home, line):
    (home / "a file").write_text("")
    environment = {"MOODBENCH_CACHE_DIR": "a file", "MOODBENCH_RESULTS_DIR": "a file"}
    assert offered(line, **environment)[0] == []
    assert offered("moodbench cache list --model ../.. --dataset ")[0] == []


@pytest.mark.parametrize(
    ("place", "variable", "registry"),
    [
        ("scores", "SCORES", "moodbench.scores.base"),
        ("tables/formats", "FORMATS", "moodbench.tables.formats.base"),
        ("plots", "PLOTS", "moodbench.plots.base"),
        ("models/formats", "FORMATS", "moodbench.models.formats.base"),
        ("models/features.py", "RECIPES", "moodbench.models.features"),
        ("models/transforms.py", "TRANSFORMS", "moodbench.models.transforms"),
    ],
)
def test_names_in_the_source_are_those_of_the_registry(place, variable, registry):
    there = getattr(importlib.import_module(registry), variable)
    ours = [name for name in there if there.get(name).__module__.startswith("moodbench.")]
    assert sorted(written_names(completion.PACKAGE / place, variable)) == sorted(ours)


def test_names_of_other_packages_are_offered_without_importing_them(monkeypatch):
    class Point:
        name = "theirs"

    monkeypatch.setattr("moodbench.registry.entry_points", lambda group: [Point] if group == "moodbench.scores" else [])
    assert written_names(completion.PACKAGE / "scores", "SCORES", "moodbench.scores")[-1] == "theirs"


def test_every_metric_is_offered(home):
    assert set(offered("moodbench table --metric ")[0]) == set(METRICS)


def test_models_are_named_as_results_are_filed(home):
    for name in ("timm:resnet18@moodv2+probe", "timm-mine", "clip:RN50/openai+zeroshot", "clip-mine"):
        parsed = ModelName.parse(name)
        (home / "results" / "tiny" / f"{parsed.file}.csv").write_text("")
        assert name in offered(f"moodbench table --model {name[:3]}")[0]


def test_another_word_is_refused_with_the_nearest():
    with pytest.raises(moodbench.MoodbenchError, match=r"^layout cannot be 'gird'\. Did you mean 'grid'\?") as refused:
        choices.check_choice("layout", "gird", choices.Layout)
    assert refused.value.fix == "use one of: grid, datasets, all, paper, classes, depth"
    assert refused.value.exit_code == 2
    with pytest.raises(moodbench.MoodbenchError, match="layout cannot be 'None'"):
        choices.check_choice("layout", None, choices.Layout)
    choices.check_choice("layout", "all", choices.Layout)
