"""What comparisons say in Markdown and LaTeX, whatever their notes hold."""

from __future__ import annotations

import re

import pytest

from moodbench.comparison.reference import Compared, Comparison, Reference
from moodbench.comparison.text import as_text
from moodbench.tables.order import Titles
from tests.latex import check_latex, compile_latex, needs_latex
from tests.tables import AWKWARD


def compared(score="msp", ours=0.9, theirs=0.8, note="", **more):
    difference = None if ours is None or theirs is None else ours - theirs
    values = {"benchmark": "b", "model": "vit", "score": score, "ood": "texture", "metric": "auroc"} | more
    return Compared(**values, ours=ours, theirs=theirs, difference=difference, inside=False, note=note)


def made(*rows, kind="published"):
    return Comparison(Reference(f"the numbers of {AWKWARD}", kind, ()), rows)


SOME = made(
    compared(note=f"other transform: {AWKWARD}"),
    compared("vim", note="random head: --head own_head"),
    compared("knn", ours=None, note="no results of <ours> | of *vit_b* [x](y)"),
)
TITLES = Titles(models={"vit": AWKWARD}, scores={"vim": "ViM_2"}, datasets={"texture": "Tex|ture"})


def test_markdown_escapes_the_answer_notes_and_reasons():
    text = as_text(SOME, "markdown", titles=TITLES)
    first, *_, last = text.strip().splitlines()
    for line in (first, last):
        assert "<b>" not in line
        assert "<ours>" not in line
        assert not re.search(r"(?<!\\)[*|\[\]]", line.removeprefix("- "))
    assert r"of \*vit\_b\* \[x\](y)" in last or r"of \*vit_b\* \[x\](y)" in last
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


@pytest.mark.parametrize("kind", ["published", "sheet", "folder"])
def test_latex_is_sound(kind):
    text = as_text(made(*SOME, kind=kind), "latex", titles=TITLES)
    assert check_latex(text) > 2
    assert all(line.startswith(("%", "\\", " ")) or " & " in line for line in text.splitlines() if line)


@needs_latex
@pytest.mark.parametrize("columns", ["twocolumn", "onecolumn"])
def test_latex_compiles(columns, tmp_path):
    many = made(*(compared(f"s{i}", 0.5 + i / 1000, note=f"reason {i} {AWKWARD}" * 3) for i in range(40)), *SOME)
    compile_latex(as_text(many, "latex", titles=TITLES), tmp_path, columns)


def test_nothing_to_compare_is_a_comment_in_latex():
    text = as_text(made(compared(ours=None, note=AWKWARD)), "latex")
    assert all(line.startswith("%") for line in text.splitlines())


def test_a_comparison_is_a_sequence_of_its_rows():
    assert list(SOME) == list(SOME.rows)
    assert (len(SOME), SOME[0], SOME[1:]) == (3, SOME.rows[0], SOME.rows[1:])
    assert SOME.rows[1] in SOME
