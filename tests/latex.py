"""A strict reading of the LaTeX that tables are written in, and its compilation where there is an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: LaTeX is not compiled")

_ESCAPED = re.compile(r"\\[&%$#_{}\\]|\\[a-zA-Z]+\*?|\\[^a-zA-Z]")
_SPEC = re.compile(r"\\begin\{tabular\}\{([lrc]+)\}")
_SPAN = re.compile(r"\\multicolumn\{(\d+)\}\{c\}")
_RULE = re.compile(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}")


def check_latex(text: str) -> int:
    """Raise an AssertionError unless tables are sound LaTeX, and return how many rows they have.

    ASCII; braces and environments close; no character with a meaning stands unescaped; every row of a tabular has as
    many cells as its head says, and rules lie within it; every label occurs once.
    """
    assert text.isascii()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    _check_braces(body)
    begun = re.findall(r"\\begin\{(\w+\*?)\}", body)
    assert sorted(begun) == sorted(re.findall(r"\\end\{(\w+\*?)\}", body))
    labels = re.findall(r"\\label\{([^}]*)\}", body)
    assert len(set(labels)) == len(labels)
    columns, rows = 0, 0
    for line in lines:
        spec = _SPEC.search(line)
        if spec is not None:
            columns = len(spec[1])
        elif r"\end{tabular}" in line:
            columns = 0
        elif columns and line.endswith(r" \\"):
            rows += 1
            assert _width(line.removesuffix(r" \\")) == columns, line
            _check_characters(re.sub(r"(?<!\\)&", "", line.removesuffix(r" \\")))
        elif columns:
            for first, last in _RULE.findall(line):
                assert 3 <= int(first) <= int(last) <= columns
        elif not line.startswith(("\\begin", "\\resizebox", "\\setlength")):
            _check_characters(re.sub(r"\\(label|ref)\{[^}]*\}|Table~", "", line).removesuffix("%"))
    return rows


def _width(line: str) -> int:
    """Return the columns that the cells of a line fill."""
    cells = re.split(r"(?<!\\)&", line)
    return sum(int(span[1]) if (span := _SPAN.search(cell)) else 1 for cell in cells)


def _check_characters(text: str) -> None:
    inside = re.sub(r"\$[^$]*\$", "", _ESCAPED.sub("", text))  # maths may have what text may not
    wrong = set(inside) & set("&%$#_^~\\")
    assert not wrong, (wrong, text)


def _check_braces(text: str) -> None:
    depth = 0
    for char in _ESCAPED.sub("", text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0


def compile_latex(text: str, folder: Path, columns: str = "twocolumn") -> None:
    """Set tables in an article, and raise an AssertionError if that fails or anything is too wide or too high."""
    document = rf"\documentclass[{columns}]{{article}}\usepackage{{booktabs,graphicx}}"
    (folder / "paper.tex").write_text(f"{document}\n\\begin{{document}}\n{text}\\end{{document}}\n", encoding="ascii")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "paper.log").read_text(errors="replace")
    assert not [line for line in log.splitlines() if "Overfull" in line or "too large" in line]
