"""The census of transformers: does moodbench read features and head of every architecture that classifies pictures?

    make test-models-transformers

Each is built small from its configuration, with weights of chance, saved as its users save it, and opened as
``hf:FOLDER``. What is compared is ``features @ W.T + b`` as it goes into a cache with what transformers' own class
says about the pictures.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "docs" / "model_census_transformers.csv"
TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest logit; the same as when a cache is begun."""

CLASSES = 10

_TOKENS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
_STAGES = {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1]}
_WINDOWS = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
_TEXTS = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
_PAIR = {"vision_config": _TOKENS, "text_config": {**_TEXTS, "vocab_size": 64}}

SMALL: dict[str, dict[str, Any]] = {
    "beit": _TOKENS,
    "bit": {"embedding_size": 16, "num_groups": 8, **_STAGES, "hidden_sizes": [16, 32, 48, 64]},
    "clip": _PAIR,
    "convnext": _STAGES,
    "convnextv2": _STAGES,
    "cvt": {"embed_dim": [16, 24, 32], "depth": [1, 2, 3], "num_heads": [1, 2, 2]},
    "data2vec-vision": _TOKENS,
    "deit": _TOKENS,
    "dinat": {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "dilations": [[1], [1]]},
    "dinov2": _TOKENS,
    "dinov2_with_registers": _TOKENS,
    "donut-swin": _WINDOWS,
    "efficientnet": {"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320},
    "focalnet": {
        "image_size": 64,
        "embed_dim": 16,
        "depths": [1, 1],
        "hidden_sizes": [16, 32],
        "focal_levels": [2, 2],
        "focal_windows": [3, 3],
    },
    "hgnet_v2": {
        "stem_channels": [3, 8, 12],
        "embedding_size": 8,
        "hidden_sizes": [32, 48, 64, 80],
        "depths": [1, 1, 1, 1],
        "stage_in_channels": [12, 32, 48, 64],
        "stage_mid_channels": [8, 8, 8, 8],
        "stage_out_channels": [32, 48, 64, 80],
        "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [2, 2, 2, 2],
    },
    "hiera": {"embed_dim": 16, "image_size": [64, 64], "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]},
    "ijepa": _TOKENS,
    "imagegpt": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "vocab_size": 17},
    "levit": {
        "image_size": 64,
        "hidden_sizes": [16, 24, 32],
        "num_attention_heads": [2, 2, 2],
        "depths": [1, 1, 1],
        "key_dim": [8, 8, 8],
    },
    "metaclip_2": _PAIR,
    "mobilenet_v1": {"depth_multiplier": 0.25, "image_size": 64},
    "mobilenet_v2": {"depth_multiplier": 0.35, "image_size": 64},
    "mobilevit": {
        "image_size": 64,
        "hidden_sizes": [16, 24, 32],
        "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 48],
        "num_attention_heads": 2,
    },
    "mobilevitv2": {"image_size": 64, "width_multiplier": 0.5},
    "perceiver": {
        "num_latents": 8,
        "d_latents": 32,
        "num_blocks": 1,
        "num_self_attends_per_block": 1,
        "num_self_attention_heads": 1,
        "num_cross_attention_heads": 1,
        "image_size": 32,
    },
    "poolformer": _STAGES,
    "pp_lcnet": {"scale": 0.25, "image_size": 64},
    "pvt": {"image_size": 64, **_STAGES, "hidden_sizes": [16, 32, 40, 48]},
    "pvt_v2": {"image_size": 64, **_STAGES, "hidden_sizes": [16, 32, 40, 48], "num_attention_heads": [1, 2, 4, 8]},
    "regnet": {"embedding_size": 16, **_STAGES, "groups_width": 8},
    "resnet": {"embedding_size": 16, **_STAGES},
    "segformer": {**_STAGES, "hidden_sizes": [16, 32, 40, 48], "num_attention_heads": [1, 2, 4, 8]},
    "siglip": _PAIR,
    "siglip2": _PAIR,
    "swiftformer": {"image_size": 64, "depths": [1, 1, 1, 1], "embed_dims": [16, 24, 32, 40]},
    "swin": _WINDOWS,
    "swinv2": _WINDOWS,
    "textnet": {"image_size": 64},
    "timm_wrapper": {"architecture": "test_vit"},
    "vit": _TOKENS,
    "vit_msn": _TOKENS,
}
"""Types of models → what makes them small. Those that are lacking are not examined."""

LEFT_OUT = {"shieldgemma2": "judges pictures by a language model that is asked questions"}
"""Types that transformers files as classifiers of pictures, and why they are not built here."""


@dataclass(frozen=True)
class Row:
    """What was found about one class of networks.

    Attributes
    ----------
    layers : str
        How many hidden states can be read as layers.
    outcome : str
        ``equal``, ``refused`` (by moodbench, with the reason), ``skipped`` (not examined), ``DIFFERS`` or ``FAILED``.
    how : str
        How the classifier reads its features; the reason where it is not read.
    difference : str
        Of the logits, relative to the largest one.
    """

    type: str
    network: str
    features: str
    classes: str
    layers: str
    outcome: str
    how: str
    difference: str = ""


COLUMNS = [field.name for field in fields(Row)]


def kinds() -> list[tuple[str, str]]:
    """Return type and class of every network that transformers files as a classifier of pictures."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as KNOWN

    found = [(kind, (names,) if isinstance(names, str) else names) for kind, names in KNOWN.items()]
    return [(kind, name) for kind, names in found for name in names]


def examine(kind: str, name: str) -> Row:
    """Return what comes out for one class of networks. Never raises."""
    import torch
    import transformers

    from moodbench.errors import ModelError
    from moodbench.models.outside.hf_open import quiet

    if kind not in SMALL:
        return Row(kind, name, "", "", "", "skipped", LEFT_OUT.get(kind, "no small configuration is known here"))
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(), quiet():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            config = transformers.CONFIG_MAPPING[kind](**SMALL[kind], num_labels=CLASSES)
            network = _redrawn(getattr(transformers, name)(config))
            return _compare(kind, name, network)
    except ImportError as error:
        return Row(kind, name, "", "", "", "skipped", f"needs a package: {_line(error)}")
    except ModelError as error:
        what = _line(error).rpartition("hf:")[2].partition("' ")[2] or _line(error)  # without the folder's name
        return Row(kind, name, "", "", "", "refused", what)
    except Exception as error:  # one odd architecture must not end the census
        return Row(kind, name, "", "", "", "FAILED", f"{type(error).__name__}: {_line(error)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())[:160]


def _redrawn(network: Any) -> Any:
    """Draw weights anew: their start values are so small or so simple that a wrong head would agree with them."""
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * (1.5 / weight[0].numel() ** 0.5))
            elif name.endswith("bias"):
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
        for name, values in network.named_buffers():
            if name.endswith("running_mean"):
                values.copy_(torch.randn(values.shape, generator=generator) * 0.1)
            elif name.endswith("running_var"):
                values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    return network.eval()


def _compare(kind: str, name: str, network: Any) -> Row:
    import numpy as np
    import torch
    from PIL import Image
    from transformers import ViTImageProcessor

    from moodbench.catalog import load_catalog
    from moodbench.models.load import load_model

    side = _side(network.config)
    noise = np.random.default_rng(0).integers(0, 256, (2, 80, 90, 3), dtype=np.uint8)
    processor = ViTImageProcessor(size={"height": side, "width": side})
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        processor.save_pretrained(folder)
        backbone = load_model(load_catalog().model(f"hf:{folder}"))
        images = torch.stack([backbone.transform(Image.fromarray(one)) for one in noise])
        features, logits = backbone.forward(images)
    assert backbone.head is not None
    assert logits is not None
    with torch.no_grad():
        said = network(processor(list(map(Image.fromarray, noise)), return_tensors="pt")["pixel_values"])
    own = next(one for one in said.values() if one.ndim == 2).numpy()  # not all call them logits
    product = features.numpy() @ backbone.head.weight.T
    scale = float(np.abs(own).max())
    answers = (own, logits.numpy())
    difference = max(float(np.abs(product + backbone.head.bias - answer).max()) for answer in answers) / scale
    tells = bool(np.abs(product).max() > 1e-2 * scale) and bool(np.isfinite(own).all())
    layers = len(getattr(backbone.network, "feature_info", ()))
    how = backbone.record.get("classifier", "plain")
    outcome = "equal" if difference <= TOLERANCE and tells else "DIFFERS"
    return Row(kind, name, str(features.shape[1]), str(len(own[0])), str(layers), outcome, how, f"{difference:.0e}")


def _side(config: Any) -> int:
    for one in (config, getattr(config, "vision_config", None)):
        size = getattr(one, "image_size", None)
        size = size[0] if isinstance(size, (list, tuple)) else size
        if isinstance(size, int) and size <= 64:
            return size
    return 160 if getattr(config, "architecture", "") == "test_vit" else 64


def versions() -> str:
    """Return the line that heads the table."""
    import torch
    import transformers

    release = torch.__version__.partition("+")[0]  # without the kind of build
    return f"# transformers {transformers.__version__}, torch {release}: written by `make test-models-transformers`"


def write(file: Path, rows: Iterable[Row]) -> None:
    """Write the table, at once or not at all."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    part = file.with_name(f"{file.name}.part")
    part.write_text(f"{versions()}\n{text.getvalue()}", encoding="utf-8")
    part.replace(file)


def main(argv: list[str] | None = None) -> int:
    """Run the census; 1 if an architecture differs or fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="types or classes to examine, by a part of their name")
    parser.add_argument("--table", type=Path, default=TABLE, help="file to write (default: docs/)")
    options = parser.parse_args(argv)
    rows = []
    for kind, name in kinds():
        if options.match in (kind, name) or not options.match:
            rows.append(examine(kind, name))
            sys.stdout.write(f"{kind} {name}: {rows[-1].outcome} {rows[-1].how} {rows[-1].layers}\n")
            sys.stdout.flush()
    if not options.match:
        write(options.table, rows)
    return 1 if any(row.outcome in ("DIFFERS", "FAILED") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
