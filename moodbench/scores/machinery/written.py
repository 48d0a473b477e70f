"""Where a score was written: what messages about scores of other people name, so that they find the line."""

from __future__ import annotations

import ast
import inspect
import traceback
from pathlib import Path
from types import CodeType
from typing import Any


def is_own(item: Any) -> bool:
    """Say whether a class or function is moodbench's own."""
    return str(getattr(item, "__module__", "")).partition(".")[0] == "moodbench"


def class_place(item: Any) -> tuple[Path, int] | None:
    """Return the file and line of a class or function; None where no file holds it, as in a shell.

    `inspect` alone does not find the classes of a file that was run and not imported.
    """
    codes = [code for value in vars(item).values() if (code := _code(value)) is not None] if isclass(item) else []
    files = [code.co_filename for code in (*codes, _code(item)) if code is not None]
    if not files:
        try:
            files = [inspect.getsourcefile(item) or ""]
        except TypeError:
            return None
    file = next((Path(name) for name in files if Path(name).is_file()), None)
    if file is None:
        return None
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return file, 1
    named = (ast.ClassDef, ast.FunctionDef)
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, named) and node.name == item.__name__]
    return file, lines[-1] if lines else 1


def method_place(item: type, method: str) -> tuple[Path, int] | None:
    """Return the file and line of a method of a class, or of the class itself."""
    code = _code(getattr(item, method, None))
    if code is None or not Path(code.co_filename).is_file():
        return class_place(item)
    return Path(code.co_filename), code.co_firstlineno


def error_place(error: BaseException, item: type) -> tuple[Path, int] | None:
    """Return where in the file of a class an error came up; None if it did not pass there."""
    files = {place[0] for name in ("score", "fit") if (place := method_place(item, name)) is not None}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) in files and frame.lineno is not None:
            return Path(frame.filename), frame.lineno
    return None


def in_words(place: tuple[Path, int] | None) -> str:
    """Return a place in short, without its folder: results of other machines say the same."""
    return "" if place is None else f"{place[0].name}, line {place[1]}"


def isclass(item: Any) -> bool:
    """Say whether it is a class."""
    return isinstance(item, type)


def _code(value: Any) -> CodeType | None:
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    return code if isinstance(code, CodeType) else None
