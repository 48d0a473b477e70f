"""What a user has already: archives that were fetched by hand, or the images themselves. Neither is ever changed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.digests import digest_file
from moodbench.errors import DataError
from moodbench.inspection.contents import Contents, examine
from moodbench.inspection.manifest import Origin
from moodbench.obtain.archives import expected
from moodbench.obtain.partial import begin, clear
from moodbench.obtain.room import check_room
from moodbench.progress import bar

_HOW = {None: "copied", "hard": "hard-linked", "symbolic": "linked"}


def find_archives(path: Path, archives: Sequence[ArchiveSpec]) -> dict[str, Path]:
    """Return name in the catalogue → file, for those archives that `path` is or holds.

    A file is known by its name, or if it was renamed by its size and digest. A single file for a dataset of a single
    archive is taken for that whatever its name; its check is the caller's.
    """
    files = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if entry.is_file())
    by_name = {file.name: file for file in files}
    found = {archive.file: by_name[archive.file] for archive in archives if archive.file in by_name}
    for archive in archives:
        if archive.file not in found:
            renamed = next((file for file in files if file not in found.values() and _is(archive, file)), None)
            if renamed is not None:
                found[archive.file] = renamed
    if not found and path.is_file() and len(archives) == 1:
        found = {archives[0].file: path}
    return found


def _is(archive: ArchiveSpec, file: Path) -> bool:
    """Whether a file with another name is this archive; nothing is read if its size or suffix says no."""
    wanted = expected(archive)
    if not wanted.known or file.name.startswith("."):
        return False
    if archive.bytes is None and file.suffix.lower() != Path(archive.file).suffix.lower():
        return False
    if archive.bytes is not None and file.stat().st_size != archive.bytes:
        return False
    found = digest_file(file, wanted.digests)
    return all(found[kind] == digest for kind, digest in wanted.digests.items())


def find_images(spec: DatasetSpec, path: Path, data_dir: Path) -> tuple[Path, Contents]:
    """Return the folder that has all the images of `spec`: one in `path` that an archive would have had, or `path`.

    Raises
    ------
    DataError
        Neither has; the message says what `path` itself lacks.
    """
    if not path.is_dir():
        files = ", ".join(f"'{archive.file}'" for archive in spec.archives)
        raise DataError(
            f"this is neither a folder of images nor an archive of '{spec.name}'"
            + (f", which is called {files}" if files else ""),
            file=path,
            fix="unpack it and name the folder" if not files else None,
        )
    names = [*(archive.take for archive in spec.archives), spec.folder or "", spec.name]
    inner = [path / name for name in dict.fromkeys(names) if name and (path / name).is_dir()]
    # where nothing promises how many images there are, any folder would do
    certain = spec.images is not None or spec.image_list is not None
    examined = {folder: examine(spec, folder, data_dir) for folder in (*(inner if certain else ()), path)}
    for folder, found in examined.items():
        if found.lack is None:
            return folder, found
    raise DataError(
        f"the folder does not hold the images of '{spec.name}': {examined[path].lack}",
        file=path,
        fix="name the folder whose sub-folders and files are laid out as the catalogue says, or one with its archives",
    )


def take_images(
    spec: DatasetSpec, source: Path, found: Contents, data_dir: Path, *, link: str | None, progress: bool
) -> Origin:
    """Copy or link the images of `spec` that were `found` in `source` to its partial folder.

    A symbolic link leads to the whole of `source`.

    Raises
    ------
    DataError
        The disk has no room for copies, or hard links would have to cross file systems.
    """
    if link is None:
        check_room(found.bytes, data_dir, f"for the {len(found.names)} images of '{spec.name}'")
    partial = begin(data_dir, spec.name)
    if link == "symbolic":
        clear(partial)
        partial.symlink_to(source.resolve(), target_is_directory=True)
    else:
        try:
            _transfer(source, partial, found.names, _hard if link else _copy, progress)
        except BaseException:
            clear(partial)  # half a copy is of no use, and takes room
            raise
    return Origin.begun(spec.name, _HOW[link], str(source.resolve()))


def _transfer(
    source: Path, target: Path, names: Sequence[str], transfer: Callable[[Path, Path], None], progress: bool
) -> None:
    with bar("copy", len(names), shown=progress, unit="file", leave=False) as copied:
        for name in names:
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            transfer(source / name, file)
            copied.update()


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    shutil.copystat(source, part)
    part.replace(target)


def _hard(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        across = error.errno == errno.EXDEV
        raise DataError(
            "hard links cannot lead to another file system" if across else f"no hard link: {error.strerror}",
            file=source,
            fix="use --link symbolic, or no --link: then the images are copied",
        ) from None
