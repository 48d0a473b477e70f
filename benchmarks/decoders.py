"""What decoders give and cost: `python -m benchmarks.decoders`.

Prints processor milliseconds a picture of decoding and of decoding and transforming, exactly and fast; whether
torchvision decodes to the same pixels as Pillow; and what the fast pixels change in AUROC: crops of photographs as ID
against crops of textures, microscopy and documents as OOD, for scores of EfficientNet-Lite0's logits and features.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.extraction import backbone_of
from benchmarks.photographs import crops, write
from moodbench.datasets.decode import decode
from moodbench.features.extract import Settings
from moodbench.features.network import Network
from moodbench.models.transforms import Transform
from moodbench.ranking import Ranking

KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "4:4:4": ("RGB", {"subsampling": 0}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "progressive": ("RGB", {"progressive": True}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
}
SIZES = ((500, 375), (1024, 768), (2048, 1536))


def by_torchvision(file: Path) -> NDArray[np.uint8]:
    """Return the (H, W, 3) pixels that torchvision decodes."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    pixels: NDArray[np.uint8] = decode_jpeg(read_file(str(file)), ImageReadMode.RGB).permute(1, 2, 0).numpy()
    return pixels


def equal_pixels(folder: Path, count: int) -> Iterable[str]:
    """Compare the two decoders, kind by kind."""
    for kind, (mode, options) in KINDS.items():
        same, worst = 0, 0
        for i, picture in enumerate(crops(count, SIZES[0], seed=1)):
            file = folder / "x.jpg"
            picture.convert(mode).save(file, "JPEG", quality=70 + i % 30, **options)
            try:
                found = by_torchvision(file).astype(int)
            except RuntimeError as error:
                yield f"  {kind:12} torchvision refuses it: {str(error).splitlines()[0]}"
                break
            difference = np.abs(found - np.asarray(decode(file)))
            same, worst = same + (difference.max() == 0), max(worst, int(difference.max()))
        else:
            yield f"  {kind:12} {same} of {count} equal, largest difference {worst}"


def milliseconds(work: Callable[[Path], object], files: Sequence[Path], runs: int) -> float:
    """Return processor milliseconds a file: the median of some runs over all of them."""
    taken = []
    for _ in range(runs):
        began = time.process_time()
        for file in files:
            work(file)
        taken.append(1000 * (time.process_time() - began) / len(files))
    return statistics.median(taken)


def costs(folder: Path, transform: Transform, count: int, runs: int) -> Iterable[str]:
    """Time decoding, and decoding and transforming, at several sizes."""
    fast = transform.fast()

    def through(made: Transform) -> Callable[[Path], object]:
        return lambda file: made.pixels(decode(file, made.decodable_at)).copy()

    for size in SIZES:
        files = sorted(write(folder / f"{size[0]}", count, size).glob("*.jpg"))
        pillow, other = (milliseconds(work, files, runs) for work in (decode, by_torchvision))
        packed = milliseconds(lambda file: Image.fromarray(np.ascontiguousarray(by_torchvision(file))), files, runs)
        exact, quick = (milliseconds(through(made), files, runs) for made in (transform, fast))
        differing = [
            np.abs(transform.pixels(decode(f)).astype(int) - fast.pixels(decode(f, fast.decodable_at))) for f in files
        ]
        share, most = 100 * np.mean([d > 0 for d in differing]), max(d.max() for d in differing)
        yield (
            f"  {size[0]} × {size[1]}: Pillow {pillow:.2f}, torchvision {other:.2f} (made Pillow's {packed:.2f}); "
            f"with transform: exact {exact:.2f}, fast {quick:.2f} ({exact / quick:.2f} ×), "
            f"{share:.1f} % of values differ, by {most} at most"
        )


def strangers(count: int) -> Iterable[Image.Image]:
    """Yield crops of pictures that show no object of ImageNet."""
    import skimage.data

    folder = Path(str(skimage.data.__file__)).parent
    names = ("brick.png", "grass.png", "gravel.png", "cell.png", "moon.png", "page.png", "ihc.png", "retina.jpg")
    sources = [Image.open(folder / name).convert("RGB") for name in names]
    rng = np.random.default_rng(2)
    for i in range(count):
        source = sources[i % len(sources)]
        height = rng.uniform(0.5, 1) * min(source.height, source.width * 0.75)
        left, top = rng.uniform(0, source.width - height / 0.75), rng.uniform(0, source.height - height)
        box = (left, top, left + height / 0.75, top + height)
        yield source.resize(SIZES[0], Image.Resampling.BICUBIC, box=box)


def aurocs(folder: Path, count: int, size: tuple[int, int]) -> Iterable[str]:
    """Compare AUROC of exact and fast pixels."""
    backbone = backbone_of("efficientnet_lite0")
    assert isinstance(backbone.transform, Transform)
    network = Network(backbone, Settings("cpu"), 32)
    transforms = {"exact": backbone.transform, "fast": backbone.transform.fast()}
    found: dict[str, dict[str, list[NDArray[np.float32]]]] = {name: {} for name in transforms}
    for role, pictures in (("id", crops(count, SIZES[0])), ("ood", strangers(count))):
        files = [folder / f"{role}{i}.jpg" for i in range(count)]
        for file, picture in zip(files, pictures, strict=True):
            picture.resize(size, Image.Resampling.BICUBIC).save(file, quality=90)
        for name, made in transforms.items():
            squares = [made.pixels(decode(file, made.decodable_at)) for file in files]
            values, logits = network(torch.from_numpy(np.stack(squares))).arrays()
            assert logits is not None
            found[name][role] = [_msp(logits), logits.max(1), np.linalg.norm(values, axis=1)]
    for i, score in enumerate(("msp", "max_logit", "norm")):
        of_id, of_ood = ({name: found[name][role][i] for name in transforms} for role in ("id", "ood"))
        exact, fast = (Ranking(of_id[name]).against(of_ood[name]).auroc_interval() for name in transforms)
        half = 50 * (exact.high - exact.low)
        yield (
            f"  {size[0]} × {size[1]} {score:10} exact {100 * exact.value:.2f} ± {half:.2f}, "
            f"fast {100 * fast.value:.2f}, difference {100 * (fast.value - exact.value):+.2f}"
        )


def _msp(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    highest: NDArray[np.float32] = powers.max(1) / powers.sum(1)
    return highest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=96, help="for times and for equality (default 96)")
    parser.add_argument("--crops", type=int, default=240, help="ID, and as many OOD, for AUROC (default 240)")
    parser.add_argument("--runs", type=int, default=5, help="of what is timed; the median is printed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transform = backbone_of("efficientnet_lite0").transform
    assert isinstance(transform, Transform)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print("torchvision against Pillow")
        print(*equal_pixels(folder, args.pictures), sep="\n")
        print("processor milliseconds a picture, one thread, transform of EfficientNet-Lite0")
        print(*costs(folder, transform, args.pictures, args.runs), sep="\n")
        print("AUROC in percent, ± half of its 95 % interval")
        for size in (SIZES[0], SIZES[-1]):
            print(*aurocs(folder, args.crops, size), sep="\n")


if __name__ == "__main__":
    main()
