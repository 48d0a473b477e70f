"""What is released: the version, and the name under which package indexes have moodbench.

The version stands here and nowhere else: hatchling reads it from this file, and a test compares CITATION.cff. So
results note the version of the code that ran, also from a checkout whose installed metadata is old.
"""

from __future__ import annotations

from importlib.metadata import version

__version__ = "0.1.0"

DISTRIBUTION = "moodbench-ood"
"""On package indexes, where another project holds ``mood-bench``. Command and import are ``moodbench``."""


def with_extra(extra: str, *, upgrade: bool = False) -> str:
    """Return the command that installs an extra, for messages; `upgrade` brings what is there up to date."""
    return f"pip install {'-U ' if upgrade else ''}'{DISTRIBUTION}[{extra}]'"


def versions(*packages: str) -> dict[str, str]:
    """Return the version of each distribution by its name, in the order given; ``moodbench`` is this one.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        One of them is not installed.
    """
    return {package: __version__ if package == "moodbench" else version(package) for package in packages}
