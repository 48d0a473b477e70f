"""The catalogue: every built-in entry is usable, and every mistake in a file of one's own is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from moodbench.catalog import LABEL_RULES, PRETEXT_TASKS, load_catalog
from moodbench.errors import CatalogError, UnknownNameError

SMALLEST = """
datasets:
  my_train: {title: Our training images, path: ours/train}
  my_test:  {title: Our test images, path: ~/test}
  street:   {title: Features somebody sent us}
benchmarks:
  ours:
    id_train: my_train
    id_test: my_test
    ood: {far: [street], near: []}
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text: str, name: str = "mine.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


# -- built in -----------------------------------------------------------------------------------------------------


def test_builtin_datasets_have_what_a_reader_needs():
    for spec in load_catalog().datasets.values():
        assert spec.title
        assert spec.labels in LABEL_RULES
        assert (spec.bundled is None) != (spec.folder is None), spec.name
        if spec.folder is not None:
            assert spec.paper, spec.name
            assert spec.homepage, spec.name
            assert spec.homepage.startswith("https://")
            assert len(" ".join(spec.steps)) > 50, spec.name


def test_builtin_benchmarks():
    catalog = load_catalog()
    assert set(catalog.benchmarks) == {"digits", "imagenet", "cifar10"}
    paper = ("imagenet_o", "openimage_o", "texture", "inaturalist")
    for name in ("imagenet", "cifar10"):
        assert catalog.benchmark(name).ood_datasets == paper
        assert sum(catalog.dataset(d).images for d in paper) == 34_792  # the number of OOD images in the paper
    digits = catalog.benchmark("digits")
    assert all(catalog.dataset(d).bundled for d in digits.datasets)
    assert digits.group_of("digits_6_9") == "near"
    used = {d for benchmark in catalog.benchmarks.values() for d in benchmark.datasets}
    assert used == set(catalog.datasets)


def test_builtin_models_name_what_exists():
    timm = pytest.importorskip("timm")
    from moodbench.models.formats.base import FORMATS
    from moodbench.models.transforms import TRANSFORMS

    for spec in load_catalog().models.values():
        assert spec.pretext in PRETEXT_TASKS
        assert spec.format is None or spec.format in FORMATS
        assert spec.transform in TRANSFORMS
        architecture, _, tag = spec.timm.partition(".")
        assert timm.is_model(architecture), spec.name
        if spec.checkpoint is None and spec.url is None:
            assert tag, "a bare architecture name means whatever timm's default tag is"
            config = timm.get_pretrained_cfg(spec.timm)
            assert config.hf_hub_id
            assert (config.num_classes == 1000) == (spec.head.kind == "own")


def test_the_five_models_of_the_paper():
    catalog = load_catalog()
    pretext = {name: catalog.model(name).pretext for name in ("vit", "mocov3", "dinov2", "beit", "beitv2")}
    assert pretext == {
        "vit": "classification",
        "mocov3": "contrastive",
        "dinov2": "hybrid",
        "beit": "masked image modeling",
        "beitv2": "masked image modeling",
    }
    assert all(catalog.model(name).transform == "moodv2" for name in pretext)
    assert "defective" in catalog.model("dinov2").reference_note
    assert all("22k" in catalog.model(name).labels_seen for name in ("beit", "beitv2"))


def test_any_timm_model_has_an_entry():
    spec = load_catalog().model("timm:resnet50.a1_in1k")
    assert (spec.name, spec.timm, spec.pretext) == ("timm:resnet50.a1_in1k", "resnet50.a1_in1k", "unspecified")


def test_unknown_names_offer_the_nearest():
    catalog = load_catalog()
    with pytest.raises(UnknownNameError, match="Did you mean 'beitv2'"):
        catalog.model("beit2v")
    with pytest.raises(UnknownNameError, match="Did you mean 'openimage_o'"):
        catalog.dataset("OpenImage-O")
    with pytest.raises(UnknownNameError, match="known benchmarks: cifar10, digits, imagenet"):
        catalog.benchmark("imagenet1k")


# -- one's own ----------------------------------------------------------------------------------------------------


