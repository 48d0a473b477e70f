"""What a study asks of networks is looked up before any weights are: layers, views, and scores that read them."""

from __future__ import annotations

import pytest

from moodbench.errors import CatalogError, UsageError
from moodbench.studies.file import parse_study
from moodbench.studies.folder import Folder
from moodbench.studies.known import know
from moodbench.studies.networks import check_networks
from moodbench.workspace import Workspace

LEAST = "models: [digits_mim]\nbenchmarks: [digits]\n"
LOGISTIC = "scores: [maha_layers]\nparameters: {maha_layers: {combine: logistic}}\n"


def check(text, tmp_path):
    check_networks(know(parse_study(LEAST + text, tmp_path / "a.yaml"), Workspace()))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("layers: [block.1]\n", "layers: 'digits_mim': there is no layer 'block.1'. Did you mean 'blocks.1'"),
        ("layers: [blocks.3, blocks.7]\n", "there is no layer 'blocks.7'"),
        ("views: [fgsm]\nview_layers: [stem]\n", "view_layers: 'digits_mim': there is no layer 'stem'"),
        ("views: ['nac:layer=head.9']\n", r"views\[1\]: 'digits_mim': there is no layer 'head.9'"),
        (
            "scores: [msp, maha_layers]\nlayers: [blocks.1]\nparameters: {maha_layers: {layers: blocks.2}}\n",
            r"scores\[2\] is 'maha_layers' with layers=blocks.2.*, which lacks what it reads of 'digits_mim'",
        ),
        (
            "scores: [maha_layers]\nlayers: all\nparameters: {maha_layers: {combine: [sum, logistic]}}\n",
            r"scores\[1\] is 'maha_layers' with .*combine=logistic.*: no layers of the view 'fgsm'",
        ),
        (
            f"{LOGISTIC}layers: all\nviews: [fgsm]\nview_layers: every:2\n",
            "has not all of the layers: no layer-blocks.0",
        ),
    ],
)
def test_what_networks_lack_is_refused_with_its_place(text, what, tmp_path):
    with pytest.raises(UsageError, match=what) as caught:
        check(text, tmp_path)
    assert caught.value.file == tmp_path / "a.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "scores: [msp]\n",
        "layers: every:2\nscores: [maha_layers]\n",
        f"{LOGISTIC}layers: all\nviews: [fgsm]\nview_layers: all\n",
        "views: [odin, gram]\nscores: all\n",
        "layers: all\nviews: [odin]\nview_head: probe\nprobe: true\nscores: [odin]\n",
    ],
)
def test_what_they_have_is_fine(text, tmp_path):
    check(text, tmp_path)


def test_a_study_is_never_written_over_by_its_copy(tmp_path):
    (tmp_path / "ours.yaml").write_text("models: {}\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "study.yaml"
    text = "# mine\n" + LEAST + "catalogs: [../ours.yaml]\n"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="the folder is that of the study itself"):
        Folder(file.parent).begin(parse_study(text, file))
    assert file.read_text(encoding="utf-8") == text
    Folder(tmp_path / "else").begin(parse_study(text, file))
    assert "catalogs" in (tmp_path / "else" / "study.yaml").read_text(encoding="utf-8")


def test_a_catalogue_that_is_not_there_is_named_itself(tmp_path):
    file = tmp_path / "nowhere.yaml"
    with pytest.raises(CatalogError, match="the catalogue does not exist") as caught:
        know(parse_study(LEAST, tmp_path / "a.yaml"), Workspace(catalogs=(file,)))
    assert caught.value.file == file
