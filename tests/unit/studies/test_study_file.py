"""What a study file may say: what is wrong is one message with file, place, what was expected and the nearest word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import MoodbenchError, UsageError
from moodbench.studies.examples import example_file, examples
from moodbench.studies.fields import Keys, Place
from moodbench.studies.file import parse_study, read_study
from moodbench.studies.known import know, with_catalogs
from moodbench.studies.plan import steps_of
from moodbench.studies.schema import STUDY, json_schema
from moodbench.workspace import Workspace

FILE = Path("study.yaml")
LEAST = "models: [digits_mim]\nbenchmarks: [digits]\nscores: [msp]\n"
DOCS = Path(__file__).parents[3] / "docs" / "studies.md"


def steps(text, folder=Path()):
    study = parse_study(text, folder / FILE)
    return steps_of(know(study, with_catalogs(study, Workspace())))


WRONG = [
    # the file, and its keys
    ("", "the study is empty", "--example demo"),
    ("models: [a\n", "not valid YAML", None),
    ("models: [a]\nmodels: [b]\n", "line 2: the key 'models' occurs twice", None),
    ("- a\n", r"the study is a list, and should be a mapping with the keys", None),
    ("models: [digits_mim]\n", "the study lacks the key 'benchmarks'", None),
    (LEAST + "score_s: [vim]\n", r"score_s is no key of a study. Did you mean 'scores'\?", "keys here: title"),
    (LEAST + "extract: {precison: bf16}\n", r"extract.precison is no key .* Did you mean 'precision'\?", "keys here"),
    # types
    (LEAST + "extract: {precision: bf61}\n", "extract.precision is 'bf61', and should be one of fp32", "'bf16'"),
    (LEAST + "extract: {batch_size: many}\n", "extract.batch_size is 'many', and should be a whole number", None),
    (LEAST + "extract: {batch_size: true}\n", "extract.batch_size is true, and should be a whole", None),
    (LEAST + "extract: {compile: yes}\n", "extract.compile is 'yes', and should be true or false", None),
    (LEAST + "probe: 3\n", "probe is 3, and should be true or false, or a mapping with the keys name", None),
    (LEAST + "probe:\n", "probe is empty, and should be true or false", None),
    (LEAST + "title: 7\n", "title is 7, and should be a text", 'quote it:  "7"'),
    (LEAST + "report: {images: -1}\n", "report.images is -1, and should be a whole number, 0 or more", None),
    (LEAST + "on_error: skip\n", "on_error is 'skip', and should be one of stop, continue", None),
    (LEAST + "tables: {file: a.md}\n", "tables is a mapping, and should be a list of which each is", None),
    # lists
    ("models: []\nbenchmarks: [digits]\n", "models is an empty list", None),
    (LEAST.replace("[msp]", "[]"), "scores is an empty list", None),
    (LEAST.replace("[msp]", "[msp, vim, msp]"), r"scores\[3\] is 'msp' a second time", "name it once"),
    (LEAST.replace("[digits_mim]", "[digits_mim, digits_mim]"), r"models\[2\] is 'digits_mim' a second time", None),
    (LEAST + "parameters: {msp: {}}\n", "parameters.msp is a mapping, and should be a mapping of parameters", None),
    (LEAST + "views: []\n", "views is an empty list", None),
    # names
    (LEAST.replace("digits_mim", "digits_mom"), r"models\[1\]: there is no model 'digits_mom'. Did you mean", None),
    (
        LEAST.replace("[digits]", "[digit]"),
        r"benchmarks\[1\]: there is no benchmark 'digit'. Did you mean 'digits'",
        None,
    ),
    (LEAST.replace("msp", "mps"), r"scores\[1\]: there is no score 'mps'", "list scores"),
    (LEAST.replace("[msp]", "[all, msp]"), "scores names 'all' and others besides", "scores: all"),
    (LEAST.replace("[digits_mim]", "[timm:resnet81]"), r"models\[1\]: timm .* has no model 'resnet81'", None),
    (
        LEAST.replace("[digits_mim]", "[{model: digits_mim, checkpoint: no.pth}]"),
        "checkpoint is 'no.pth', and there",
        None,
    ),
    (LEAST + "catalogs: [no.yaml]\n", r"catalogs\[1\] is 'no.yaml', and there is no such file", None),
    (LEAST + "heads: [prob]\n", "heads: there is no head 'prob'", None),
    # parameters
    (LEAST + "parameters: {vim: {dim: 8}}\n", "parameters.vim has parameters, and the score is not among", "add vim"),
    (LEAST + "parameters: {vym: {dim: 8}}\n", "parameters.vym: there is no score 'vym'. Did you mean 'vim'", None),
    (
        LEAST.replace("msp", "vim") + "parameters: {vim: {dims: 8}}\n",
        "parameters.vim: the score 'vim' has no parameter",
        "dim",
    ),
    (
        LEAST.replace("msp", "vim") + "parameters: {vim: {dim: many}}\n",
        "parameters.vim: 'many' is not a whole number",
        None,
    ),
    (
        LEAST.replace("msp", "vim") + "parameters: {vim: {dim: [8, 8]}}\n",
        r"parameters.vim.dim\[2\] is 8 a second time",
        None,
    ),
    (LEAST.replace("msp", "vim") + "parameters: {vim: {dim: []}}\n", "parameters.vim.dim is an empty list", None),
    # what belongs together
    (
        LEAST.replace("msp", "maha_layers"),
        r"scores\[1\] is 'maha_layers', which reads layers, and the study extracts none",
        "layers: ",
    ),
    (
        LEAST.replace("msp", "heat_sum"),
        r"scores\[1\] is 'heat_sum', which reads layers, and the study extracts none",
        r"layers: \[all\]  and  pool: std",
    ),
    (LEAST.replace("msp", "heat_sum") + "layers: all\n", "which reads layers pooled by 'std'", "pool: std"),
    (LEAST.replace("msp", "odin"), r"scores\[1\] is 'odin', which reads the view 'odin'", r"views: \[odin\]"),
    (LEAST.replace("msp", "odin") + "views: [odin, 'odin:eps=0.1']\n", "there are several views 'odin'", "say which"),
    (LEAST + "views: [odin:epz=1]\n", r"views\[1\]: the view 'odin' has no parameter 'epz'", "eps"),
    (LEAST + "view_layers: all\n", "view_layers is of changed images, and there are none", r"views: \[fgsm\]"),
    (LEAST + "views: [nac]\nview_layers: all\n", "view_layers takes layers of the changed images, and of", "odin"),
    (LEAST + "views: [fgsm]\nview_layers: every:0\n", "view_layers: 'every:0' does not say which", None),
    (LEAST + "layers: every:0\n", "layers: 'every:0' does not say which layers", None),
    (LEAST + "pool: cls\n", "pool says how layers are pooled, and the study extracts none", "layers: all"),
    (LEAST + "score: {layers: true}\n", "score.layers is true, and the study extracts no layers", "layers: all"),
    (LEAST + "layers: all\nextract: {compile: true}\n", "extract.compile is true, and a compiled network", None),
    (LEAST + "text_head: true\n", "text_head needs a model of open_clip", None),
    (LEAST + "probe: {name: own}\n", "probe.name is 'own', which is taken", None),
    (
        "models: [digits_mim]\nbenchmarks: [digits, imagenet]\nprobe: true\n",
        "probe does not say on which ID train",
        "digits, imagenet",
    ),
    # outputs
    (LEAST + "tables: [{file: a.md}, {file: ./a.md}]\n", "the study writes the file 'a.md' twice", None),
    (LEAST + "tables: [{file: a.md}, {file: A.md}]\n", "the study cannot write both 'a.md' and 'A.md'", None),
    (LEAST + "tables: [{file: a.md/b.md}, {file: a.md}]\n", "cannot write both 'a.md/b.md' and 'a.md'", None),
    (LEAST + "tables: [{file: resolved.json}]\n", r"tables\[1\].file is 'resolved.json', and should be", "own files"),
    (LEAST + "ranks: [{file: ./Environment.json}]\n", r"ranks\[1\].file is './Environment.json', and should", None),
    (
        LEAST + "tables: [{file: a.md, head: ow}]\n",
        "there is no head of this study 'ow'",
        "known heads of this study: own",
    ),
    (LEAST + "tables: [{file: a.md, ood: x}]\n", "ood is no key", None),
    (LEAST + "plots: [{file: a.png, ood: x}]\n", "there is no OOD dataset of this study", "known OOD datasets of this"),
    (LEAST + "tables: [{file: a.md, group: x}]\n", "there is no OOD group 'x'", "known OOD groups: "),
    # options of score that are none of a study
    (LEAST + "score: {tune: true}\n", "score.tune is no key of a study", "moodbench score --tune"),
    (LEAST + "label_noise: 0.1\n", "label_noise is no key of a study", "moodbench score --label-noise"),
    (
        LEAST + "tables: [{file: ../a.md}]\n",
        r"tables\[1\].file is '../a.md', and should be the name of a file in",
        None,
    ),
    (LEAST + "tables: [{file: a.doc}]\n", r"tables\[1\]: the name 'a.doc' says no table format", None),
    (LEAST + "tables: [{file: a.md, metric: [aurok]}]\n", r"tables\[1\]: there is no metric 'aurok'", "auroc"),
    (LEAST + "tables: [{file: a.md, layout: grid, rows: dataset}]\n", r"tables\[1\]: the layout 'grid'", None),
    (LEAST + "tables: [{file: a.md, score: [vim]}]\n", "there is no score of this study 'vim'", "msp"),
    (LEAST + "tables: [{file: a.md, layout: depth}]\n", "asks for the layout 'depth', and scores no layers", None),
    (LEAST + "plots: [{kind: gird, file: a.png}]\n", r"plots\[1\]: there is no plot 'gird'. Did you mean 'grid'", None),
    (LEAST + "plots: [{file: a.gif}]\n", r"plots\[1\]: a plot cannot be written as 'a.gif'", None),
    (LEAST + "plots: [{kind: sweep, file: a.png}]\n", "sweeps no parameter", "parameters:"),
    (LEAST + "report: {file: a.pdf}\n", "report.file is 'a.pdf', and the report is HTML", None),
]


@pytest.mark.parametrize(("text", "what", "fix"), WRONG)
def test_one_message_says_what_is_wrong_and_where(text, what, fix):
    with pytest.raises(UsageError, match=what) as caught:
        steps(text)
    assert caught.value.file == FILE
    assert caught.value.exit_code == 2
    assert fix is None or re.search(fix, caught.value.fix)


def test_a_study_that_is_not_there(tmp_path):
    for file, what in ((tmp_path / "no.yaml", "does not exist"), (tmp_path, "this is a folder")):
        with pytest.raises(UsageError, match=what):
            read_study(file)


@pytest.mark.parametrize("name", examples())
def test_examples_make_sense(name):
    known = know(read_study(example_file(name)), Workspace())
    assert len(steps_of(known)) > 10
    assert not known.study["title"].startswith(" ")


def test_the_example_of_the_docs_makes_sense_and_names_every_key(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(# study.yaml.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(steps(example, tmp_path)) > 10

    def keys(kind):
        yield from kind.known
        for key in kind.known.values():
            inner = [key.kind, getattr(key.kind, "of", None), getattr(key.kind, "long", None)]
            inner += [getattr(one, "long", None) for one in inner]
            for one in inner:
                if isinstance(one, Keys):
                    yield from keys(one)

    assert [name for name in dict.fromkeys(keys(STUDY)) if f"{name}" not in text] == []


def test_the_schema_knows_the_same_keys():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["properties"]) == set(STUDY.known)
    assert schema["required"] == ["models", "benchmarks"]
    assert schema["properties"]["tables"]["items"]["properties"]["layout"]["enum"][0] == "grid"
    assert all(one["description"] for one in schema["properties"].values())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab:1", max_size=4) | st.floats(0, 2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STUDY.known, "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*STUDY.known, "a"]), VALUES, max_size=5))
def test_whatever_a_file_says_is_read_or_refused(said):
    text = yaml.safe_dump({"models": ["digits_mim"], "benchmarks": ["digits"], **said})
    refused = None
    try:
        study = parse_study(text, FILE)
    except MoodbenchError as error:
        refused = error
    if refused is None:
        assert set(study.said) == set(STUDY.known)
    else:
        assert refused.file == FILE
        assert "\n" not in refused.what


def test_places_are_counted_from_one():
    assert Place(FILE).key("models").item(0).key("image").path == "models[1].image"
