"""A tiny benchmark on disk: three folders of generated pictures, a network with random weights, a catalogue.

Tests run in another order each time; the seed stands in the last lines, and ``--randomly-seed=SEED`` repeats it. No
test may depend on what another left behind: what a process shares is compared before and after each one.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, settings
from PIL import Image

from moodbench.before_torch import set_switches

THREADS = int(os.environ.get("MOODBENCH_TEST_THREADS", "1"))
"""Of torch. Networks and matrices here are small: a pool costs more than it gives, above all on busy machines."""

torch.set_num_threads(THREADS)
set_switches()  # as the first extraction of a process would, for it and its children

# How long an example or making one takes depends on what else the machine does
settings.register_profile("moodbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("moodbench")

OF_OTHERS = {"PYTEST_CURRENT_TEST", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"}
"""Environment variables that pytest sets, and scikit-learn and torch's compiler when they are imported first."""

ARGS = {"img_size": 32, "num_classes": 3}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how to repeat this order: the header that says it is not shown by ``-q``."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"in random order: --randomly-seed={seed}")


@pytest.fixture(autouse=True)
def at_a_terminal() -> Iterator[None]:
    """Let signals do what they do at a terminal: nohup ignores SIGHUP, a shell's ``&`` ignores SIGINT, for good."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Begin each test with the same random numbers of torch, no host met before; compare what tests share.

    Ports are given anew by the system: a host and port that an earlier test's server answered on may be one where
    nobody listens now.
    """
    from moodbench.transfer import contact

    torch.manual_seed(0)
    contact._reached.clear()
    before = shared_state()
    yield
    after = shared_state()
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    assert not names, "left behind: " + "; ".join(f"{n}: {before.get(n)!r} -> {after.get(n)!r}" for n in names)


def shared_state() -> dict[str, Any]:
    """Return what a test can change for all that come after it in the same process."""
    return {
        "current folder": str(Path.cwd()),
        **{f"environment variable {k}": v for k, v in os.environ.items() if k not in OF_OTHERS},
        "sys.path": list(sys.path),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "threads of torch": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "errors of numpy": np.geterr(),
    }


@pytest.fixture
def nowhere() -> Iterator[int]:
    """A port on 127.0.0.1 where nobody listens, and nobody can begin to: it stays taken while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Folders train (3 classes), test (3 classes) and ood (flat) of small PNG files."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    colours = {"amber": (220, 160, 40), "blue": (40, 60, 220), "green": (40, 200, 60)}
    for split, count in (("train", 14), ("test", 7)):
        for name, colour in colours.items():
            for i in range(count):
                save(root / split / name / f"{i:02}.png", colour, rng)
    for i in range(11):
        save(root / "ood" / f"{i:02}.png", (128, 128, 128), rng, spread=90)
    return root


def save(file: Path, colour: tuple[int, int, int], rng: np.random.Generator, spread: float = 20) -> None:
    """Write one noisy picture of a colour."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.array(colour) + rng.normal(0, spread, (24, 20, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights of timm's test_vit at 32 px with three classes."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_vit", **ARGS)
    torch.nn.init.normal_(network.get_classifier().weight, std=0.3)
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.fixture
def catalog(tmp_path, pictures, checkpoint) -> Path:
    """A catalogue file with the benchmark `tiny` and the model `tiny`."""
    file = tmp_path / "catalog.yaml"
    content = {
        "datasets": {
            f"tiny_{split}": {"title": f"Tiny {split}", "path": str(pictures / split)}
            for split in ("train", "test", "ood")
        },
        "benchmarks": {
            "tiny": {"id_train": "tiny_train", "id_test": "tiny_test", "ood": {"far": ["tiny_ood"], "near": []}}
        },
        "models": {
            "tiny": {
                "title": "Tiny ViT",
                "pretext": "classification",
                "timm": "test_vit",
                "args": ARGS,
                "checkpoint": str(checkpoint),
            }
        },
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.fixture
def space(tmp_path, catalog):
    """A workspace in an empty folder that knows the tiny benchmark."""
    from moodbench.workspace import Workspace

    return Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (catalog,))
