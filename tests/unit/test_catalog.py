"""The catalogue: every built-in entry is usable, and every mistake in a file of one's own is named."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from moodbench.catalog import LABEL_RULES, PRETEXT_TASKS, load_catalog, seen_by
from moodbench.errors import CatalogError, UnknownNameError
from moodbench.models.records import model_record

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


def test_builtin_datasets_and_benchmarks():
    # one by one in test_datasets_yaml.py
    catalog = load_catalog()
    assert len(catalog.datasets) > 80
    assert all(spec.labels in LABEL_RULES for spec in catalog.datasets.values())
    assert {"digits", "imagenet", "cifar10", "imagenet-openood", "ninco-unit-tests"} <= set(catalog.benchmarks)
    digits = catalog.benchmark("digits")
    assert all(catalog.dataset(d).bundled for d in digits.datasets)
    assert digits.group_of("digits_6_9") == "near"


def every_model():
    """Yield every built-in model and every variant of it."""
    for name, spec in load_catalog().models.items():
        yield name, spec
        for variant, changed in spec.variants.items():
            yield f"{name}@{variant}", changed


def test_builtin_models_name_what_exists():
    timm = pytest.importorskip("timm")
    from moodbench.models.build import check_name
    from moodbench.models.features import RECIPES
    from moodbench.models.formats.base import FORMATS
    from moodbench.models.transforms import TRANSFORMS

    for name, spec in every_model():
        assert spec.pretext in PRETEXT_TASKS
        assert spec.format is None or spec.format in FORMATS, name
        assert spec.transform in TRANSFORMS
        assert spec.features in RECIPES
        if spec.clip is not None:
            continue
        check_name(spec)
        tag = spec.timm.partition(".")[2]
        if spec.checkpoint is None and spec.url is None and spec.by_hand is None:
            assert tag, "a bare architecture name means whatever timm's default tag is"
            config = timm.get_pretrained_cfg(spec.timm)
            assert config.hf_hub_id == f"timm/{spec.timm}"  # where a list looks for it
            assert (config.num_classes == 1000) == (spec.head.kind == "own"), name


def test_builtin_models_say_what_comparisons_need():
    for name, spec in every_model():
        if name.startswith("digits"):
            continue
        assert spec.labels_seen, name
        assert spec.tuning, name
        assert spec.params, name
        assert spec.method, name
        assert (spec.tuning == "none") == (spec.head.kind == "none"), name
        assert spec.top1 is None or spec.head.kind != "none", name
        assert spec.data or spec.text_supervision, name


def test_weights_from_addresses_say_how_their_pictures_are_prepared_and_what_they_are_checked_against():
    from moodbench.models.hub import digest_in_name, url_file

    # timm's record of the bare architecture belongs to other weights
    whole = {"mean", "std", "crop", "crop_mode", "interpolation"}
    files = {}
    for name, spec in every_model():
        if spec.url is None:
            continue
        assert spec.url.startswith("https://"), name
        if spec.transform == "model" and "." not in spec.timm:
            assert set(spec.image) >= whole, name
        assert spec.format is not None or spec.head.kind == "none", name
        files.setdefault(url_file(spec.url).name, set()).add(spec.url)
        assert spec.sha256 is None or digest_in_name(url_file(spec.url)) is None
    assert all(len(urls) == 1 for urls in files.values()), "two addresses would share a file of torch's cache"


def test_numbers_of_parameters_are_timms():
    timm = pytest.importorskip("timm")
    import torch

    import moodbench.models.build  # noqa: F401 (with an architecture that timm lacks)

    counted = {}
    for name, spec in every_model():
        if spec.params is None or (spec.params > 30 and name not in ("beit", "cae", "dinov2", "mae")):
            continue
        architecture = spec.timm.partition(".")[0]
        args = {"num_classes": 1000 if spec.head.kind == "own" else 0, **spec.args}
        key = (architecture, *sorted(args.items()))
        if key not in counted:
            with torch.device("meta"):
                counted[key] = sum(p.numel() for p in timm.create_model(architecture, **args).parameters()) / 1e6
        assert counted[key] == pytest.approx(spec.params, abs=0.006), name


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
    for name in pretext:
        spec = catalog.model(name)
        reference, fair = spec.variant("moodv2"), spec.variant("fair")
        assert (spec.transform, fair.transform, reference.transform) == ("model", "model", "moodv2")
        assert (reference.timm, reference.url, reference.args) == (spec.timm, spec.url, spec.args)
        assert (reference.image, fair.labels_seen) == ({}, "none")
        assert fair.data == ("LVD-142M" if name == "dinov2" else "ImageNet-1k")
    assert "defective" in catalog.model("dinov2").reference_note
    assert all("22k" in catalog.model(name).labels_seen for name in ("beit", "beitv2"))
    assert catalog.model("beitv2").variant("fair").text_supervision
    official = catalog.model("dinov2").variant("fair")
    assert (official.features, official.head.kind, official.args) == ("cls_mean", "file", {"img_size": 224})


def test_variants(write):
    entry = """
