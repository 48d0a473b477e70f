"""Reading a study file: YAML → a `Study` whose values have the right types; whether the names exist is `known`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moodbench.catalog.plain import PlainError, load_plain
from moodbench.errors import UsageError
from moodbench.reading import read_text
from moodbench.studies.fields import Place
from moodbench.studies.schema import MODEL, STUDY, SWITCHES, WITH_DEFAULTS

MOST_BYTES = 1 << 20
"""Of a study file."""


@dataclass(frozen=True)
class Study:
    """What a file asks for. Paths in it are as it says them, relative to `folder`.

    Attributes
    ----------
    file : Path
        Where it was read.
    said : mapping
        Every key of `moodbench.studies.schema.STUDY`, with its default where the file says nothing.
    text : str
        As it was read.
    """

    file: Path
    said: Mapping[str, Any]
    text: str = field(default="", compare=False)

    @property
    def folder(self) -> Path:
        """What paths in it are relative to."""
        return self.file.parent

    @property
    def models(self) -> tuple[dict[str, Any], ...]:
        """The models in order, each with every key of `moodbench.studies.schema.MODEL`."""
        return tuple(self.said["models"])

    @property
    def top(self) -> Place:
        """The place of the whole, for messages."""
        return Place(self.file)

    def __getitem__(self, key: str) -> Any:
        return self.said[key]

    def path(self, text: str) -> Path:
        """Return a path that the study says."""
        return self.folder / Path(text).expanduser()


def read_study(file: Path) -> Study:
    """Read a study file.

    Raises
    ------
    UsageError
        It is missing, no YAML, or says what a study does not say: file, place, what was expected.
    """
    if file.is_dir():
        raise UsageError("this is a folder, and a study is a file", file=file, fix=f"{file / 'study.yaml'}")
    text = read_text(
        file, "the study", UsageError, most=MOST_BYTES, fix="moodbench run --example demo  shows how one looks"
    )
    return parse_study(text, file)


def parse_study(text: str, file: Path) -> Study:
    """The same from a text that stands for `file`."""
    try:
        values = load_plain(text)
    except PlainError as error:
        raise UsageError(f"the study is {error}", file=file) from None
    if values is None:
        fix = "moodbench run --example demo  shows how one looks"
        raise UsageError("the study is empty", file=file, fix=fix)
    said = STUDY.read(values, Place(file))
    top = Place(file)
    models = []
    for number, one in enumerate(said["models"]):
        at = top.key("models").item(number)
        models.append(one if isinstance(one, dict) else MODEL.read({"model": one}, at))
        if any(models[-1] == other for other in models[:-1]):
            raise at.fault(f"is '{models[-1]['model']}' a second time", "name it once")
    said["models"] = tuple(models)
    for name, keys in WITH_DEFAULTS.items():
        said[name] = said[name] if said[name] is not None else keys.read({}, top.key(name))
    for name, keys in SWITCHES.items():
        given = said[name]
        said[name] = keys.read({}, top.key(name)) if given is True else None if given is False else given
    return Study(file, said, text)
