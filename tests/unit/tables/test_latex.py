"""Tables as LaTeX: ASCII alone, floats that go on, and a document that compiles."""

from __future__ import annotations

import math
import shutil
import subprocess

import pytest

from moodbench.tables.escape import escape_latex
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import Table, grid, per_dataset
from tests.tables import AWKWARD, CONVENTION, FAMILY, SMALL, TABLE, TITLES, awkward, result


def test_latex():
    table = grid(SMALL, titles=TITLES)
    assert FORMATS.get("latex")([table]) == (
        r"""% preamble: \usepackage{booktabs,graphicx}
\begin{table}
\centering
\caption{imagenet: mean over all OOD datasets}\label{tab:imagenet-mean-over-all-ood-datasets}
\setlength{\tabcolsep}{4pt}
\setlength{\defaultaddspace}{0.5\baselineskip}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{llrrrr}
\toprule
 &  & \multicolumn{2}{c}{classification} & \multicolumn{2}{c}{masked image modeling} \\
\cmidrule(lr){3-4} \cmidrule(lr){5-6}
 &  & \multicolumn{2}{c}{ViT-B/16} & \multicolumn{2}{c}{BEiT v2} \\
\cmidrule(lr){3-4} \cmidrule(lr){5-6}
"""
        r"family & score & \multicolumn{1}{c}{AUROC $\uparrow$} & \multicolumn{1}{c}{FPR95 $\downarrow$}"
        r" & \multicolumn{1}{c}{AUROC $\uparrow$} & \multicolumn{1}{c}{FPR95 $\downarrow$} \\"
        r"""
\midrule
probability & MSP & 50.00 & 87.50 & \textbf{98.50} & \underline{10.00} \\
\addlinespace
feature & KNN & --- & --- & \underline{90.00} & \textbf{5.00} \\
\bottomrule
\end{tabular}}
"""
        r"\par\smallskip\parbox{\linewidth}{\footnotesize\raggedright "
        r"Percent; \textbf{best} and \underline{second best} of each column.\\ "
        r"Best AUROC of the table: MSP on BEiT v2\\ --- no labels: ViT-B/16 (KNN)\\ "
        rf"FPR95: {CONVENTION}}}"
        "\n\\end{table}\n"
    )


def test_latex_is_ascii_whatever_the_names_hold():
    text = "ε-∞ Σ λ x² L₂ é ½ 漢 ‖·‖ ﬁ"
    expected = (
        r"$\varepsilon$-$\infty$ $\Sigma$ $\lambda$ x$^{2}$ L$_{2}$ \'{e} 1/2 {[}U+6F22] $\Vert$$\cdot$$\Vert$ fi"
    )
    shown = FORMATS.get("latex")([awkward(text)])
    assert shown.count(expected) == 5
    assert shown.isascii()
    every = "".join(map(chr, (*range(32, 0xD800), *range(0xE000, 0x11000))))
    assert escape_latex(every).isascii()


def long_table(models: int) -> Table:
    return per_dataset([result(f"m{i}", score, 0.5 + i / 1000) for i in range(models) for score in FAMILY])


def test_a_latex_table_higher_than_a_page_goes_on_in_further_floats_with_its_number_and_headings():
    table = long_table(3)
    text = FORMATS.get("latex")([table])
    parts = text.count(r"\begin{table}")
    assert parts == text.count(r"\scriptsize") / 2 == math.ceil(len(table.rows) / 53) > 1
    assert text.count(r"\addtocounter{table}{-1}") == text.count("(continued)") == parts - 1
    assert text.count("Continued on the next page.") == parts - 1
    assert text.count("AUROC") == parts
    bodies = [part.split(r"\bottomrule")[0] for part in text.split(r"\midrule")[1:]]
    assert sum(body.count(r" \\") for body in bodies) == len(table.rows)
    assert r"\scriptsize" not in FORMATS.get("latex")([TABLE])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: the LaTeX of tables is not compiled")
@pytest.mark.parametrize("name", ["grid", "wide grid", "datasets", "every model", "three pages"])
@pytest.mark.parametrize("columns", ["twocolumn", "onecolumn"])
def test_latex_compiles_without_anything_too_wide_or_too_high(name, columns, tmp_path):
    scores = [score for score in FAMILY if score in ("msp", "energy", "knn", "vim")]
    wide = [result(f"m{i}", score, 0.5 + i / 1000) for i in range(9) for score in scores]
    table = {
        "grid": grid(SMALL, titles=TITLES),
        "wide grid": grid(wide, metric=["auroc", "fpr95", "aupr_in"]),
        "datasets": TABLE,
        "every model": per_dataset(wide, metric=["auroc", "fpr95", "aupr_in", "aupr_out", "autc"]),
        "three pages": long_table(2),
    }[name]
    text = FORMATS.get("latex")([table])
    document = rf"\documentclass[{columns}]{{article}}\usepackage{{booktabs,graphicx}}"
    (tmp_path / "paper.tex").write_text(document + "\n\\begin{document}\n" + text + "\\end{document}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert not [line for line in log.splitlines() if "Overfull" in line or "too large" in line]


def test_latex_escapes_what_has_a_meaning():
    text = FORMATS.get("latex")([awkward()])
    assert text.count(
        r"a\_b \% \& \# \$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \textbar{} "
        r"\textless{}b\textgreater{} {[}c] {*}d{*}"
    ) == len(["caption", "heading", "block", "title", "footnote"])
    assert AWKWARD not in text
