"""The pretraining program, and the checkpoints it left in moodbench/checkpoints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torchvision import transforms

import moodbench
from moodbench.datasets.digits import BUNDLED
from moodbench.pretraining.__main__ import main
from moodbench.pretraining.augment import MILD, STRONG, Strength, view
from moodbench.pretraining.joint_embedding import balanced_assignment
from moodbench.pretraining.network import (
    MODEL_KWARGS,
    MODEL_NAME,
    create_network,
    embed,
    encode,
    patchify,
    pooled,
    positions,
    preprocess,
)
from moodbench.pretraining.report import Record, checkpoint_path, read_records, save_checkpoint, write_readme
from moodbench.pretraining.train import TASKS, accuracy, features, fit_head, pretrain

CHECKPOINTS = Path(moodbench.__path__[0]) / "checkpoints"
SELF_SUPERVISED = sorted(set(TASKS) - {"classification"})
LabelledRows = tuple[Tensor, Tensor]


def _labelled(name: str) -> LabelledRows:
    bundled = BUNDLED[name]()
    return preprocess(bundled.images), torch.from_numpy(bundled.labels)


@pytest.fixture(scope="module")
def train() -> LabelledRows:
    return _labelled("digits_train")


@pytest.fixture(scope="module")
def test() -> LabelledRows:
    return _labelled("digits_test")


@pytest.fixture
def network() -> VisionTransformer:
    torch.manual_seed(0)
    return create_network().eval()


def _shipped(task: str) -> VisionTransformer:
    """Load a shipped checkpoint as a user would: timm and safetensors alone."""
    model = timm.create_model(MODEL_NAME, **MODEL_KWARGS)
    model.load_state_dict(load_file(checkpoint_path(CHECKPOINTS, task)), strict=True)
    assert isinstance(model, VisionTransformer)
    return model.eval()


# --- the shipped checkpoints


@pytest.mark.parametrize("task", TASKS)
def test_shipped_checkpoint_is_what_the_readme_says(task: str, train: LabelledRows, test: LabelledRows) -> None:
    record = read_records(CHECKPOINTS)[f"digits_{task}"]
    assert hashlib.sha256(checkpoint_path(CHECKPOINTS, task).read_bytes()).hexdigest() == record.sha256
    model = _shipped(task)
    assert sum(p.numel() for p in model.parameters()) == record.parameters
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # Two pictures of room: another machine's sums may tip one on the edge.
    assert accuracy(model, *test) == pytest.approx(record.test_accuracy, abs=2.5 / len(test[0]))
    assert accuracy(model, *train) == pytest.approx(record.train_accuracy, abs=2.5 / len(train[0]))
    assert record.test_accuracy >= 0.95


def test_the_folder_holds_what_the_readme_lists() -> None:
    stated = {f"{name}.safetensors" for name in read_records(CHECKPOINTS)}
    assert stated == {f"digits_{task}.safetensors" for task in TASKS}
    assert {path.name for path in CHECKPOINTS.iterdir()} == stated | {"README.md"}


def test_shipped_backbones_differ(test: LabelledRows) -> None:
    found = [features(_shipped(task), test[0][:32]) for task in TASKS]
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            assert np.abs(one - other).max() > 0.1


# --- training


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_falls(task: str, train: LabelledRows) -> None:
    _, losses = pretrain(task, train[0][:32], train[1][:32], epochs=12)
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.97 * np.mean(losses[:3])


@pytest.mark.parametrize("task", SELF_SUPERVISED)
def test_self_supervised_tasks_read_no_label(task: str, train: LabelledRows) -> None:
    images, labels = train[0][:16], train[1][:16]
    garbage = torch.full_like(labels, -12345)
    results = [pretrain(task, images, given, epochs=2) for given in (labels, garbage, None)]
    for network, losses in results[1:]:
        assert losses == results[0][1]
        for name, value in network.state_dict().items():
            assert torch.equal(value, results[0][0].state_dict()[name]), name


def test_classification_reads_the_labels(train: LabelledRows) -> None:
    images, labels = train[0][:16], train[1][:16]
    _, right = pretrain("classification", images, labels, epochs=2)
    _, wrong = pretrain("classification", images, (labels + 1) % 6, epochs=2)
    assert right != wrong
    with pytest.raises(ValueError, match="needs labels"):
        pretrain("classification", images, None, epochs=1)


def test_the_seed_decides_and_the_callers_random_state_stays(train: LabelledRows) -> None:
    images = train[0][:16]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = [pretrain("contrastive", images, None, seed=seed, epochs=2)[1] for seed in (3, 3, 4)]
    assert torch.equal(before, torch.get_rng_state())
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


# --- the head


def test_the_head_is_a_folded_probe_of_an_untouched_backbone(network: VisionTransformer, train: LabelledRows) -> None:
    images, labels = train[0][::4], train[1][::4]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    raw = features(network, images)
    fit_head(network, images, labels)
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("head."))
    logits = raw @ after["head.weight"].numpy().T + after["head.bias"].numpy()
    with torch.no_grad():
        assert np.allclose(network(images).numpy(), logits, atol=1e-3)
    assert accuracy(network, images, labels) == pytest.approx((logits.argmax(1) == labels.numpy()).mean(), abs=0.01)
    assert accuracy(network, images, labels) > 0.6  # a random backbone is still a random projection of the picture


# --- the parts


def test_preprocess_equals_the_usual_torchvision_pipeline() -> None:
    pipeline = transforms.Compose(
        [
            transforms.Resize((32, 32), interpolation=transforms.InterpolationMode.BILINEAR, antialias=True),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    for name in ("digits_test", "digits_photos", "digits_faces"):
        images = BUNDLED[name]().images[:3]
        expected = torch.stack([pipeline(Image.fromarray(image).convert("RGB")) for image in images])
        assert torch.equal(preprocess(images), expected)


def test_encoding_every_patch_is_the_ordinary_forward_pass(network: VisionTransformer, train: LabelledRows) -> None:
    images = train[0][:4]
    with torch.no_grad():
        tokens = encode(network, embed(network, images) + positions(network))
        assert tokens.shape == (4, 64, 80)
        ordinary = network.fc_norm(network.forward_features(images))[:, 1:]
        assert torch.allclose(tokens, ordinary, atol=1e-5)
        assert pooled(network, images).shape == (4, 80)


def test_patchify_cuts_rows_of_patches() -> None:
    image = torch.arange(32 * 32, dtype=torch.float32).reshape(1, 1, 32, 32).expand(1, 3, 32, 32)
    patches = patchify(image)
    assert patches.shape == (1, 64, 16)
    assert torch.equal(patches[0, 9].reshape(4, 4), image[0, 0, 4:8, 4:8])


@pytest.mark.parametrize("strength", [MILD, STRONG])
def test_a_view_stays_in_range_and_repeats_with_its_generator(strength: Strength, train: LabelledRows) -> None:
    images = train[0][:32]
    one, two = (view(images, strength, torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.shape == images.shape
    assert torch.equal(one, two)
    assert one.min() >= -1.0
    assert one.max() <= 1.0
    assert not torch.equal(one, images)
    assert torch.equal(one[:, 0], one[:, 2])  # still grey


def test_a_view_of_no_strength_is_the_picture(train: LabelledRows) -> None:
    nothing = Strength(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert torch.allclose(view(train[0][:4], nothing, torch.Generator()), train[0][:4], atol=1e-4)


def test_balanced_assignment_uses_every_column() -> None:
    logits = 5.0 * torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    logits[:, 0] += 20.0  # without balancing, everything would go there
    shares = balanced_assignment(logits, iterations=50)
    assert torch.allclose(shares.sum(dim=1), torch.ones(64), atol=1e-5)
    assert torch.allclose(shares.sum(dim=0), torch.full((8,), 8.0), atol=0.5)


# --- the report


def test_readme_rows_read_back(tmp_path: Path, network: VisionTransformer) -> None:
    assert read_records(tmp_path) == {}
    digest = save_checkpoint(network, checkpoint_path(tmp_path, "mim"))
    assert digest == save_checkpoint(network, checkpoint_path(tmp_path, "contrastive"))
    records = {f"digits_{task}": Record(f"digits_{task}", 321206, 1.0, 0.975, 3.16, 98, digest) for task in TASKS}
    write_readme(tmp_path, records.values(), "python -m moodbench.pretraining")
    assert read_records(tmp_path) == records


def test_the_program_rebuilds_one_task_and_keeps_the_other_rows(
    tmp_path: Path, train: LabelledRows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TASKS["classification"], "epochs", 1)
    monkeypatch.setattr("moodbench.pretraining.__main__._labelled", lambda _: (train[0][:96], train[1][:96]))
    kept = Record("digits_mim", 321206, 1.0, 0.975, 3.16, 98, "0" * 64)
    write_readme(tmp_path, [kept], "an earlier command")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        assert main(["--out", str(tmp_path), "--task", "classification"]) == 0
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
    records = read_records(tmp_path)
    assert records["digits_mim"] == kept
    written = checkpoint_path(tmp_path, "classification").read_bytes()
    assert records["digits_classification"].sha256 == hashlib.sha256(written).hexdigest()
    assert "digits_classification" in capsys.readouterr().out