models:
  mine:
    title: Mine
    pretext: hybrid
    timm: test_vit.r160_in1k
    top1: 40
    licence: MIT
    image: {mean: [0.5, 0.5, 0.5], size: 96}
    variants:
      other: {url: 'https://x.org/a.pth', sha256: unknown, image: {size: 64}}
      half: {transform: moodv2}
      half-more: {title: More}
      same:
"""
    spec = load_catalog([write(entry)]).model("mine")
    other = spec.variant("other")
    assert (other.title, other.timm, other.image) == ("Mine", "test_vit.r160_in1k", {"size": 64})
    assert (other.top1, other.licence) == (None, None)  # those of other weights
    assert (spec.variant("half").image, spec.variant("half").top1) == ({}, 40)  # image corrected the other transform
    assert spec.variant("same").image == spec.image
    assert spec.variant("half-bf16") == spec.variant("half")
    assert spec.variant("half-more-bf16").title == "More"
    assert spec.variant("halfway") is spec is spec.variant(None)
    assert spec.declared_in("halfway") is None


def test_labels_of_the_head_are_none_beyond_it():
    catalog = load_catalog()
    names = ("digits_classification", "digits_mim", "beit", "vit", "timm:resnet18.a1_in1k")
    assert [catalog.model(name).labels_beyond for name in names] == ["none", "none", "ImageNet-22k", "none", None]
    assert [seen_by(catalog.model(name)).text for name in names] == [False, False, False, False, None]


def test_every_field_of_a_model_is_a_key_that_is_read_and_shown():
    (spec,) = (one for name, one in load_catalog().models.items() if name == "digits_mim")
    shown = model_record(spec)
    for one in fields(spec):
        assert one.name in shown
        assert "read" in one.metadata or one.name in ("name", "variants")
    assert json.loads(json.dumps(shown))["title"] == spec.title


def test_what_is_needed_for_a_number():
    spec = load_catalog().benchmark("digits")
    needed = (spec.id_train, *spec.id_test)
    assert (spec.id_val, spec.needed, spec.learned_from) == (None, needed, needed[:1])
    assert not spec.can_be_scored(needed)
    assert spec.can_be_scored([*needed, spec.ood_datasets[0]])
    assert not spec.can_be_scored([*needed[1:], *spec.ood_datasets])
    assert replace(spec, id_val="val").needed == (spec.id_train, "val", *spec.id_test)


def test_any_timm_model_has_an_entry():
    spec = load_catalog().model("timm:resnet50.a1_in1k")
    assert (spec.name, spec.timm, spec.pretext) == ("timm:resnet50.a1_in1k", "resnet50.a1_in1k", "unspecified")


def test_unknown_names_offer_the_nearest():
    catalog = load_catalog()
    with pytest.raises(UnknownNameError, match="Did you mean 'beitv2'"):
        catalog.model("beit2v")
    with pytest.raises(UnknownNameError, match="Did you mean 'openimage_o'"):
        catalog.dataset("OpenImage-O")
    with pytest.raises(UnknownNameError, match="Did you mean 'imagenet'"):
        catalog.benchmark("imagenet1k")


# -- one's own ----------------------------------------------------------------------------------------------------


def test_the_smallest_catalogue_of_ones_own(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    catalog = load_catalog([write(SMALLEST)])
    assert catalog.dataset("my_train").path == tmp_path / "ours" / "train"  # relative to the file
    assert catalog.dataset("my_test").path == Path("/home/somebody/test")
    assert catalog.dataset("street").source == "features only"
    ours = catalog.benchmark("ours")
    assert (ours.title, ours.id_test, ours.ood_datasets) == ("ours", ("my_test",), ("street",))


def test_several_id_test_sets_and_a_single_name_for_a_group(write):
    text = SMALLEST.replace("id_test: my_test", "id_test: [my_test, imagenet_val]").replace("[street]", "street")
    ours = load_catalog([write(text)]).benchmark("ours")
    assert ours.id_test == ("my_test", "imagenet_val")
    assert ours.ood["far"] == ("street",)


def test_a_part_has_the_place_of_its_whole_and_says_of_itself_what_it_likes(write):
    text = """
