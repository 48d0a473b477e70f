"""The folder of a study: what a colleague needs to run it again, and what is up to date in it.

==================  ================================================================================================
``study.yaml``      the study, with paths that lead to ``inputs/``
``environment.json``  versions of packages, and the kind of machine
``resolved.json``   what names stood for: weights, images, every score with every parameter
``commands.sh``     the commands that come to the same
``run.log``         what was done when, and how long it took (`moodbench.studies.log`)
``inputs/``         catalogues, scores and lists of words that the study names
``results/``        as every results folder
==================  ================================================================================================

Nothing of it is read to find out what is done, which caches and results say themselves. A table or picture is up to
date where it is younger than all that it is made of, ``study.yaml`` and ``environment.json`` included: these are
written only when they change, and before anything is made.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moodbench.atomic import write_file
from moodbench.catalog.plain import load_plain
from moodbench.errors import DataError, UsageError
from moodbench.release import versions
from moodbench.studies.file import Study
from moodbench.studies.own_files import COMMANDS, ENVIRONMENT, INPUTS, RESOLVED, RESULTS, STUDY
from moodbench.types import Report

_PACKAGES = (
    "moodbench",
    "h5py",
    "matplotlib",
    "numpy",
    "pillow",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
)


def folder_for(study: Path) -> Path:
    """Return where a study is run into by default: a folder called as its file, here.

    The ``study.yaml`` in the folder of a study belongs there.
    """
    if study.name == STUDY and (study.parent / ENVIRONMENT).is_file():
        return study.parent
    return Path(study.stem)


@dataclass(frozen=True)
class Folder:
    """The folder of a study that is being run."""

    root: Path

    @property
    def results(self) -> Path:
        """Its results."""
        return self.root / RESULTS

    def check(self) -> None:
        """Refuse a place where no folder can be."""
        if os.path.lexists(self.root) and not self.root.is_dir():
            raise DataError("a study needs a folder, but this is a file", file=self.root, fix="choose another --out")

    def begin(self, study: Study, report: Report = lambda line: None) -> None:
        """Write what does not depend on anything that is computed.

        Raises
        ------
        UsageError
            The study lies where its copy with other paths would be written.
        """
        there = self.root / STUDY
        own = self._own(study, report)
        if own != study.text and there.exists() and there.samefile(study.file):
            raise UsageError(
                "the folder is that of the study itself, whose file would be written anew, with other paths",
                file=study.file,
                fix="choose another --out, or name the file otherwise",
            )
        self._put(STUDY, own)
        machine = {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()}
        self._put(ENVIRONMENT, _json({"versions": versions(*_PACKAGES), **machine}))

    def finish(self, resolved: Mapping[str, Any], commands: Sequence[str]) -> None:
        """Write what is known at the end."""
        self._put(RESOLVED, _json(resolved))
        head = [
            "#!/bin/sh",
            "# What this study did, as commands. Run it where moodbench is installed, in this folder; caches come to",
            "# lie in cache/ here, unless MOODBENCH_CACHE_DIR says where some are.",
            "set -e",
        ]
        self._put(COMMANDS, "\n".join([*head, *commands]) + "\n")

    def is_fresh(self, file: Path, sources: Iterable[Path]) -> bool:
        """Say whether a file is younger than all it is made of."""
        made_of = [*sources, self.root / STUDY, self.root / ENVIRONMENT]
        try:
            made = file.stat().st_mtime_ns
            return all(made >= source.stat().st_mtime_ns for source in made_of)
        except OSError:
            return False

    def called(self, file: Path) -> str:
        """Return how a file of the study is called in this folder: a copy, or a path that leads out."""
        copy = self.root / INPUTS / file.name
        return str(copy.relative_to(self.root)) if copy.exists() else os.path.relpath(file, self.root)

    def _put(self, name: str, text: str) -> None:
        """Write a file unless it says that already."""
        data, file = text.encode(), self.root / name
        with suppress(OSError):
            if file.read_bytes() == data:
                return
        write_file(file, data)

    def _own(self, study: Study, report: Report) -> str:
        """Return the study with paths as they are seen from here; what is small is copied to ``inputs/``."""
        moved = {text: self._moved(study, text, copied, report) for text, copied in _files_of(study)}
        if all(text == there for text, there in moved.items()):
            return study.text
        said = load_plain(study.text)
        kept = yaml.safe_dump(_with_paths(said, moved), sort_keys=False, allow_unicode=True, width=110)
        return f"# Made by moodbench run, of {study.file.name}: only paths differ.\n{kept}"

    def _moved(self, study: Study, text: str, copied: bool, report: Report) -> str:
        source = study.path(text)
        if copied and not _names_neighbours(source):
            target = self.root / INPUTS / source.name
            if not (target.exists() and target.samefile(source)):
                if target.exists() and target.read_bytes() != source.read_bytes() and _is_other(study, source):
                    target = target.with_name(f"{source.parent.name}-{source.name}")
                self._put(str(target.relative_to(self.root)), source.read_text(encoding="utf-8"))
            return str(target.relative_to(self.root))
        if copied:
            report(f"note: {source} names files beside it, and is not copied: the study in the folder refers to it")
        return os.path.relpath(source, self.root)


def _is_other(study: Study, source: Path) -> bool:
    """Say whether the study names two files of the same name."""
    return sum(study.path(text).name == source.name for text, _ in _files_of(study)) > 1


def _files_of(study: Study) -> Iterator[tuple[str, bool]]:
    """Yield every path that a study says, and whether what lies there is small enough to be copied."""
    yield from ((text, True) for key in ("catalogs", "scores_from") for text in study[key])
    yield from ((one[key], False) for one in study.models for key in ("checkpoint", "head_file") if one[key])
    said = study["text_head"] or {}
    yield from ((text, True) for text in [said.get("class_names"), *(said.get("negatives") or ())] if text)
    prompts = said.get("prompts")
    if prompts and "{}" not in prompts and study.path(prompts).is_file():
        yield prompts, True


def _names_neighbours(file: Path) -> bool:
    """Say whether a catalogue names files beside it, which a copy would not find."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        return False
    for text in _texts(load_plain(file.read_text(encoding="utf-8"))):
        with suppress(OSError, ValueError):  # not what could be a path
            if text and not Path(text).is_absolute() and (file.parent / text).exists():
                return True
    return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


def _with_paths(value: Any, moved: Mapping[str, str]) -> Any:
    """Return a value of YAML in which paths are replaced."""
    if isinstance(value, dict):
        return {
            key: _with_paths(one, moved) if key in _PATH_KEYS or isinstance(one, (dict, list)) else one
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_with_paths(one, moved) for one in value]
    return moved.get(value, value) if isinstance(value, str) else value


_PATH_KEYS = ("catalogs", "scores_from", "checkpoint", "head_file", "class_names", "negatives", "prompts")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
