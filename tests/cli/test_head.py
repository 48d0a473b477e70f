"""`moodbench head`: zero-shot heads of a small network of open_clip, and heads of other programs."""

from __future__ import annotations

import h5py
import numpy as np
import open_clip
import pytest
import torch

import moodbench
from moodbench.features.heads import head_notes, head_provenance, stored_head
from moodbench.features.reader import RowReader
from moodbench.texts.noise import noise_images
from moodbench.workspace import ModelName, Workspace
from tests import clips
from tests.commands import call, read

MODEL = f"clip:{clips.ARCHITECTURE}"
FOLDER = f"cache/clip-{clips.ARCHITECTURE}"


@pytest.fixture
def extracted(home):
    clips.known_to_open_clip(home)
    clips.checkpoint(home / "tiny.pt")
    done = call("extract", "--model", MODEL, "--checkpoint", "tiny.pt", "--benchmark", "tiny")
    assert done.exit_code == 0, done.stderr
    return home


def text(*args):
    return call("head", "text", "--model", MODEL, "--benchmark", "tiny", *args)


def their_logits(features, prompts):
    """Return the logits of open_clip's own zero-shot classifier."""
    network, tokenizer = clips.network(), open_clip.get_tokenizer(clips.ARCHITECTURE)
    weights = open_clip.build_zero_shot_classifier(network, tokenizer, ["amber", "blue", "green"], prompts)
    return (network.logit_scale.exp() * torch.from_numpy(features) @ weights).detach().numpy()


@pytest.mark.parametrize("prompts", ["imagenet80", "a photo of a {}"])
def test_the_head_is_open_clips_zero_shot_classifier(extracted, prompts):
    done = text("--checkpoint", "tiny.pt", "--prompts", prompts)
    assert done.exit_code == 0, done.stderr
    assert f"made the head 'zeroshot' of {MODEL}: 3 classes" in done.stderr
    file = extracted / FOLDER / "heads" / "zeroshot.h5"
    head = stored_head(file)
    assert head.class_names == ("amber", "blue", "green")
    assert np.linalg.norm(head.weight, axis=1) == pytest.approx([np.exp(3.9)] * 3, rel=1e-5)
    features = next(RowReader(extracted / FOLDER / "tiny_test.h5").blocks(99)).features
    theirs = their_logits(features, open_clip.OPENAI_IMAGENET_TEMPLATES if prompts == "imagenet80" else [prompts])
    assert features @ head.weight.T + head.bias == pytest.approx(theirs, abs=1e-4)
    assert head_provenance(file)["source"] == "text"
    assert head_notes(file)["words"] == ("amber", "blue", "green")
    assert len(head_notes(file)["prompts"]) == (80 if prompts == "imagenet80" else 1)


def test_scores_read_it_and_accuracy_is_zero_shot(extracted):
    assert text("--checkpoint", "tiny.pt").exit_code == 0
    done = call("score", "--model", MODEL, "--head", "zeroshot", "--score", "mcm", "--score", "msp")
    assert done.exit_code == 0, done.stderr
    reader = RowReader(extracted / FOLDER / "tiny_test.h5")
    logits = their_logits(next(reader.blocks(99)).features, ["a photo of a {}"])
    accuracy = 100 * float((logits.argmax(axis=1) == reader.labels).mean())
    assert f"ID accuracy {accuracy:.2f} %" in done.stderr
    rows = read(extracted / "results" / "tiny" / f"clip-{clips.ARCHITECTURE}+zeroshot.csv")
    assert {row["model"] for row in rows} == {f"{MODEL}+zeroshot"}
    assert "MCM" in call("table").stdout
    with h5py.File(extracted / FOLDER / "scores" / "tiny+zeroshot.h5") as h5:
        kept = h5["tiny_test/scores/mcm"][()]
    theirs = torch.softmax(torch.from_numpy(logits / np.exp(3.9)).double(), dim=1).amax(dim=1).numpy()
    assert kept == pytest.approx(theirs, abs=1e-6)


