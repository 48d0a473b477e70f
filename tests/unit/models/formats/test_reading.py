"""Reading checkpoints: wrappers, files that are none, and fingerprints."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from moodbench.errors import ModelError
from moodbench.models.checkpoint import read_checkpoint, weights_sha256
from moodbench.models.digest import check_sha256

# -- reading ------------------------------------------------------------------------------------------------------


TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(())}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (TENSORS, "x.pth"),
        ({"state_dict": TENSORS, "meta": {"epoch": 3}, "optimizer": {}}, "x.pth, state_dict"),
        ({"model": {f"module.{k}": v for k, v in TENSORS.items()}}, "x.pth, model"),
        ({"module": {f"_orig_mod.module.{k}": v for k, v in TENSORS.items()}}, "x.pth, module"),
        (
            {"model_state_dict": TENSORS, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
            "x.pth, model_state_dict",
        ),
        ({"net": TENSORS, "acc": 71.0, "optim": {"a.weight": torch.ones(2)}}, "x.pth, net"),
        ({"net": TENSORS, "rng": torch.zeros(4, dtype=torch.uint8), "center": torch.ones(1, 4)}, "x.pth, net"),
        ({"net": TENSORS, "dino_loss": {"center": torch.ones(1, 4)}, "prior": {"p": torch.ones(5)}}, "x.pth, net"),
        ({"ema": {f"module.{k}": v for k, v in TENSORS.items()} | {"n_averaged": torch.tensor(5)}}, "x.pth, ema"),
        ({"model": {"state_dict": TENSORS}}, "x.pth, model, state_dict"),
        ({**TENSORS, "epoch": 3}, "x.pth"),
        ({"student": {"z": torch.ones(1)}, "teacher": TENSORS}, "x.pth, teacher"),
    ],
)
def test_wrappers_and_prefixes(tmp_path, content, part):
    torch.save(content, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth")
    assert (found.part, found.architecture) == (part, None)
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[key], TENSORS[key]) for key in TENSORS)


def test_what_the_training_called_its_network(tmp_path):
    torch.save({"arch": "vit_small", "state_dict": TENSORS, "best_acc1": torch.tensor(73.2)}, tmp_path / "x.pth")
    assert read_checkpoint(tmp_path / "x.pth").architecture == "vit_small"
    torch.save({"arch": 3, "state_dict": TENSORS}, tmp_path / "x.pth")
    assert read_checkpoint(tmp_path / "x.pth").architecture is None


def test_logs_that_mmengine_leaves_in_a_file_are_passed_over(tmp_path, monkeypatch):
    """Such files hold objects of a package that need not be installed."""
    package = types.ModuleType("mmengine.logging.history_buffer")
    made = type("HistoryBuffer", (), {"__module__": package.__name__, "__qualname__": "HistoryBuffer"})
    package.HistoryBuffer = made
    buffer = made()
    buffer.__dict__ |= {"_log_history": np.arange(3.0), "_count_history": np.ones(3, np.int64), "last": np.float64(0.5)}
    with monkeypatch.context() as there:
        for name in ("mmengine", "mmengine.logging"):
            there.setitem(sys.modules, name, types.ModuleType(name))
        there.setitem(sys.modules, package.__name__, package)
        content = {"meta": {"epoch": 1}, "state_dict": TENSORS, "message_hub": {"log_scalars": {"loss": buffer}}}
        torch.save(content, tmp_path / "x.pth")
    assert b"HistoryBuffer" in (tmp_path / "x.pth").read_bytes()
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert checkpoint.tensors.keys() == TENSORS.keys()
    assert "mmengine" not in sys.modules


class Running:
    """What a pickle can do to somebody who merely opens it."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.write_text, (self.file, "run"))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"state_dict": TENSORS, "hook": Running(mark)}, tmp_path / "x.pth")
    torch.save(
        {"state_dict": TENSORS, "hook": Running(mark)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False
    )
    (tmp_path / "raw.pth").write_bytes(pickle.dumps({"state_dict": {}, "hook": Running(mark)}))
    for name in ("x.pth", "old.pth", "raw.pth"):
        with pytest.raises(ModelError) as caught:
            read_checkpoint(tmp_path / name)
        assert caught.value.file == tmp_path / name
        assert "weights_only" not in caught.value.what  # torch recommends to run it
        assert "load failed" not in caught.value.what
        assert not mark.exists()
    pickle.loads((tmp_path / "raw.pth").read_bytes())
    assert mark.exists()  # the trap was a real one


def test_safetensors_is_recognised_whatever_its_name(tmp_path):
    for name in ("x.safetensors", "x.bin"):
        save_file(TENSORS, tmp_path / name)
        assert read_checkpoint(tmp_path / name).tensors.keys() == TENSORS.keys()


class Foreign:
    """Something that a training script left in its checkpoint."""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pth", b"", "it is empty"),
        ("x.pth", b"<html>404</html>", "begins with b'<html>404"),
        ("x.pth", b"version https://git-lfs.github.com/spec/v1\n", "begins with b'version https"),
        ("x.safetensors", b"\x10\0\0\0\0\0\0\0{not json", "not a checkpoint"),
        ("x.safetensors", b"", "it is empty"),
        ("x.pth", [1, 2], "holds a list without tensors"),
        ("x.pth", {"epoch": 3}, "holds a dict without tensors"),
        ("x.pth", {"state_dict": TENSORS, "hook": Foreign()}, "Python objects other than tensors.*Foreign"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, name, content, message):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ModelError, match=message) as caught:
        read_checkpoint(file)
    assert caught.value.file == file


def test_truncated_checkpoints(tmp_path):
    torch.save(TENSORS, tmp_path / "x.pth")
    save_file(TENSORS, tmp_path / "x.safetensors")
    for file in (tmp_path / "x.pth", tmp_path / "x.safetensors"):
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(ModelError, match="not a checkpoint that torch or safetensors can read") as caught:
            read_checkpoint(file)
        assert "internal" not in caught.value.what  # torch's advice to its own developers


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        read_checkpoint(tmp_path / "no.pth")
    with pytest.raises(ModelError, match="is a folder"):
        read_checkpoint(tmp_path)


# -- fingerprints -------------------------------------------------------------------------------------------------


def test_check_sha256(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_sha256(file, digest.upper())
    check_sha256(file, digest[:8])
    with pytest.raises(ModelError, match=f"sha256 {digest}, expected {'0' * 64}"):
        check_sha256(file, "0" * 64)


def test_weights_fingerprint_is_that_of_names_types_shapes_and_bits():
    import hashlib

    network = torch.nn.Linear(2, 1)
    digest = weights_sha256(network)
    by_hand = hashlib.sha256()
    for name, shape in (("bias", "(1,)"), ("weight", "(1, 2)")):
        by_hand.update(f"{name}\0float32\0{shape}\0".encode() + network.state_dict()[name].numpy().tobytes())
    assert digest == by_hand.hexdigest()
    with torch.no_grad():
        network.weight[0, 0] = torch.nextafter(network.weight[0, 0], torch.tensor(9.0))
    assert weights_sha256(network) != digest
    assert weights_sha256(torch.nn.BatchNorm1d(2)) == weights_sha256(torch.nn.BatchNorm1d(2))
