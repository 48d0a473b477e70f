"""What ``moodbench doctor`` does: everything a bug report needs → findings, with what will hurt and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from textwrap import wrap
from typing import Any

from moodbench.diagnosis import catalogues, folders, hub, libraries, machine, packages
from moodbench.diagnosis.findings import Check, Finding, Level, asked
from moodbench.release import __version__
from moodbench.workspace import Workspace, as_workspace

_MARKS: dict[Level, str] = {"ok": " ", "warning": "!", "broken": "x"}


_WIDTH = 110

_HEADS: dict[Level, str] = {"broken": "Broken", "warning": "Will hurt"}


@dataclass(frozen=True)
class Diagnosis:
    """What was found, in the order in which it is shown. Printed: text for a bug report.

    Attributes
    ----------
    findings : tuple of Finding
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is broken; warnings may be there."""
        return not self.of("broken")

    def of(self, level: Level) -> list[Finding]:
        """Return the findings of one level."""
        return [one for one in self.findings if one.level == level]

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return lines for people: what is there, then what is wrong and how to mend it."""
        lines: list[str] = []
        for section, members in groupby(self.findings, key=lambda one: one.section):
            some = list(members)
            width = max(len(one.name) for one in some)
            lines += ["", section] if lines else [section]
            before = ""
            for one in some:
                if one.name != before:
                    lines.append(f"{_MARKS[one.level]} {one.name:{width}}  {one.shown}".rstrip())
                before = one.name
        for level, head in _HEADS.items():
            found = self.of(level)
            if found:
                lines += ["", head]
            for one in found:
                lines += _folded(f"{_MARKS[one.level]} {one.problem}")
                lines += _folded(f"  mend: {one.fix}") if one.fix else []
        if not self.of("broken") and not self.of("warning"):
            lines += ["", "Nothing is wrong."]
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        return {
            "moodbench": __version__,
            "ok": self.ok,
            "warnings": len(self.of("warning")),
            "broken": len(self.of("broken")),
            "findings": [asdict(one) | {"text": one.shown} for one in self.findings],
        }

    def json(self) -> str:
        """Return `record` as JSON."""
        return json.dumps(self.record(), indent=2, ensure_ascii=False, default=str) + "\n"


def _folded(line: str) -> list[str]:
    return wrap(line, _WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)


def doctor(*, workspace: Workspace | None = None) -> Diagnosis:
    """Return what a bug report needs to know of this machine, and what on it will hurt.

    A check that fails is a finding, and nothing is raised. No token, password or user name is among the findings: of
    addresses the host is shown, and ``~`` stands for the home. Nothing is asked of the network.

    Parameters
    ----------
    workspace : Workspace, optional
        Whose folders and catalogues are looked at. A folder that is there (or else the nearest one above it) is asked
        by writing, locking and removing a file of a few bytes.
    """
    space = as_workspace(workspace)
    return Diagnosis(tuple(_findings(space)))


def _findings(space: Workspace) -> Iterator[Finding]:
    children = libraries.begin()  # they take seconds, and are asked while the others are
    places = {"data": space.data_dir, "cache": space.cache_dir, "results": space.results_dir}
    checks: dict[str, Check] = {
        machine.SECTION: machine.check,
        packages.SECTION: packages.check,
        libraries.SECTION: partial(libraries.check, children),
        folders.SECTION: partial(folders.check, places),
        catalogues.SECTION: partial(catalogues.check, space.catalogs),
        hub.SECTION: hub.check,
    }
    for section, check in checks.items():
        yield from asked(section, check)
