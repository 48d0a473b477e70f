"""A finding, and how checks are asked so that none can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from moodbench.diagnosis.words import plain

Level = Literal["ok", "warning", "broken"]
"""``warning`` will hurt sooner or later; with what is ``broken`` moodbench, or a part of it, does not work at all."""


@dataclass(frozen=True)
class Finding:
    """One answer.

    Attributes
    ----------
    section, name : str
        Under which it stands.
    value : str, number, bool, list, dict or None
        The answer, as JSON has it; sizes in bytes.
    text : str
        The same as people read it.
    level : {"ok", "warning", "broken"}
    problem, fix : str
        What is wrong, and how to mend it; empty where nothing is.
    """

    section: str
    name: str
    value: Any = None
    text: str = ""
    level: Level = "ok"
    problem: str = ""
    fix: str = ""

    @property
    def shown(self) -> str:
        """The answer in words."""
        if self.text:
            return self.text
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return "unknown" if self.value is None else str(self.value)


Check = Callable[[], Iterable[Finding]]


def asked(section: str, check: Check) -> Iterator[Finding]:
    """Yield the findings of a check; where it raises, what it found until then and a finding that says so."""
    try:
        yield from check()
    except Exception as error:  # whatever it is, the other checks are of use
        what = plain(f"{type(error).__name__}: {error}")
        problem = f"a check of {section} did not come to its end: {what}"
        yield Finding(section, "not checked", None, what, "warning", problem, "please report this line")