def test_the_same_again_other_prompts_and_force(extracted):
    assert text("--checkpoint", "tiny.pt").exit_code == 0
    file = extracted / FOLDER / "heads" / "zeroshot.h5"
    before = file.read_bytes()
    again = text("--checkpoint", "tiny.pt")
    assert again.exit_code == 0
    assert f"skip the head 'zeroshot' of {MODEL}: it is there" in again.stderr
    other = text("--checkpoint", "tiny.pt", "--prompts", "the {}")
    assert other.exit_code == 1
    assert "another head 'zeroshot', made from other prompts" in " ".join(other.stderr.split())
    assert file.read_bytes() == before
    assert text("--checkpoint", "tiny.pt", "--prompts", "the {}", "--force").exit_code == 0
    assert file.read_bytes() != before
    assert text("--checkpoint", "tiny.pt", "--force").exit_code == 0
    assert file.read_bytes() == before


def test_texts_of_other_weights_are_refused(extracted):
    clips.checkpoint(extracted / "other.pt", seed=1)
    done = text("--checkpoint", "other.pt")
    assert done.exit_code == 1
    assert "are of other weights" in done.stderr
    assert not (extracted / FOLDER / "heads").exists()
    # and where the features are made anew, the head that was there is
    assert text("--checkpoint", "tiny.pt").exit_code == 0
    assert call("cache", "remove", "--model", MODEL, "--yes").exit_code == 0
    again = call("extract", "--model", MODEL, "--checkpoint", "other.pt", "--benchmark", "tiny")
    assert again.exit_code == 0, again.stderr
    scored = call("score", "--model", MODEL, "--head", "zeroshot", "--score", "mcm")
    assert "was made with other weights" in " ".join(scored.stderr.split())


def test_words_of_a_file(extracted):
    (extracted / "names.txt").write_text("amber\tfossil resin\nblue\tsky\ngreen\tmeadow\n")
    done = text("--checkpoint", "tiny.pt", "--class-names", "names.txt", "--name", "worded")
    assert done.exit_code == 0, done.stderr
    file = extracted / FOLDER / "heads" / "worded.h5"
    assert head_notes(file)["words"] == ("fossil resin", "sky", "meadow")
    assert stored_head(file).class_names == ("amber", "blue", "green")


@pytest.fixture
def words(extracted):
    """Two lists of words, one with a prompt of its own."""
    (extracted / "nouns.txt").write_text("".join(f"noun{i}\n" for i in range(40)) + "Blue\n")
    (extracted / "adjectives.txt").write_text("This is a {} photo\n" + "".join(f"adj{i}\n" for i in range(10)))
    return ["--negatives", "nouns.txt", "--negatives", "adjectives.txt", "--negative-share", "0.5"]


def test_negatives_come_with_the_head_and_are_no_classes(extracted, words):
    done = text("--checkpoint", "tiny.pt", *words)
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "nouns.txt: left out 1 word ('Blue'), which is an ID class" in said
    assert "nouns.txt: kept 20 of 40 words" in said
    assert "adjectives.txt: kept 5 of 10 words" in said
    assert "3 classes, 1 prompt, 25 negatives" in said
    file = extracted / FOLDER / "heads" / "zeroshot.h5"
    head = stored_head(file)
    assert (head.classes, head.texts["negatives"].shape) == (3, (25, 24))
    names = head_notes(file)["negatives"]
    assert len(names) == 25
    network, tokenizer = clips.network(), open_clip.get_tokenizer(clips.ARCHITECTURE)
    said = [f"a photo of a {names[0]}", f"This is a {names[-1]} photo"]
    with torch.no_grad():
        theirs = np.exp(3.9) * network.encode_text(tokenizer(said), normalize=True).numpy()
    assert head.texts["negatives"][[0, -1]] == pytest.approx(theirs, abs=1e-4)
    with torch.no_grad():
        size = network.visual.image_size
        theirs = network.encode_image(torch.from_numpy(noise_images(*size)), normalize=True).numpy()
    assert head.texts["noise"] == pytest.approx(theirs, abs=1e-5)


