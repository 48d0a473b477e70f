"""The one generic registry: of scores, protocols, tables, plots, transforms, checkpoint formats, layouts, recipes."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from moodbench.errors import MoodbenchError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names for things of one kind.

    Parameters
    ----------
    kind : str
        What it holds, in the singular, for messages ("score").
    package : str, optional
        Package whose modules register themselves when imported; all of them are imported at the first look-up,
        so that no list of modules is kept by hand.
    entry_point : str, optional
        Entry-point group through which other installed packages add theirs.
    check : callable, optional
        Is given a name, what is to be filed under it and the names that are taken, and raises a `MoodbenchError` if it
        cannot be used.
    """

    def __init__(
        self,
        kind: str,
        *,
        package: str | None = None,
        entry_point: str | None = None,
        check: Callable[[str, T, Collection[str]], None] = lambda name, item, taken: None,
    ) -> None:
        self.kind = kind
        self._check = check
        self._package = package
        self._entry_point = entry_point
        self._items: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files an object under `name`; a name taken already is an error naming both."""

        def file(item: T) -> T:
            self._check(name, item, self._items)
            if name in self._items:
                raise MoodbenchError(
                    f"two {self.kind}s want the name '{name}': {_origin(self._items[name])} and {_origin(item)}",
                    fix="rename one of them",
                )
            self._items[name] = item
            return item

        return file

    def get(self, name: str) -> T:
        """Return what is filed under `name`; an unknown name is an `UnknownNameError` with the nearest ones."""
        self._discover()
        try:
            return self._items[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._items) from None

    def keep(self, names: Collection[str]) -> None:
        """Forget all but these: what a file registered before it failed."""
        self._items = {name: item for name, item in self._items.items() if name in names}

    def names(self) -> list[str]:
        """Return all names in the order of registration."""
        self._discover()
        return list(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._items

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        if self._package is not None:
            package = importlib.import_module(self._package)
            for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
                importlib.import_module(f"{self._package}.{module}")
        if self._entry_point is not None:
            for point in entry_points(group=self._entry_point):
                item = _loaded(point, self.kind)
                if point.name not in self._items:
                    self.register(point.name)(item)


def _loaded(point: EntryPoint, kind: str) -> Any:
    try:
        return point.load()
    except MoodbenchError:
        raise
    except Exception as error:  # somebody's package may raise anything
        package = "another package" if point.dist is None else f"the package '{point.dist.name}'"
        raise MoodbenchError(
            f"the {kind} '{point.name}' of {package} cannot be loaded: {type(error).__name__}: {error!s:.300}",
            fix="mend, update or uninstall that package",
        ) from error


def written_names(place: Path, variable: str, entry_point: str | None = None) -> list[str]:
    """Return what the source of a module, or of the modules of a folder, registers by name; nothing is imported.

    For completion in a shell, which is to be there at once. Names that only a running program knows are not found.

    Parameters
    ----------
    place : Path
    variable : str
        What the registry is called there, as in ``@SCORES.register("msp")``.
    entry_point : str, optional
        Adds the names under which other installed packages offer theirs.
    """
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    trees = [ast.parse(file.read_bytes()) for file in files]
    constants = {
        target.id: node.value.value
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names = [
        _written(node.args[0], constants)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_register(node.func, variable) and node.args
    ]
    points = [] if entry_point is None else [point.name for point in entry_points(group=entry_point)]
    return [name for name in dict.fromkeys([*names, *points]) if name is not None]


def _is_register(function: ast.expr, variable: str) -> bool:
    named = isinstance(function, ast.Attribute) and function.attr == "register"
    return named and getattr(getattr(function, "value", None), "id", None) == variable


def _written(node: ast.expr, constants: dict[str, Any]) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else constants.get(getattr(node, "id", ""))
    return value if isinstance(value, str) else None


def _origin(item: object) -> str:
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', repr(item))}"
