"""Which distributions are installed, whether in the versions that moodbench asks for, and which extras."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from moodbench.diagnosis.findings import Finding
from moodbench.release import DISTRIBUTION, with_extra

SECTION = "packages"

EXTRAS = ("clip", "onnx", "parquet", "ray", "s3", "site", "transformers")
"""Those of pyproject.toml for people: what is installed may know fewer, where its notes are older than this source."""

_NAME = re.compile(r"^[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([a-z0-9-]+)['"]""")
_DEVELOPMENT = ("test", "dev")


@dataclass(frozen=True)
class Needed:
    """A line of a distribution's requirements: its name, what its version has to be (``>=2.6``), and of which extra."""

    name: str
    specifier: str
    extra: str | None


def requirements(lines: Sequence[str] | None) -> list[Needed]:
    """Return what these lines of a distribution's metadata ask for; ours among one another are left out."""
    found = []
    for line in lines or ():
        asked, _, marker = line.partition(";")
        name = _NAME.match(asked.strip())
        if name is None or name[0].lower().replace("_", "-") == DISTRIBUTION:
            continue
        extra = _EXTRA.search(marker)
        specifier = re.sub(r"\[[^\]]*\]", "", asked.strip()[name.end() :]).strip()
        found.append(Needed(name[0], specifier, extra[1] if extra else None))
    return found


def check() -> Iterator[Finding]:
    """Yield what moodbench needs, then its extras, then scores that other packages bring along."""
    try:
        lines = metadata.requires(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        problem = f"the distribution {DISTRIBUTION} is not installed: the folder of its source is used as it is"
        fix = "pip install --editable . in that folder, so that what it needs is known and there"
        yield Finding(SECTION, DISTRIBUTION, None, "not installed", "warning", problem, fix)
        return
    needed = requirements(lines)
    for one in needed:
        if one.extra is None:
            yield _required(one)
    extras = dict.fromkeys(one.extra for one in needed if one.extra is not None and one.extra not in _DEVELOPMENT)
    for extra in extras:
        if extra is not None:
            yield _extra(extra, [one for one in needed if one.extra == extra])
    for extra in EXTRAS:
        if extra not in extras:
            text = f"not known to the installed {DISTRIBUTION}: {with_extra(extra)}"
            problem = f"the installed notes of {DISTRIBUTION} are older than its source: they lack the extra '{extra}'"
            fix = "pip install --editable . again in the folder of the source"
            yield Finding(SECTION, f"extra {extra}", None, text, "warning", problem, fix)
    offered = [
        f"{point.name} ({point.dist.name if point.dist else '?'})"
        for point in metadata.entry_points(group="moodbench.scores")
    ]
    if offered:
        yield Finding(SECTION, "scores of other packages", offered, ", ".join(offered))


def _required(needed: Needed) -> Finding:
    version = version_of(needed.name)
    install = f"pip install '{needed.name}{needed.specifier}'"
    if version is None:
        problem = f"{needed.name} is not installed"
        return Finding(SECTION, needed.name, None, "not installed", "broken", problem, install)
    if not within(version, needed.specifier):
        problem = f"{needed.name} {version} is outside of the range that moodbench is tested with: {needed.specifier}"
        return Finding(SECTION, needed.name, version, version, "warning", problem, install)
    return Finding(SECTION, needed.name, version)


def _extra(extra: str, needed: Iterable[Needed]) -> Finding:
    versions = {one.name: version_of(one.name) for one in needed}
    missing = [name for name, version in versions.items() if version is None]
    old = [
        f"{one.name} {version} ({one.specifier})"
        for one in needed
        if (version := versions[one.name]) is not None and not within(version, one.specifier)
    ]
    text = f"not installed: {with_extra(extra)}" if missing else ", ".join(f"{k} {v}" for k, v in versions.items())
    if old and not missing:
        problem = f"of the extra '{extra}', outside of the range that moodbench is tested with: {', '.join(old)}"
        fix = with_extra(extra, upgrade=True)
        return Finding(SECTION, f"extra {extra}", versions, text, "warning", problem, fix)
    return Finding(SECTION, f"extra {extra}", versions, text)


def version_of(name: str) -> str | None:
    """Return the version of a distribution; None where it is not installed, or its notes are damaged."""
    try:
        found: str | None = metadata.version(name)
    except (metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return None
    return found


def within(version: str, specifier: str) -> bool:
    """Say whether a version is in a range; what cannot be read is."""
    try:
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (ImportError, ValueError):
        return True