def test_neglabel_reads_them_and_a_detector_keeps_them(extracted, words, pictures):
    assert text("--checkpoint", "tiny.pt", *words).exit_code == 0
    assert text("--checkpoint", "tiny.pt", "--name", "plain").exit_code == 0
    some = ["--score", "neglabel", "--score", "mcm"]
    done = call("score", "--model", MODEL, "--head", "zeroshot", *some)
    assert done.exit_code == 0, done.stderr
    assert "2 scores, ID accuracy" in done.stderr
    done = call("score", "--model", MODEL, "--head", "plain", *some)
    assert "left empty: neglabel (no negative labels with the head)" in " ".join(done.stderr.split())
    detector = moodbench.Detector.load(
        model=MODEL,
        score="neglabel",
        benchmark="tiny",
        head="zeroshot",
        checkpoint="tiny.pt",
        workspace=Workspace(
            extracted / "data", extracted / "cache", extracted / "results", (extracted / "catalog.yaml",)
        ),
    )
    with h5py.File(extracted / FOLDER / "scores" / "tiny+zeroshot.h5") as h5:
        kept = h5["tiny_test/scores/neglabel"][()]
    assert np.ptp(kept) > 0
    ids = RowReader(extracted / FOLDER / "tiny_test.h5").ids
    found = detector([pictures / "test" / one for one in ids], neighbours=0)
    assert [one.value for one in found] == pytest.approx(kept, rel=1e-5)


def test_tanl_begins_with_noise_images_and_says_where_they_come_from(extracted, words):
    assert text("--checkpoint", "tiny.pt", *words[:-1], "1", "--name", "corpus").exit_code == 0
    done = call("score", "--model", MODEL, "--head", "corpus", "--score", "tanl", "--param", "tanl.temperature=0.1")
    assert done.exit_code == 0, done.stderr
    rows = read(extracted / "results" / "tiny" / f"clip-{clips.ARCHITECTURE}+corpus.csv")
    assert {row["score"] for row in rows} == {"tanl"}
    assert all(0 <= float(row["auroc"]) <= 100 for row in rows)
    assert all("50 negatives, which are all labels" in row["note"] for row in rows)
    head = stored_head(extracted / FOLDER / "heads" / "corpus.h5")
    np.savez(extracted / "bare.npz", weight=head.weight, bias=head.bias, negatives=head.texts["negatives"])
    assert call("head", "import", "--model", MODEL, "--name", "bare", "bare.npz").exit_code == 0
    done = call("score", "--model", MODEL, "--head", "bare", "--score", "tanl", "--score", "neglabel")
    said = "left empty: tanl (no noise images with the head (moodbench head text with --negatives makes them))"
    assert said in " ".join(done.stderr.split())


def test_other_negatives_are_another_head(extracted, words):
    assert text("--checkpoint", "tiny.pt", *words).exit_code == 0
    assert "it is there" in text("--checkpoint", "tiny.pt", *words).stderr
    other = text("--checkpoint", "tiny.pt", *words[:-1], "0.4")
    assert other.exit_code == 1
    assert "made from other mining" in " ".join(other.stderr.split())
    assert "made from other negatives" in " ".join(text("--checkpoint", "tiny.pt", *words[2:]).stderr.split())
    for args, said in ((["--negative-share", "1.5"], "1.5 is no share"), (["--negatives", "gone.txt"], "gone.txt")):
        done = text("--checkpoint", "tiny.pt", "--name", "other", *args)
        assert done.exit_code == 2
        assert said in done.stderr
    assert not (extracted / FOLDER / "heads" / "other.h5").exists()


