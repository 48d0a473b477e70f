"""README as a reader follows it, and every command that README or docs name: each is one that there is.

Blocks of docs/ are run in test_docs_blocks.py.
"""

from __future__ import annotations

import pickle
import re
import shlex
import subprocess

import numpy as np
import pytest
import timm
import typer
from PIL import Image
from safetensors.torch import save_file

from moodbench.cli import app
from tests.blocks import PAGES, ROOT, blocks, environment
from tests.commands import read

SET_UP, OWN_DATA, FIELD, COLUMNS = (block.text for block in blocks(ROOT / "README.md", "sh"))


# -- commands in the middle of a sentence ----------------------------------------------------------------------------


def commands(page):
    """Yield the commands that a page names or shows, as words; of ``list models|datasets`` the one and the other."""
    text = page.read_text(encoding="utf-8")
    spans = re.findall(r"`(moodbench [^`\n]+)`", text)
    examples = re.findall(r"Example: (moodbench .*?)\n\s*\n", text, re.DOTALL)
    shown = "\n".join(block.text for block in blocks(page, "bash", "sh"))
    for span in [*spans, *examples, *re.findall(r"^moodbench .*", shown, re.MULTILINE)]:
        words = shlex.split(span.replace("\\|", "|"), comments=True)[1:]
        for last in words[-1].split("|"):
            yield *words[:-1], last


NAMED = sorted({words for page in PAGES for words in commands(page)})


@pytest.mark.parametrize("words", NAMED, ids=" ".join)
def test_every_command_is_one_that_there_is(words):
    command, rest = typer.main.get_command(app), list(words)
    while rest and hasattr(command, "commands") and rest[0].islower() and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands
        command = command.commands[name]
    if rest and rest[-1] != "--help":
        command.make_context(" ".join(words), rest)  # raises what the command line would print


def test_the_pages_were_read():
    assert len(NAMED) > 30
    assert ("score", "--all", "--scores-from", "my_scores.py") in NAMED
    assert ("list", "benchmarks") in NAMED


# -- blocks ----------------------------------------------------------------------------------------------------------


def paint(file, rng, hue):
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.normal(hue, 40, (48, 48, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub cache that holds the weights that the README names; they are random, the file is as the hub has it."""
    cache = tmp_path_factory.mktemp("hub")
    folder = cache / "models--timm--resnet18.a1_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    network = timm.create_model("resnet18.a1_in1k", pretrained=False)
    save_file(network.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
    return cache


@pytest.fixture(scope="module")
def shell(tmp_path_factory, hub):
    """Run lines in an empty folder where ``moodbench`` is a command, without any network."""
    home = tmp_path_factory.mktemp("reader")
    work = home / "work"
    work.mkdir()
    variables = environment(home, HF_HUB_CACHE=str(hub))

    def run(lines, **more):
        return subprocess.run(
            ["bash", "-e", "-u", "-c", lines], cwd=work, env=variables | more, capture_output=True, text=True
        )

    run.work = work
    return run


@pytest.fixture(scope="module")
def own_data(shell):
    """The folder after the block on a reader's own data, and how the block ended."""
    rng = np.random.default_rng(0)
    for kind, count in (("train", 12), ("test", 6)):
        for c, hue in (("cats", 60), ("dogs", 190)):
            for i in range(count):
                paint(shell.work / "photos" / kind / c / f"{i}.png", rng, hue)
    for i in range(6):
        paint(shell.work / "street" / f"{i}.png", rng, 125)
    features = rng.normal(size=(24, 16)).astype(np.float32)
    np.savez(shell.work / "train.npz", features=features, labels=np.repeat([0, 1], 12))
    weight, bias = rng.normal(size=(2, 16)).astype(np.float32), np.zeros(2, np.float32)
    (shell.work / "fc.pkl").write_bytes(pickle.dumps([weight, bias]))
    return shell(OWN_DATA)


def test_set_up_names_targets_of_make():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"^make ([a-z-]+)", SET_UP, re.MULTILINE)
    assert named == ["demo", "test"]
    assert set(named) <= set(targets)
    assert "VENV := $(if $(filter python3,$(PYTHON)),.venv," in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert ". .venv/bin/activate" in SET_UP


def test_own_data(own_data, shell):
    assert own_data.returncode == 0, own_data.stderr
    assert "Traceback" not in own_data.stderr
    results = shell.work / "results" / "ours"
    assert (results / "timm-resnet18.a1_in1k.csv").exists()
    assert "\\begin{tabular}" in own_data.stdout
    assert list(shell.work.rglob("*.png"))


def test_columns(own_data, shell):
    """The same lines about the reader's own data, which the environment names."""
    done = shell(COLUMNS, MOODBENCH_CATALOG="ours.yaml")
    assert done.returncode == 0, done.stderr
    assert (shell.work / "results" / "ours" / "timm-resnet18.a1_in1k+probe.csv").exists()


LINES = [line for line in FIELD.splitlines() if line.startswith("moodbench")]


@pytest.mark.parametrize("line", LINES)
def test_lines_on_the_field_s_data(shell, line, tmp_path):
    """Without a network and without its data each does its work, or says what it lacks and how to get it."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    done = shell(line.replace("~/downloads", shlex.quote(str(downloads))), MOODBENCH_DATA=str(tmp_path / "data"))
    assert "Traceback" not in done.stderr
    assert "Usage:" not in done.stderr
    if "--dry-run" in line:
        assert done.returncode == 0
        assert "imagenet_val" in done.stdout
    elif line.split()[1] in ("download", "verify", "extract"):
        assert done.returncode == 1
        assert re.search(r"fix: |run  moodbench download", done.stdout + done.stderr)


def test_what_the_demo_says_to_try_next(shell):
    """Every line as it is printed, in a folder with a blank in its name; the demo's numbers are those of the README."""
    done = shell("moodbench demo --out 'my demo'")
    assert done.returncode == 0, done.stderr
    for file in sorted((ROOT / "results" / "digits").glob("*.csv")):
        ours, theirs = read(shell.work / "my demo" / "results" / "digits" / file.name), read(file)
        assert [row["score"] for row in ours] == [row["score"] for row in theirs]
        # last digits of float32 features are the processor's; a pair of rows that changes places moves AUROC by 1e-5
        assert [float(row["auroc"]) for row in ours] == pytest.approx([float(row["auroc"]) for row in theirs], abs=1e-3)
    _, _, said = done.stdout.partition("Try next\n")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    assert [line.split()[1] for line in lines] == ["rank", "detect", "table", "score", "list", "extract"]
    images = shell.work / "FOLDER"
    paint(images / "0.png", np.random.default_rng(0), 100)
    for line in lines:
        done = shell(line)
        assert done.returncode == 0, (line, done.stderr)
    assert (shell.work / "cache" / "timm-resnet18.a1_in1k" / "my_images.h5").exists()
