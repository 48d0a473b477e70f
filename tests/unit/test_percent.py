"""Shares are written in one way in messages, tables and docs: ``99.45 %``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import moodbench
from moodbench.sizes import percent

PACKAGE = Path(moodbench.__file__).parent
HOME = PACKAGE.parent


def test_a_share_has_a_blank_before_its_sign():
    assert percent(0.99451) == "99.45 %"
    assert percent(1, 0) == "100 %"


def test_no_text_of_the_package_formats_a_share_in_another_way():
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            spec = isinstance(node, ast.FormattedValue) and node.format_spec
            if isinstance(spec, ast.JoinedStr):
                assert not ast.unparse(spec).rstrip("'\"").endswith("%"), f"{file.name}:{node.lineno}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and file.name != "page.py":
                assert not re.search(r"[\d}]%(?!\d|\.\d|[a-zA-Z])", node.value), f"{file.name}:{node.lineno}"


def test_no_page_of_the_docs_writes_it_in_another_way():
    for page in [HOME / "README.md", HOME / "CHANGELOG.md", *(HOME / "docs").glob("*.md")]:
        assert not re.search(r"\d%", page.read_text("utf-8")), page.name
