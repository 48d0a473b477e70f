"""What open_clip knows by name: architectures, tags of weights, and how pictures are prepared for them.

open_clip is an extra (``pip install 'moodbench-ood[clip]'``), and imported when a model of it is asked for, not before.
"""

from __future__ import annotations

import difflib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from moodbench.errors import ModelError, UsageError
from moodbench.release import with_extra

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Names under which open_clip looks for weights in a hub repository that names no file."""

_SQUARES = {"shortest": "center", "squash": "squash", "longest": "border"}
"""open_clip's words for how a picture becomes a square, and ours."""

_SET_BY_IT = "TOKENIZERS_PARALLELISM"  # in the environment, when it is imported

_SHOWN = 12  # tags that a message lists


def is_installed() -> bool:
    """Say whether there is an open_clip; nothing is imported for it."""
    return find_spec("open_clip") is not None


def check_installed() -> None:
    """Raise the `ModelError` for a missing open_clip; nothing is imported for it."""
    if not is_installed():
        raise ModelError(
            "models of open_clip (clip:…) and text heads need the package open_clip_torch, which is not installed",
            fix=f"{with_extra('clip')}  (or pip install open_clip_torch)",
        )


def open_clip() -> Any:
    """Return the package.

    Raises
    ------
    ModelError
        It is not installed, or cannot be imported.
    """
    check_installed()
    before = os.environ.get(_SET_BY_IT)
    try:
        with quiet():
            import open_clip as library
    except ImportError as error:  # of a version that does not fit torch or timm
        raise ModelError(f"open_clip cannot be imported: {error}", fix=with_extra("clip", upgrade=True)) from error
    finally:
        os.environ.pop(_SET_BY_IT, None)
        os.environ.update({} if before is None else {_SET_BY_IT: before})
    return library


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what open_clip logs and warns about off stderr.

    It writes to the root logger, which makes itself a way to stderr unless there is one already.
    """
    sink = logging.NullHandler()
    logging.root.addHandler(sink)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.removeHandler(sink)


@dataclass(frozen=True)
class Known:
    """A model of open_clip.

    Attributes
    ----------
    architecture : str
    tag : str or None
        Of its weights; None: they come from elsewhere.
    config : mapping
        What the architecture is built from.
    tags : mapping of str to mapping
        What there is to know about each of its published weights.
    """

    architecture: str
    tag: str | None
    config: Mapping[str, Any]
    tags: Mapping[str, Mapping[str, Any]]

    @property
    def of_tag(self) -> Mapping[str, Any]:
        """What there is to know about the weights."""
        return {} if self.tag is None else self.tags[self.tag]

    @property
    def quick_gelu(self) -> bool:
        """Whether it computes GELU as OpenAI's CLIP does: weights trained so give other features without it.

        Names of architectures do not say so for every tag, and open_clip itself only warns.
        """
        own = bool(self.config.get("quick_gelu", False))
        return own if self.tag is None else bool(self.of_tag.get("quick_gelu", False))

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that it takes."""
        size = self.config["vision_cfg"].get("image_size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            raise ModelError(
                f"'{self.architecture}' takes pictures of {height} × {width} pixels; only squares are supported"
            )
        return int(height)

    @cached_property
    def pictures(self) -> dict[str, Any]:
        """How pictures are prepared, in timm's words (`moodbench.models.transforms.DataConfig`).

        As for the weights of the tag; without one, as for all published weights of the architecture where these agree,
        else as open_clip does by default.
        """
        default = _pictures(_default_preprocessing())
        if self.tag is not None:
            chosen = _pictures({**_default_preprocessing(), **self.of_tag})
        else:
            every = [_pictures({**_default_preprocessing(), **tag}) for tag in self.tags.values()]
            chosen = every[0] if every and all(one == every[0] for one in every) else default
        return {"input_size": (3, self.image_size, self.image_size), **chosen}

    @property
    def hub(self) -> tuple[str, tuple[str, ...]] | None:
        """Hub repository and files of the weights, or None where they lie elsewhere."""
        where = str(self.of_tag.get("hf_hub") or "")
        if not where:
            return None
        path = PurePosixPath(where)
        return (where.rstrip("/"), WEIGHT_FILES) if where.endswith("/") else (str(path.parent), (path.name,))

    @property
    def url(self) -> str | None:
        """Address of the weights, where they are not on the hub."""
        return None if self.hub is not None else self.of_tag.get("url") or None


def known(name: str) -> Known:
    """Return the model of open_clip that is called ``ARCH/TAG``, or ``ARCH``.

    Raises
    ------
    UsageError
        open_clip has no such architecture, or no weights of that tag for it.
    ModelError
        It is not installed.
    """
    library = open_clip()
    architecture, slash, tag = name.partition("/")
    config = library.get_model_config(architecture)
    if config is None:
        near = difflib.get_close_matches(architecture, library.list_models(), n=5, cutoff=0.6)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(
            f"open_clip {library.__version__} has no architecture '{architecture}'.{hint}",
            fix="python -c 'import open_clip; print(*open_clip.list_models(), sep=\"\\n\")' lists them",
        )
    names = library.list_pretrained_tags_by_model(architecture)
    tags = {one: library.get_pretrained_cfg(architecture, one) for one in names}
    if slash and tag not in tags:
        raise UsageError(
            f"open_clip {library.__version__} has the architecture '{architecture}', but no weights '{tag}' for it",
            fix=f"{tags_in_words(tags)}; or write clip:{architecture} and give the weights as a file",
        )
    found = Known(architecture, tag if slash else None, config, tags)
    if found.tag is not None and config.get("quick_gelu") and not found.quick_gelu:
        plain = architecture.removesuffix("-quickgelu")
        raise UsageError(
            f"the weights '{tag}' were trained with another activation than '{architecture}' has",
            fix=f"write clip:{plain}/{tag}",
        )
    return found


def tags_in_words(tags: Mapping[str, Any]) -> str:
    """Return which published weights an architecture has."""
    names = list(tags)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"its weights: {', '.join(names[:_SHOWN])}{more}" if names else "it has no published weights"


def _default_preprocessing() -> dict[str, Any]:
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg

    return asdict(PreprocessCfg())


def _pictures(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "interpolation": str(preprocessing["interpolation"]),
        "crop_pct": 1.0,
        "crop_mode": _SQUARES[preprocessing["resize_mode"]],
        "mean": tuple(float(v) for v in preprocessing["mean"]),
        "std": tuple(float(v) for v in preprocessing["std"]),
    }
