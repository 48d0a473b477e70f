"""What leaves this machine with shared results, what they are signed by, and what agrees."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.results import read_provenance, read_results, result_files
from moodbench.sharing.agree import difference
from moodbench.sharing.card import BEGIN, END, with_list
from moodbench.sharing.clean import HIDDEN, Cleaner
from moodbench.sharing.layout import ROUNDING, rows_fault
from moodbench.sharing.signature import row_inputs, row_recipe, signatures
from moodbench.types import MEAN
from tests.runs import provenance, row, rows_of
from tests.sharing import files, pushed, workspace

DIGITS = Path(__file__).parents[2] / "results" / "digits"
BUNDLED = result_files(DIGITS)


class TestClean:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("cannot read /scratch/ann/weights/vit.pth (gone)", "cannot read vit.pth (gone)"),
            ("file:///scratch/ann/vit.pth", "vit.pth"),
            ("~/models/vit.pth, ~ann/x.pth and ../../ann/y.pth", "vit.pth, x.pth and y.pth"),
            (r"C:\Users\ann\vit.pth", "vit.pth"),
            ("bank:/scratch/ann/vit.pth", "bank:vit.pth"),
            (r"'\\server\ann\vit.pth'", "'vit.pth'"),
            ("https://ann:secret@example.org/a/vit.pth?token=abc&x=1", "https://example.org/a/vit.pth?token=…&x=1"),
            ("hub timm/vit_base.augreg, layers 1/2, (TPR + TNR) / 2 and/or", None),
            ("0.5 // 2; a:b; 10.1000/182; facebook/dinov2-base", None),
        ],
    )
    def test_folders_go_and_names_stay(self, text, clean):
        assert Cleaner().text(text) == (text if clean is None else clean)

    def test_folders_of_this_machine_go_whatever_they_are_called(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path / "home" / "Ann Other"))
        data = tmp_path / "my data (new)"
        cleaner = Cleaner([data])
        home = Path.home()
        said = f"{data}/train/x.png {data} {home}/x.pth {home}"
        assert cleaner.text(said) == f"x.png {HIDDEN} x.pth {HIDDEN}"
        assert cleaner.text(f"/scratch/{getpass.getuser()}") == HIDDEN

    @pytest.mark.parametrize("file", BUNDLED, ids=lambda file: file.stem)
    def test_what_says_nothing_of_a_machine_stays_as_it_is(self, file):
        cleaner = Cleaner()
        assert cleaner.notes(read_provenance(file)) == read_provenance(file)
        assert [cleaner.row(one) for one in read_results(file)] == read_results(file)

    @given(
        st.lists(st.from_regex(r"[\w@+=-][\w.@+=-]*", fullmatch=True), min_size=2),
        st.sampled_from(["/", "~/", "../", "file:///"]),
    )
    def test_of_any_path_the_name_of_the_file_stays(self, parts, root):
        assert Cleaner().text(f"lost: {root}{'/'.join(parts)}, sorry") == f"lost: {parts[-1]}, sorry"

    def test_no_folder_and_no_name_of_a_user_is_shared(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", "/home/annabel")
        path = "/home/annabel/secret/vit.pth"
        noted = {
            "datasets": {"near": {"contents": "digest of near", "provenance": {"model": {"weights": f"file {path}"}}}},
            "plugin": {path: [path, {"user": "annabel", "host": "gpu7", "cwd": "/x", "file": f"{tmp_path}/x.npz"}]},
        }
        texts = {"note": f"{path} failed", "remarks": (f"trial: {path}",), "params": f"bank={path}"}
        pushed(workspace(tmp_path / "w", row=texts, **noted), tmp_path / "lab", "ann")
        for name, data in files(tmp_path / "lab").items():
            for word in (b"annabel", b"secret", b"gpu7", str(tmp_path).encode(), b"/home"):
                assert word not in data, (name, word)
        assert b"vit.pth failed" in files(tmp_path / "lab")["submissions/b/vit/ann.csv"]


class TestSignature:
    NOTED = read_provenance(BUNDLED[0])

    def changed(self, *path, value):
        """Return the provenance with another value in one place."""
        noted = json.loads(json.dumps(self.NOTED))
        place = noted
        for key in path[:-1]:
            place = place[key]
        assert path[-1] in place
        place[path[-1]] = value
        return noted

    def test_caches_of_another_machine_have_the_same_recipe(self):
        other = self.changed("inputs", "contents", "digits_faces", value="f" * 64)
        assert signatures(other)["inputs"] != signatures(self.NOTED)["inputs"]
        assert signatures(other)["recipe"] == signatures(self.NOTED)["recipe"]

    @pytest.mark.parametrize(
        "path",
        [
            ("datasets", "digits_faces", "provenance", "images", "fingerprint"),
            ("datasets", "digits_train", "provenance", "model", "weights_sha256"),
            ("datasets", "digits_train", "provenance", "transform", "kind"),
            ("datasets", "digits_train", "provenance", "precision"),
            ("inputs", "benchmark", "id_train"),
            ("inputs", "head"),
        ],
        ids="/".join,
    )
    def test_another_recipe(self, path):
        assert signatures(self.changed(*path, value="other"))["recipe"] != signatures(self.NOTED)["recipe"]

    @pytest.mark.parametrize(
        "path",
        [
            ("datasets", "digits_train", "provenance", "device"),
            ("datasets", "digits_train", "provenance", "model", "weights"),
            ("moodbench",),
            ("versions", "torch"),
        ],
        ids="/".join,
    )
    def test_where_and_by_which_version_is_no_part_of_it(self, path):
        assert signatures(self.changed(*path, value="other")) == signatures(self.NOTED)

    def test_a_row_depends_on_its_own_datasets(self):
        rows = {(one.score, one.ood, one.group): one for one in read_results(BUNDLED[0])}
        other = self.changed("inputs", "contents", "digits_faces", value="f" * 64)
        for place, same in ((("msp", "digits_noise", "far"), True), (("msp", "digits_faces", "far"), False)):
            assert (row_inputs(other, rows[place]) == row_inputs(self.NOTED, rows[place])) is same
            assert row_recipe(other, rows[place]) == row_recipe(self.NOTED, rows[place])
        mean = rows["msp", MEAN, "far"]
        assert row_inputs(other, mean) != row_inputs(self.NOTED, mean)

    def test_imported_numbers_count_for_their_score_alone(self):
        noted = {**self.NOTED, "imported": {"lmd/digits_noise": {"contents": "a"}}}
        other = {**self.NOTED, "imported": {"lmd/digits_noise": {"contents": "b"}}}
        msp = next(one for one in read_results(BUNDLED[0]) if (one.score, one.ood) == ("msp", "digits_noise"))
        assert row_inputs(noted, msp) == row_inputs(other, msp)
        assert row_inputs(noted, replace(msp, score="lmd")) != row_inputs(other, replace(msp, score="lmd"))


class TestAgree:
    @given(st.floats(0, 1), st.floats(-1, 1))
    def test_a_number_agrees_within_rounding(self, auroc, apart):
        other = min(1.0, max(0.0, auroc + apart))
        found = difference(row(auroc=auroc), row(auroc=other))
        assert (found is None) == (abs(auroc - other) <= ROUNDING)

    @pytest.mark.parametrize("change", [{"n_id": 4}, {"n_ood": 4}, {"fpr95": 0.26}, {"control": True}])
    def test_what_differs_is_named(self, change):
        assert difference(row(), row(**change)) == next(iter(change))

    @pytest.mark.parametrize("change", [{"oscr": 0.5}, {"fpr95": None}, {"note": "thinned"}, {"remarks": ("trial",)}])
    def test_what_one_lacks_contradicts_nothing(self, change):
        assert difference(row(), row(**change)) is None


class TestRows:
    def test_rows_as_score_writes_them_can_be(self):
        for file in BUNDLED:
            assert rows_fault(read_results(file), read_provenance(file)) is None

    @pytest.mark.parametrize(
        ("change", "fault"),
        [
            ({"auroc_low": 0.91, "auroc_high": 0.99}, "outside its interval"),
            ({"group": "near"}, "no OOD dataset of the benchmark"),
        ],
    )
    def test_a_row_that_cannot_be(self, change, fault):
        rows = [row(ood="far", **change)]
        assert fault in rows_fault(rows, provenance(rows))

    def test_a_mean_that_is_none(self):
        rows = rows_of(scores=("msp",))
        changed = [replace(one, auroc=0.95) if one.ood == "far" else one for one in rows]
        assert "is not the mean of its rows" in rows_fault(changed, provenance(rows))
        far = replace(next(one for one in rows if one.ood == "far"), auroc=0.95)
        assert rows_fault([far, rows[-1]], provenance(rows)) is None  # the other parts are not there to be compared


def test_a_card_is_written_between_its_lines_alone():
    assert with_list("ours", []) is None
    assert with_list(f"a\n{BEGIN}\nold\n{END}\nb", []) == f"a\n{BEGIN}\n{END}\nb"
