"""Our results beside published ones, a table, and other results, from Python."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import pytest

import moodbench
from moodbench.comparison.causes import UNKNOWN
from moodbench.comparison.match import Ours
from moodbench.comparison.published import PUBLISHED, SCORES
from moodbench.comparison.reference import Comparison, Reference
from moodbench.comparison.sheet import read_sheet
from moodbench.comparison.spelling import Shown, in_our_words
from moodbench.comparison.words import answer
from moodbench.errors import ResultsError, UnknownNameError
from moodbench.results import read_provenance, read_results, write_results
from moodbench.types import MEAN
from moodbench.workspace import Workspace
from tests.comparing import DIGITS, HEADER, LINE, imagenet_row, write_imagenet

CHANGES = {
    "weights": lambda noted: noted["provenance"]["model"].update(weights_sha256="0" * 64),
    "transform.resize 36 → 32": lambda noted: noted["provenance"]["transform"].update(resize=36),
    "image list": lambda noted: noted["provenance"]["images"].update(fingerprint="0" * 64),
    "precision bf16 → fp32": lambda noted: noted["provenance"].update(precision="bf16"),
    "extracted with torch 1.0 → ": lambda noted: noted["provenance"]["versions"].update(torch="1.0"),
}


@pytest.fixture
def ours():
    return Workspace(results_dir=DIGITS)


def changed(folder, change=lambda noted: None, auroc=lambda row: 0.99 * row.auroc, **top):
    """Write the results of a model once more, made from something else."""
    file = DIGITS / "digits" / "digits_mim.csv"
    noted = {key: value for key, value in read_provenance(file).items() if key not in ("schema", "sha256")} | top
    for one in noted["datasets"].values():
        one["contents"] = "another " + one["contents"]
        change(one)
    rows = [row if row.auroc is None else replace(row, auroc=auroc(row)) for row in read_results(file)]
    write_results(folder / "digits" / file.name, rows, noted)
    return folder


def test_results_beside_themselves_differ_by_nothing(ours):
    rows = moodbench.compare(DIGITS, workspace=ours)
    assert len(rows) > 500
    assert {row.difference for row in rows} == {0.0}
    assert {row.note for row in rows} == {""}
    assert all(row.inside for row in rows if row.metric == "auroc")
    assert {row.inside for row in rows if row.metric == "fpr95"} == {None}


def test_our_own_table_differs_by_its_rounding_alone(ours, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(moodbench.table(format="csv", layout="all", workspace=ours))
    rows = moodbench.compare(file, workspace=ours)
    assert all(row.both for row in rows)
    assert max(abs(row.points) for row in rows) <= 0.005 + 1e-9


@pytest.mark.parametrize("cause", CHANGES)
def test_of_other_results_the_input_that_differs_is_named(ours, tmp_path, cause):
    rows = moodbench.compare(changed(tmp_path, CHANGES[cause]), model="digits_mim", metric="auroc", workspace=ours)
    there = [row for row in rows if row.both]
    assert all(cause in row.note for row in there)
    assert all(row.difference == pytest.approx(0.01 * row.ours, abs=1e-9) for row in there)


def test_versions_head_and_nothing_at_all_are_told_apart(ours, tmp_path):
    inputs = read_provenance(DIGITS / "digits" / "digits_mim.csv")["inputs"]
    other = changed(tmp_path / "a", versions={"torch": "1.0"}, made_with={}, inputs={**inputs, "head": "other"})
    notes = {row.note for row in moodbench.compare(other, model="digits_mim", metric="auroc", workspace=ours)}
    assert all("head" in note and "torch 1.0 → " in note for note in notes)
    shutil.copytree(DIGITS, tmp_path / "b")
    file = tmp_path / "b" / "digits" / "digits_mim.csv"
    noted = {key: value for key, value in read_provenance(file).items() if key not in ("schema", "sha256")}
    write_results(file, [replace(row, auroc=0.5) for row in read_results(file)], noted)
    rows = moodbench.compare(tmp_path / "b", model="digits_mim", metric="auroc", workspace=ours)
    assert {row.note for row in rows} == {UNKNOWN}


def test_other_parameters_are_a_cause_and_rows_of_one_side_are_kept(ours, tmp_path):
    file = DIGITS / "digits" / "digits_mim.csv"
    noted = {key: value for key, value in read_provenance(file).items() if key not in ("schema", "sha256")}
    rows = [
        replace(row, params="dim=7" if row.score == "vim" else row.params, auroc=0.5)
        for row in read_results(file)
        if row.score != "msp"
    ]
    write_results(tmp_path / "digits" / file.name, rows, noted)
    made = moodbench.compare(tmp_path, model="digits_mim", metric="auroc", workspace=ours)
    assert all("parameters: dim=7 → dim=0" in row.note for row in made if row.score == "vim")
    alone = [row for row in made if row.score == "msp"]
    assert alone
    assert {(row.theirs, row.difference, row.note) for row in alone} == {(None, None, "not in the reference")}


def test_every_published_number_is_a_share_of_a_score_and_model_that_there_are(ours):
    for name, read in PUBLISHED.items():
        numbers = read().numbers
        assert len({(g.benchmark, g.model, g.score, g.ood, g.metric) for g in numbers}) == len(numbers) == 192, name
        for given in numbers:
            assert 0 < given.value < 1
            assert given.model in ours.catalog.models
            assert given.ood in (MEAN, *ours.catalog.benchmarks[given.benchmark].ood_datasets)
    assert set(SCORES.values()) <= set(moodbench.SCORES)


def test_published_means_are_those_of_the_published_parts():
    numbers = [given for given in PUBLISHED["moodv2"]().numbers if given.model == "vit"]
    for mean in (given for given in numbers if given.ood == MEAN):
        same = (mean.benchmark, mean.score, mean.metric)
        parts = [g.value for g in numbers if (g.benchmark, g.score, g.metric) == same and g.ood != MEAN]
        assert len(parts) == 4
        assert sum(parts) / 4 == pytest.approx(mean.value, abs=0.0001)


def test_published_numbers_stand_beside_every_variant_with_the_reasons_of_each(tmp_path):
    space = Workspace(results_dir=tmp_path)
    write_imagenet(tmp_path, "vit@moodv2", [imagenet_row("vit@moodv2")])
    write_imagenet(tmp_path, "vit", [imagenet_row("vit", auroc=0.8)], "model")
    write_imagenet(tmp_path, "dinov2@moodv2", [imagenet_row("dinov2@moodv2", auroc=0.9)])
    write_imagenet(tmp_path, "beit@fair", [imagenet_row("beit@fair", auroc=0.9)], "model")
    write_imagenet(tmp_path, "beitv2@moodv2+probe", [imagenet_row("beitv2@moodv2+probe", auroc=0.9)])
    rows = {row.model: row for row in moodbench.compare("moodv2", metric="auroc", workspace=space) if row.both}
    assert (rows["vit@moodv2"].difference, rows["vit@moodv2"].inside, rows["vit@moodv2"].note) == (0.0, True, "")
    assert rows["vit"].inside is False
    assert "other transform: ours 'model'" in rows["vit"].note
    assert "its head is random" in rows["dinov2@moodv2"].note
    assert "by eye" in rows["dinov2@moodv2"].note
    assert "other labels seen: ours none, theirs ImageNet-22k" in rows["beit@fair"].note
    assert "the head 'probe'" in rows["beitv2@moodv2+probe"].note
    chosen = moodbench.compare("moodv2", model="vit", workspace=space)
    assert {row.model for row in chosen if row.both} == {"vit", "vit@moodv2"}


def test_remarks_of_a_row_are_reasons_and_its_labels_too(tmp_path):
    remark = "another order of the classes explains the predictions better"
    write_imagenet(tmp_path, "vit@moodv2", [imagenet_row("vit@moodv2", remarks=(remark,))])
    rows = moodbench.compare("moodv2", metric="auroc", workspace=Workspace(results_dir=tmp_path))
    assert [row.note for row in rows if row.both] == [remark]


@pytest.mark.parametrize(("auroc", "inside"), [(0.89, True), (0.894, None), (0.91, False)])
def test_a_number_read_off_a_figure_is_inside_only_if_it_is_wherever_it_is(tmp_path, auroc, inside):
    row = imagenet_row("beitv2@moodv2", auroc=auroc, auroc_low=auroc - 0.006, auroc_high=auroc + 0.006)  # 89.0 ± 0.5
    write_imagenet(tmp_path, "beitv2@moodv2", [row])
    (found,) = (
        row
        for row in moodbench.compare("moodv2", metric="auroc", workspace=Workspace(results_dir=tmp_path))
        if row.both
    )
    assert found.inside is inside


def test_without_results_every_published_number_says_what_to_run(ours):
    rows = moodbench.compare("moodv2", benchmark="imagenet", model="beit", workspace=ours)
    assert len(rows) == 8
    assert all(row.ours is None and not math.isnan(row.theirs) for row in rows)
    assert all("moodbench extract --model beit@moodv2 --benchmark imagenet" in row.note for row in rows)


def test_titles_and_capitals_do_for_names(ours, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(HEADER + LINE.replace("vim", "ViM") + LINE.replace("vim", "KL-Matching"))
    rows = moodbench.compare(str(file), workspace=ours)
    assert [row.score for row in rows if row.both] == ["vim", "kl_matching"]


def test_a_title_of_several_is_refused_by_their_names(ours, tmp_path):
    names = ("digits_mim", "digits_contrastive")
    shown = Shown({}, dict.fromkeys(names, "ViT"), {}, {})
    file = tmp_path / "table.csv"
    file.write_text(HEADER + LINE.replace("digits_mim", "ViT"))
    rows = [row for name in names for row in read_results(DIGITS / "digits" / f"{name}.csv")]
    with pytest.raises(ResultsError, match="model 'ViT', which may be any of 'digits_contrastive', 'digits_mim'"):
        in_our_words(read_sheet(file), Ours(rows, {}, ours.catalog), shown)


def test_names_that_match_nothing_are_one_message(ours, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(HEADER + LINE.replace("digits_mim", "resnet"))
    with pytest.raises(ResultsError, match=r"none of the numbers in .* of resnet on digits") as caught:
        moodbench.compare(file, workspace=ours)
    assert "our models: digits_classification" in caught.value.fix
    with pytest.raises(UnknownNameError, match=r"there is no reference 'moodv3'\. Did you mean 'moodv2'"):
        moodbench.compare("moodv3", workspace=ours)
    with pytest.raises(UnknownNameError, match=r"no score to compare 'vimm'\. Did you mean 'vim'"):
        moodbench.compare("moodv2", score="vimm", workspace=ours)
    with pytest.raises(UnknownNameError, match="no benchmark to compare 'vit'"):
        moodbench.compare("moodv2", benchmark="vit", workspace=ours)
    with pytest.raises(ResultsError, match="no results of ours to put beside"):
        moodbench.compare(DIGITS, workspace=Workspace(results_dir=tmp_path / "none"))


def test_a_folder_that_is_none_of_results_says_which_is(ours, tmp_path):
    shutil.copytree(DIGITS, tmp_path / "results")
    with pytest.raises(ResultsError, match="holds no results") as caught:
        moodbench.compare(tmp_path, workspace=ours)
    assert str(tmp_path / "results") in caught.value.fix
    with pytest.raises(ResultsError, match="holds no results") as caught:
        moodbench.compare(tmp_path / "results" / "digits", workspace=ours)
    assert str(tmp_path / "results") in caught.value.fix


def test_a_reference_without_what_was_asked_for_says_so():
    said = answer(Comparison(Reference("the published numbers of MOODv2", "published", ()), ()))
    assert said.startswith("Nothing can be compared: the published numbers of MOODv2 have none of that benchmark")
