"""The deep look at images: every byte hashed, every pixel decoded, in several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from moodbench.datasets.decode import MAX_PIXELS, Encoded, TooLargeError, check_file_size, read_rgb
from moodbench.datasets.images import PackedImages
from moodbench.errors import DataError
from moodbench.processes import InOrder, ProcessLostError
from moodbench.progress import bar

CHUNK = 32
"""Images that a process is handed at a time."""

FEW = 256
"""Fewer images than this are looked at here: processes would take longer to start."""

FLAT = 8
"""A picture whose thumbnail has fewer grey levels than this has no perceptual hash: it has no structure to hash."""


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """What is in an image file.

    Attributes
    ----------
    sha256 : bytes
        Of the file; empty if it cannot be read.
    fault, detail : str or None
        ``html``, ``truncated`` or ``undecodable``, and why.
    pixels : bytes
        Digest of size and RGB pixels; empty if it cannot be decoded.
    likeness : int or None
        64-bit perceptual hash, where asked for and where the picture has one.
    """

    sha256: bytes = b""
    fault: str | None = None
    detail: str | None = None
    pixels: bytes = b""
    likeness: int | None = None


def check_image(path: str, near: bool = False, max_pixels: int = MAX_PIXELS) -> ImageCheck:
    """Hash and decode one file, in the way an extraction decodes it. Memory does not grow with the file.

    Parameters
    ----------
    path : str
    near : bool
        Compute the perceptual hash, too.
    max_pixels : int
        Larger pictures are not decoded.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(512)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        return ImageCheck(fault="undecodable", detail=error.strerror or str(error))
    return _checked(file, head, digest, near, max_pixels)


def check_packed(images: PackedImages, row: int, near: bool = False, max_pixels: int = MAX_PIXELS) -> ImageCheck:
    """Hash and decode one image that lies packed; see `check_image`."""
    try:
        check_file_size(int(images.sizes[row]), max_pixels)
        data = images.read(row)
    except TooLargeError as error:
        return ImageCheck(fault="large", detail=f"{error.what}; {error.fix}")
    except DataError as error:
        return ImageCheck(fault="undecodable", detail=error.what)
    if not data:
        return ImageCheck(hashlib.sha256().digest(), "undecodable", "the file is empty")
    return _checked(Encoded(images.ids[row], data), data[:512], hashlib.sha256(data).digest(), near, max_pixels)


def _checked(file: Path | Encoded, head: bytes, digest: bytes, near: bool, max_pixels: int) -> ImageCheck:
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return ImageCheck(digest, "html", f"it begins with {_beginning(head)}")
    try:
        rgb = read_rgb(file, max_pixels=max_pixels)
    except TooLargeError as error:
        return ImageCheck(digest, "large", f"{error.what}; {error.fix}")
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        return ImageCheck(digest, *_fault(head, error))
    pixels = hashlib.blake2b(f"{rgb.width} {rgb.height} ".encode(), digest_size=16)
    pixels.update(rgb.tobytes())
    return ImageCheck(digest, pixels=pixels.digest(), likeness=likeness(rgb) if near else None)


def _beginning(head: bytes) -> str:
    return repr(head.lstrip(b"\xef\xbb\xbf \t\r\n")[:24].decode("ascii", "replace"))


def _fault(head: bytes, error: Exception) -> tuple[str, str]:
    if isinstance(error, DataError):
        return "undecodable", error.what
    if isinstance(error, UnidentifiedImageError):
        return "undecodable", f"not a known image format: it begins with {_beginning(head)}"
    reason = str(error).rstrip(".") or type(error).__name__
    cut = any(words in reason.lower() for words in ("truncated", "unexpected end", "not enough data"))
    return "truncated" if cut else "undecodable", reason


def likeness(image: Image.Image) -> int | None:
    """Return the 64-bit perceptual hash (DCT of a 32 × 32 thumbnail, `imagehash.phash`) of a picture; None if flat.

    Flat pictures would all be alike. A hash has half of its bits set, unless coefficients tie, as in a picture without
    structure: that is no hash either.
    """
    import imagehash

    thumbnail = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low, high = thumbnail.getextrema()
    if high - low < FLAT:  # type: ignore[operator]
        return None
    value = int(str(imagehash.phash(thumbnail)), 16)
    return value if value.bit_count() == 32 else None


def check_images(
    images: Sequence[str] | PackedImages,
    *,
    near: bool = False,
    jobs: int = 1,
    label: str = "",
    progress: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> list[ImageCheck]:
    """Check many images; the same list for any number of processes.

    Parameters
    ----------
    images : sequence of str, or PackedImages
        Files, or all images of a packed place.
    near : bool
    jobs : int
        Processes.
    label : str
        What the progress bar says.
    progress : bool
        Show a progress bar on stderr if that is a terminal.
    max_pixels : int

    Raises
    ------
    DataError
        A process died.
    """
    with bar(label, len(images), shown=progress) as looked_at:
        done: list[ImageCheck] = []
        for checks in _results(_Chunks(images, near, max_pixels), jobs):
            done += checks
            looked_at.update(len(checks))
        return done


def _results(chunks: _Chunks, jobs: int) -> Iterator[list[ImageCheck]]:
    if jobs == 1 or len(chunks.images) < FEW:
        yield from map(chunks, range(len(chunks)))
        return
    try:
        with InOrder(chunks, len(chunks), processes=jobs, ahead=4 * jobs) as results:
            yield from results
    except ProcessLostError as error:
        raise DataError(f"a process that decodes images {error}", fix="try again with  --jobs 1") from None


@dataclass(frozen=True)
class _Chunks:
    """The task of a process: so many images at a time."""

    images: Sequence[str] | PackedImages
    near: bool
    max_pixels: int

    def __len__(self) -> int:
        return -(-len(self.images) // CHUNK)

    def __call__(self, number: int, place: int = 0) -> list[ImageCheck]:
        images = self.images
        rows = range(number * CHUNK, min((number + 1) * CHUNK, len(images)))
        if isinstance(images, PackedImages):
            return [check_packed(images, row, self.near, self.max_pixels) for row in rows]
        return [check_image(images[row], self.near, self.max_pixels) for row in rows]
