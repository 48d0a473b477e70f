"""Both layouts as LaTeX in a two-column article, with text around: nothing sticks out, and references find them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import grid, per_dataset
from tests.tables import TITLES, result

OOD = [("texture", "far"), ("faces", "far"), ("photos", "far"), ("noise", "far"), ("ninco", "near")]
MODELS = ("vit", "moco", "beit", "Classification", "BEiT-like")

WORDS = "The table stands somewhere in a paper whose words go on and on around it, line by line. " * 40


def rows(models, scores):
    places = [*OOD, ("mean", "far"), ("mean", "all")]
    return [
        result(m, s, 0.5 + (31 * i + 17 * j) % 50 / 100, ood=ood, group=group)
        for i, m in enumerate(models)
        for j, s in enumerate(scores)
        for ood, group in places
    ]


NINE = rows(MODELS, ["msp", "energy", "knn", "vim", "s00", "s01", "s02", "s03", "s04"])
MANY = rows(MODELS[:2], ["msp", *(f"s{i:02}" for i in range(79))])


NOTES = tuple(f"score {i} failed: ValueError: {'something that takes two lines to explain ' * 5}" for i in range(60))


def latex(name: str) -> str:
    made = {
        "grid": lambda: grid(NINE, titles=TITLES),
        "one model": lambda: per_dataset(NINE, "vit", titles=TITLES),
        "every model": lambda: per_dataset(NINE, titles=TITLES),
        "many scores": lambda: per_dataset(MANY, titles=TITLES),
        "long notes": lambda: replace(per_dataset(NINE, "vit", titles=TITLES), footnotes=NOTES),
    }
    return FORMATS.get("latex")([made[name]()])


@pytest.mark.parametrize("name", ["grid", "one model", "every model", "many scores", "long notes"])
def test_tables_are_plain_floats_with_one_label_each(name):
    text = latex(name)
    assert "longtable" not in text
    assert not re.search(r"\\(loop|repeat|foreach|whiledo)", text)
    (label,) = re.findall(r"\\label\{(.*?)\}", text)
    assert re.fullmatch(r"tab:[a-z0-9.-]+", label)
    assert text.count(r"\begin{table*}") == 1 + text.count("(continued)")
    assert (r"\scriptsize" in text) == (name != "grid" or r"\tabcolsep}{2pt}" in text)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: the LaTeX of tables is not compiled")
@pytest.mark.parametrize("name", ["grid", "one model", "every model", "many scores", "long notes"])
def test_tables_compile_in_a_two_column_article_with_text_around(name, tmp_path):
    text = latex(name)
    (label,) = re.findall(r"\\label\{(.*?)\}", text)
    (tmp_path / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs,graphicx}\n\\begin{document}\\sloppy\n"
        f"{WORDS}\n\nTable~\\ref{{{label}}} shows it.\n{text}\n{WORDS}\n\n{WORDS}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    for _ in range(2):  # the second finds the references
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    wrong = ("Overfull", "too large", "undefined", "multiply")
    assert not [line for line in log.splitlines() if any(word in line for word in wrong)]