def test_clipn_reads_a_second_head_that_is_imported(extracted):
    rng = np.random.default_rng(0)
    arrays = {"weight": rng.normal(size=(3, 24)), "bias": np.zeros(3), "classes": np.array(["amber", "blue", "green"])}
    np.savez(extracted / "clipn.npz", **arrays, negated=rng.normal(size=(3, 24)))
    assert call("head", "import", "--model", MODEL, "--name", "clipn", "clipn.npz").exit_code == 0
    done = call("score", "--model", MODEL, "--head", "clipn", "--score", "clipn", "--score", "clipn_ctw")
    assert "2 scores, ID accuracy" in done.stderr
    np.savez(extracted / "odd.npz", **arrays, negated=rng.normal(size=(4, 24)))
    done = call("head", "import", "--model", MODEL, "--name", "odd", "odd.npz")
    assert done.exit_code == 1
    assert "the head has 3 classes, and 4 of them negated" in " ".join(done.stderr.split())
    np.savez(extracted / "odd.npz", **arrays, negatives=rng.normal(size=(4, 23)))
    done = call("head", "import", "--model", MODEL, "--name", "odd", "odd.npz")
    assert "'negatives' should be numbers (M, 24)" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--prompts", "cat"], 2, "has no {} for the name of a class and is no file"),
        (["--name", "a/b"], 2, "cannot name a head"),
        (["--negative-share", "0.5"], 2, "--negative-share 0.5 is of lists of negatives, and there is none"),
        ([], 1, "says no weights"),
        (["--checkpoint", "gone.pt"], 1, "gone.pt"),
        (["--checkpoint", "tiny.pt", "--class-names", "gone.txt"], 2, "gone.txt"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(extracted, args, code, said):
    done = text(*args)
    assert done.exit_code == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert not (extracted / FOLDER / "heads").exists()


def test_models_that_have_no_text_tower_or_no_cache(scored):
    done = call("head", "text", "--model", "tiny", "--benchmark", "tiny")
    assert done.exit_code == 1
    assert "'tiny' has no text tower" in done.stderr
    done = call("head", "text", "--model", "clip_b16", "--benchmark", "tiny")
    assert done.exit_code == 2
    assert "clip_b16" in done.stderr


def test_heads_of_other_programs(scored):
    dim = RowReader(scored / "cache" / "tiny" / "tiny_train.h5").dim
    rng = np.random.default_rng(0)
    arrays = {"weight": rng.normal(size=(3, dim)), "bias": np.zeros(3), "classes": np.array(["amber", "blue", "green"])}
    np.savez(scored / "learned.npz", **arrays)
    done = call("head", "import", "--model", "tiny", "--name", "learned", "learned.npz")
    assert done.exit_code == 0, done.stderr
    space = Workspace(scored / "data", scored / "cache", scored / "results")
    head = stored_head(space.head_file(ModelName.parse("tiny+learned")))
    assert head.weight == pytest.approx(arrays["weight"], rel=1e-6)
    assert "it is there" in call("head", "import", "--model", "tiny", "--name", "learned", "learned.npz").stderr
    assert call("score", "--model", "tiny", "--head", "learned", "--score", "mcm").exit_code == 0
    np.savez(scored / "wide.npz", weight=np.ones((3, dim + 1)), bias=np.zeros(3))
    done = call("head", "import", "--model", "tiny", "--name", "wide", "wide.npz")
    assert done.exit_code == 1
    assert f"expects features {dim + 1} wide" in " ".join(done.stderr.split())
    assert not space.head_file(ModelName.parse("tiny+wide")).exists()
    np.savez(scored / "twice.npz", **arrays | {"classes": np.array(["amber", "blue", "amber"])})
    done = call("head", "import", "--model", "tiny", "--name", "twice", "twice.npz")
    assert done.exit_code == 1
    assert "'classes' has 'amber' twice" in " ".join(done.stderr.split())
    assert done.stderr.count("  file: ") == 1
    assert not space.head_file(ModelName.parse("tiny+twice")).exists()


def test_from_python(extracted):
    space = Workspace(extracted / "data", extracted / "cache", extracted / "results", (extracted / "catalog.yaml",))
    made = moodbench.text_head(MODEL, benchmark="tiny", checkpoint="tiny.pt", workspace=space)
    assert (made.classes, made.dim, made.words, made.already) == (3, 24, ("amber", "blue", "green"), False)
    assert made.file.is_file()