def test_the_smallest_catalogue_of_ones_own(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    catalog = load_catalog([write(SMALLEST)])
    assert catalog.dataset("my_train").path == tmp_path / "ours" / "train"  # relative to the file
    assert catalog.dataset("my_test").path == Path("/home/somebody/test")
    assert catalog.dataset("street").source == "imported features only"
    ours = catalog.benchmark("ours")
    assert (ours.title, ours.id_test, ours.ood_datasets) == ("ours", ("my_test",), ("street",))


def test_several_id_test_sets_and_a_single_name_for_a_group(write):
    text = SMALLEST.replace("id_test: my_test", "id_test: [my_test, imagenet_val]").replace("[street]", "street")
    ours = load_catalog([write(text)]).benchmark("ours")
    assert ours.id_test == ("my_test", "imagenet_val")
    assert ours.ood["far"] == ("street",)


def test_replace(write):
    entry = "models: {vit: {title: Mine, pretext: hybrid, timm: test_vit%s}}\n"
    with pytest.raises(CatalogError, match="the model 'vit' exists already"):
        load_catalog([write(entry % "")])
    assert load_catalog([write(entry % ", replace: true")]).model("vit").title == "Mine"
    with pytest.raises(CatalogError, match="replace: 'yes'"):
        load_catalog([write(entry % ", replace: 'yes'")])


def test_later_files_see_earlier_ones(write):
    first = write("datasets: {a: {title: A}}\n", "1.yaml")
    second = write("datasets: {a: {title: B, replace: true}}\n", "2.yaml")
    assert load_catalog([first, second]).dataset("a").title == "B"
    with pytest.raises(CatalogError, match="exists already"):
        load_catalog([first, first])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets: {a: {title: A, pth: x}}", "dataset 'a' has the unknown key 'pth'"),
        ("datasets: {a: {path: x}}", "dataset 'a' lacks the key 'title'"),
        ("datasets: {a: {title: 3}}", "dataset 'a' has title: 3, which should be of type str"),
        ("datasets: {a: {title: A, images: true}}", "has images: True, which should be of type int"),
        ("datasets: {a: {title: A, labels: folders}}", "dataset 'a' has labels: 'folders'"),
        ("datasets: {a: {title: A, path: x, folder: y}}", "more than one of 'path' and 'folder'"),
        ("datasets: {a: [title]}", "must be a mapping of keys to values, not list"),
        ("datasets: {a b: {title: A}}", "'a b' cannot name a dataset"),
        ("datasets: {1: {title: A}}", "'1' cannot name a dataset"),
        ("datasets: [a]", "section 'datasets' must map names"),
        ("dataset: {a: {title: A}}", "sections datasets, benchmarks and models; found .'dataset'."),
        ("- a", "found list"),
        ("datasets: {a: {title: A", "not valid YAML"),
        ("models: {m: {title: M, pretext: contrastve, timm: x}}", "model 'm' has pretext: 'contrastve'"),
        ("models: {m: {title: M, pretext: hybrid}}", "model 'm' lacks the key 'timm'"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, args: 3}}", "has args: 3"),
        ("models: {'a@b': {title: M, pretext: hybrid, timm: x}}", "'a@b' cannot name a model"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {}}}", "has no OOD dataset"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {far: []}}}", "has no OOD dataset"),
        ("benchmarks: {b: {id_train: digits_train, id_test: [], ood: {far: [texture]}}}", "has no ID test dataset"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {all: [texture]}}}", "OOD group 'all'"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {far: [txture]}}}", "'txture', which no"),
        ("benchmarks: {b: {id_train: digits_train, id_test: nope, ood: {far: [texture]}}}", "names the dataset 'nope'"),
        (
            "benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {far: [texture], near: [texture]}}}",
            "uses 'texture' more than once",
        ),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {far: 3}}}", "should be a list"),
    ],
)
def test_mistakes_are_named(write, text, message):
    file = write(text)
    with pytest.raises(CatalogError, match=message) as caught:
        load_catalog([file])
    names_file = "which no catalogue declares" not in str(caught.value)
    assert not names_file or caught.value.file == file


def test_unreadable_files(write, tmp_path):
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog([tmp_path / "no.yaml"])
    file = write("")
    assert load_catalog([file]).datasets  # an empty file adds nothing
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog([file])
