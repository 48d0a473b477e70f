"""`moodbench show …`: all about one model, dataset, benchmark or score, as text and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moodbench.cli import listing
from moodbench.commands.import_ import import_features
from moodbench.commands.show import show_benchmark, show_dataset, show_model, show_score
from moodbench.errors import UnknownNameError
from moodbench.scores.base import SCORES
from moodbench.workspace import Workspace
from tests.commands import call, offered


def show(*args):
    result = call("show", *args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def record(*args):
    return json.loads(show(*args, "--json"))


def lines(text):
    """Return the facts of a text: key → value, of those on one line."""
    pairs = [line.strip().partition("  ") for line in text.splitlines()]
    return {key: value.strip() for key, _, value in pairs}


SHEETS = [
    ("score", "cadref"),
    ("score", "gl_mcm"),
    ("model", "beitv2"),
    ("dataset", "imagenet_val"),
    ("benchmark", "imagenet"),
]


@pytest.mark.parametrize("words", SHEETS, ids=" ".join)
def test_sheets_fit_a_terminal_and_lose_no_word(monkeypatch, words):
    written = show(*words)
    for width in (60, 80, 300):
        monkeypatch.setattr(listing, "terminal_width", lambda width=width: width)
        shown = show(*words)
        long = [line for line in shown.splitlines() if len(line) > width]
        assert [line for line in long if len(line.split()) > 2] == []  # but for addresses
        if words[0] != "benchmark":  # whose table becomes paragraphs
            assert shown.split() == written.split()
    assert shown == written or words == ("benchmark", "imagenet")


def test_paragraphs_are_set_anew_and_lists_and_headings_stay(monkeypatch):
    full = "words " * 15 + "words"
    text = f"{full}\nend of it.\nshort\n\nNotes\n-----\nx : int\n    {full}\n    last\n"
    assert listing.as_prose(text, 2).splitlines()[-1] == "      last"
    monkeypatch.setattr(listing, "terminal_width", lambda: 70)
    shown = listing.as_prose(text, 2).splitlines()
    assert max(map(len, shown)) <= 70
    assert shown[1].endswith("words end of it.")
    assert shown[2:7] == ["  short", "", "  Notes", "  -----", "  x : int"]
    assert shown[-1].startswith("      words")
    assert shown[-1].endswith("words last")


@pytest.mark.parametrize("name", SCORES.names())
def test_every_score_can_be_shown(name):
    shown = show("score", name)
    assert shown.startswith(f"{name}: {SCORES.get(name).title}\n")
    assert SCORES.get(name).__doc__.strip().splitlines()[0] in shown


def test_a_score_says_what_it_takes_and_where_it_is_from():
    facts = lines(show("score", "vim"))
    assert (facts["family"], facts["needs"], facts["parameters"]) == (
        "feature+logit",
        "features, head, logits",
        "dim=0",
    )
    assert "arXiv 2203.10807" in facts["paper"]
    whole = record("score", "vim")
    assert whole["year"] == 2022
    assert whole["params"] == {"dim": 0}
    assert whole["description"].startswith("``log sum_k exp(l_k)")


def test_a_model_says_what_it_computes_and_what_is_cached(home):
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood", "--quiet").exit_code == 0
    facts = lines(text := show("model", "tiny"))
    assert facts["pretext task"] == "classification"
    assert (facts["timm name"], facts["on this disk"], facts["dimension"]) == ("test_vit", "yes", "64")
    assert "Caches\n  dataset   rows  dim  complete\n  tiny_ood  11    64   yes\n" in text
    whole = record("model", "tiny")
    assert whole["cached"] == [{"dataset": "tiny_ood", "rows": 11, "dim": 64, "complete": True}]
    assert whole["dim"] == 64
    assert whole["pictures"]["size"] == 32
    assert record("model", "tiny@moodv2")["cached_variants"] == ["tiny"]


def test_a_variant_is_shown_with_its_own_settings():
    whole, fair = show_model("beitv2@moodv2"), show_model("beitv2@fair")
    assert (whole["pictures"]["kind"], fair["pictures"]["kind"]) == ("moodv2", "model")
    assert whole["dim"] == fair["dim"] == 768
    assert fair["labels_seen"] == "none"


def test_any_timm_model_and_any_cached_one(home):
    assert record("model", "timm:resnet18")["dim"] == 512
    assert call("show", "model", "timm:resnet1888").exit_code == 1
    np.save("rows.npy", np.ones((5, 3), np.float32))
    import_features("mine", "street", "rows.npy", workspace=Workspace())
    assert record("model", "mine")["dim"] == 3
    assert lines(show("model", "mine"))["weights"] == "cached features"


def test_a_dataset_says_how_to_get_it(home):
    facts = lines(text := show("dataset", "imagenet_val"))
    assert facts["to get it"] == "moodbench download imagenet_val"
    assert facts["state"] == "by hand"
    assert "Steps\n  1. Register" in text
    assert "imagenet-ninco          ID test" in text
    whole = record("dataset", "digits_noise")
    assert whole["how_to_get"] == "comes with moodbench"
    assert whole["benchmarks"] == {"digits": ["OOD, far"]}


def test_every_dataset_and_benchmark_can_be_shown(home):
    from moodbench.cli.show import _benchmark_text, _dataset_text

    space = Workspace()
    for name in space.catalog.datasets:
        whole = show_dataset(name, space)
        json.dumps(whole)
        assert _dataset_text(whole).startswith(f"{name}: ")
    for name in space.catalog.benchmarks:
        whole = show_benchmark(name, space)
        json.dumps(whole)
        assert _benchmark_text(whole).startswith(f"{name}: ")


def test_a_benchmark_says_what_is_there_of_it(home):
    text = show("benchmark", "tiny")
    assert [line.split() for line in text.splitlines() if "tiny_test" in line] == [
        ["tiny_test", "ID", "test", "there", "folder"]
    ]
    assert record("benchmark", "tiny")["results"] == []
    (home / "results" / "tiny").mkdir(parents=True)
    (home / "results" / "tiny" / "timm-resnet18@moodv2+probe.csv").write_text("")
    assert record("benchmark", "tiny")["results"] == ["timm:resnet18@moodv2+probe"]
    assert show_model("timm:resnet18@moodv2", Workspace())["results"] == ["tiny"]
    assert show_model("timm:resnet18", Workspace())["results"] == []


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("score", "mahalanobiss", "mahalanobis"),
        ("model", "beitv22", "beitv2"),
        ("dataset", "digit_noise", "digits_noise"),
        ("benchmark", "digit", "digits"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(home, kind, name, near):
    result = call("show", kind, name)
    assert result.exit_code == 2
    assert f"there is no {kind} '{name}'. Did you mean '{near}'" in result.stderr


def test_functions_say_so_too():
    for function in (show_score, show_model, show_dataset, show_benchmark):
        with pytest.raises(UnknownNameError, match="'zzz'"):
            function("zzz")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("moodbench show ", ["benchmark", "dataset", "model", "score"]),
        ("moodbench show score vi", ["vim"]),
        ("moodbench show dataset tiny_t", ["tiny_test", "tiny_train"]),
        ("moodbench show benchmark tin", ["tiny"]),
        ("moodbench show model min", ["mine"]),
        ("moodbench list scores --family lo", ["logit"]),
        ("moodbench list scores --needs h", ["head"]),
        ("moodbench list models --pretext contr", ["contrastive"]),
        ("moodbench list datasets --benchmark tin", ["tiny"]),
        ("moodbench list benchmarks --dataset tiny_o", ["tiny_ood"]),
        ("moodbench cache remove --model mine --model m", ["mine"]),
        ("moodbench extract --model beit --model beitv2 --variant f", ["fair"]),
    ],
)
def test_names_are_offered(home, line, names):
    file = home / "cache" / "mine" / "tiny_ood.h5"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert sorted(offered(line)[0]) == names
