"""A small network of open_clip: an architecture that the tests add to its list, and checkpoints of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moodbench.models.clip.library import open_clip as imported

ARCHITECTURE = "moodbench-tiny"
PATCH = 8

imported()  # before a test begins: it is no test's doing what importing it changes

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": PATCH},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def known_to_open_clip(folder: Path) -> None:
    """Add the architecture to open_clip's list."""
    import open_clip

    file = folder / f"{ARCHITECTURE}.json"
    file.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(file)


def network(seed: int = 0, **changes: Any) -> Any:
    """Return the network with weights of chance, and with them others than those that all networks begin with."""
    import open_clip
    import torch

    from moodbench.models.clip.library import quiet

    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        made = open_clip.create_model(ARCHITECTURE, **changes)
        with torch.no_grad():
            made.logit_scale.fill_(3.9)
            for name, weight in made.named_parameters():
                if name.endswith("bias"):
                    weight.normal_(std=0.1)
    return made.eval()


def checkpoint(file: Path, seed: int = 0) -> Path:
    """Save the weights of such a network, as training scripts do."""
    import torch

    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in network(seed).state_dict().items()}}, file)
    return file
