"""What a zip has in it, by the directory at its end."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from moodbench.datasets.packed.members import DEFLATED, OF_ZIP, Member
from moodbench.datasets.packed.storage import open_file
from moodbench.errors import DataError

_HOW = {zipfile.ZIP_STORED: OF_ZIP, zipfile.ZIP_DEFLATED: DEFLATED}
_ENCRYPTED = 0x1


def zip_members(file: str) -> Iterator[Member]:
    """Yield the files of a zip in the order of its directory.

    Raises
    ------
    DataError
        It cannot be read, is no zip, is damaged, or a member is encrypted or compressed in another way than by deflate.
    """
    with open_file(file) as stream:
        try:
            with zipfile.ZipFile(stream) as opened:
                infos = opened.infolist()
        except Exception as error:  # zipfile raises anything on damaged bytes
            why = str(error) or type(error).__name__
            raise DataError(f"this is no zip, or a damaged one ({why})", file=file, fix="get an intact copy") from None
    for info in infos:
        if not info.filename:
            raise DataError("this is a damaged zip (a member has no name)", file=file, fix="get an intact copy")
        if info.is_dir():
            continue
        if info.flag_bits & _ENCRYPTED:
            raise DataError("a member of the zip is encrypted", file=f"{file}/{info.filename}", fix="unpack it")
        if info.compress_type not in _HOW:
            raise DataError(
                f"a member of the zip is compressed in a way that is not read here (method {info.compress_type})",
                file=f"{file}/{info.filename}",
                fix="pack the images with the usual deflate, or uncompressed (zip -0)",
            )
        yield Member(
            info.filename.removeprefix("./"),
            info.header_offset,
            info.file_size,
            info.compress_size,
            _HOW[info.compress_type],
            info.CRC,
        )
