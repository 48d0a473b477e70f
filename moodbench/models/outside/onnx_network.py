"""An ONNX file as a network of torch, as far as one can be seen from outside."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError
from moodbench.models.outside.library import Opened
from moodbench.models.outside.noise import pictures_of_noise
from moodbench.models.outside.outputs import chosen, own_head, side_of
from moodbench.models.outside.pictures import one_line


class OnnxNetwork(nn.Module):
    """Runs a session of onnxruntime: (B, 3, side, side) → outputs by name.

    Attributes
    ----------
    side : int or None
        Of the pictures that the file was exported for; None: of any.
    batch : int or None
        Pictures that it takes at once, where that is fixed; fewer are filled up.
    """

    def __init__(self, session: Any, file: Path) -> None:
        super().__init__()
        self.session = session
        inputs = session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3) or "float" not in inputs[0].type:
            said = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise ModelError(f"the file does not take one batch of pictures (N, 3, H, W): {said}", file=file)
        self.input = inputs[0].name
        self.takes_half = "float16" in inputs[0].type
        self.batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        self.side = shape[2] if isinstance(shape[2], int) and shape[2] > 0 and shape[2] == shape[3] else None

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute all outputs, on the processor."""
        pieces = [self._run(piece) for piece in torch.split(images, self.batch or len(images))]
        names = [one.name for one in self.session.get_outputs()]
        return {
            name: torch.cat([piece[place] for piece in pieces]).to(images.device) for place, name in enumerate(names)
        }

    def _run(self, images: Tensor) -> list[Tensor]:
        count = len(images)
        if self.batch is not None and count < self.batch:
            images = torch.cat([images, images.new_zeros(self.batch - count, *images.shape[1:])])
        values = images.detach().cpu().contiguous().numpy()
        made = self.session.run(None, {self.input: values.astype("float16") if self.takes_half else values})
        return [torch.from_numpy(one.copy()).float()[:count] for one in made]


def open_file(spec: ModelSpec, file: Path) -> Opened:
    """Return the network of a file.

    Raises
    ------
    ModelError
        onnxruntime cannot read it, or it is no network for pictures.
    """
    import onnxruntime

    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, of a module without names
        raise ModelError(f"onnxruntime cannot read the file: {one_line(error)}", file=file) from error
    network = OnnxNetwork(session, file)
    images = pictures_of_noise(side_of(spec, network.side))
    try:
        found = network(images)
    except Exception as error:  # its own kinds, of a module without names
        raise ModelError(
            f"the network does not take pictures of {images.shape[-1]} × {images.shape[-1]} pixels: {one_line(error)}",
            file=file,
            fix="--image-size N, as it was exported for",
        ) from error
    compute = chosen(found, spec, len(images))
    head = own_head(spec, _arrays(file), compute, network, images)
    side = images.shape[-1]
    record = {
        "weights": f"file {file.name}",
        "weights_sha256": _digest(file),
        "features": compute.features,
        "onnxruntime": version("onnxruntime"),
    }
    return Opened(network, None, {"input_size": (3, side, side)}, record, compute=compute, head=head)


def _digest(file: Path) -> str:
    """Return the SHA-256 of the file, and of the one that large exports keep their arrays in."""
    beside = file.with_name(f"{file.name}.data")
    if not beside.is_file():
        return file_sha256(file)
    return hashlib.sha256(f"{file_sha256(file)}{file_sha256(beside)}".encode()).hexdigest()


def _arrays(file: Path) -> dict[str, Tensor]:
    """Return the arrays in a file, among which its head may be; none without the package onnx, which reads them."""
    if find_spec("onnx") is None:
        return {}
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(file))
    return {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in model.graph.initializer}