datasets:
  half: {title: Half, part_of: whole, within: sub, paper: Theirs}
  whole: {title: Whole, folder: w, homepage: "https://w.org/", paper: Ours, licence: MIT, problems: small}
  far_half: {title: Elsewhere, part_of: outside}
  outside: {title: Outside, path: /data/outside}
"""
    catalog = load_catalog([write(text)])
    half = catalog.dataset("half")
    assert (half.folder, half.homepage, half.paper, half.licence) == ("w/sub", "https://w.org/", "Theirs", "MIT")
    assert half.problems == ()  # those of the whole need not be its own
    assert catalog.dataset("far_half").path == Path("/data/outside")


def test_a_benchmark_may_say_how_it_differs(write):
    assert load_catalog([write(SMALLEST)]).benchmark("ours").note is None
    text = SMALLEST.replace("id_test: my_test", "id_test: my_test\n    note: Half of it")
    assert load_catalog([write(text)]).benchmark("ours").note == "Half of it"


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
        ("datasets: {1: {title: A}}", "a key must be a text, and this is 1"),
        ("datasets: [a]", "section 'datasets' must map names"),
        ("dataset: {a: {title: A}}", "sections datasets, benchmarks and models; found .'dataset'."),
        ("- a", "found list"),
        ("datasets: {a: {title: A", "not valid YAML"),
        ("models: {m: {title: M, pretext: contrastve, timm: x}}", "model 'm' has pretext: 'contrastve'"),
        ("models: {m: {title: M, pretext: hybrid}}", "model 'm' lacks the key 'timm'"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, args: 3}}", "has args: 3"),
        (
            "models: {m: {title: M, pretext: hybrid, timm: x, image: {crop: 9}}}",
            "has image: with crop: 9, which should",
        ),
        ("models: {m: {title: M, pretext: hybrid, timm: x, image: {zoom: 9}}}", "the unknown key 'zoom'; known: size"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, head: off-line}}", "has head: 'off-line'"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, head: {}}}", "'m: head' needs either 'path' or 'url'"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, tuning: some}}", "has tuning: 'some'"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, variants: {a@b: {}}}}", "variant 'a@b', which cannot"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, variants: {a: {b: 1}}}}", "model 'm@a' has the unknown key"),
        ("models: {m: {title: M, pretext: hybrid, timm: x, checkpoint: a, url: b}}", "has both 'checkpoint' and 'url'"),
        ("models: {'a@b': {title: M, pretext: hybrid, timm: x}}", "'a@b' cannot name a model"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {}}}", "has no OOD dataset"),
        ("benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {far: []}}}", "has no OOD dataset"),
        ("benchmarks: {b: {id_train: digits_train, id_test: [], ood: {far: [texture]}}}", "has no ID test dataset"),
        (
            "benchmarks: {b: {id_train: digits_train, id_test: digits_test, ood: {all: [texture]}}}",
            "OOD group that is called 'all', which is what results",
        ),
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
    assert caught.value.file == file


def test_unreadable_files(write, tmp_path):
    with pytest.raises(CatalogError, match="does not exist"):
        load_catalog([tmp_path / "no.yaml"])
    file = write("")
    assert load_catalog([file]).datasets  # an empty file adds nothing
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogError, match="is not UTF-8"):
        load_catalog([file])
