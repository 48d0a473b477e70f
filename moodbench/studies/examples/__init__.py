"""Studies that come with moodbench: their files lie beside this one."""

from __future__ import annotations

from pathlib import Path

from moodbench.errors import UnknownNameError


def examples() -> list[str]:
    """Return their names."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.yaml"))


def example_file(name: str) -> Path:
    """Return the file of one; an `UnknownNameError` if there is none."""
    if name not in examples():
        raise UnknownNameError("example", name, examples())
    return Path(__file__).parent / f"{name}.yaml"


def read_example(name: str) -> str:
    """Return what it says."""
    return example_file(name).read_text(encoding="utf-8")
