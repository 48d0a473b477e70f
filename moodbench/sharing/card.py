"""What stands beside the submissions: a README that tells people what is there, and how git is to treat the files.

The README is the card of a dataset repository too. Its list has a line for each submission, sorted, and no sums: where
two people share at once, git joins the lines of both (``merge=union``), and the next who shares writes it anew.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from moodbench.atomic import replace_file, writing
from moodbench.sharing.layout import SUBMISSIONS, Submission
from moodbench.tables.marks import printed
from moodbench.types import ALL_GROUPS, MEAN, Report, Result

README = "README.md"
ATTRIBUTES = ".gitattributes"

_ATTRIBUTES = (f"/{README} merge=union", f"/{SUBMISSIONS}/** -text")
"""Both sides' lines of the list count; and line ends stay as they are, which the digests of files are of."""

BEGIN, END = "<!-- moodbench: the list of submissions begins -->", "<!-- moodbench: it ends here -->"

_CARD = f"""---
pretty_name: OOD detection results
tags:
- out-of-distribution-detection
- moodbench
configs:
- config_name: default
  data_files: {SUBMISSIONS}/*/*/*.csv
---

# OOD detection results

Results of moodbench: how well scores tell out-of-distribution images by the features of pretrained models. Each row
is a score of a model on an OOD dataset of a benchmark, or a mean over several; fractions, ID is positive.

`{SUBMISSIONS}/BENCHMARK/MODEL/SUBMITTER.csv` holds the numbers, and the `.json` beside it what they were made from:
digests of weights, head, lists of images and features, the definition of the benchmark, versions, and under
`submission` who shared them, and when. Its `sha256` are the digests of both files: they are not to be edited by hand.

```sh
moodbench results pull SOURCE --into results   # SOURCE: this folder, or hf:ORG/NAME
moodbench results push TARGET --submitter NAME
moodbench report --leaderboard SOURCE
```

## Submissions

{BEGIN}
{END}
"""

_HEAD = ("benchmark", "model", "submitter", "date", "rows", "scores", "best mean AUROC, %", "moodbench")


def write_card(folder: Path, submissions: Sequence[Submission], report: Report = lambda line: None) -> list[Path]:
    """Bring both files up to date, and return those that changed.

    A README that somebody else wrote stays as it is, unless it has the two lines between which the list belongs.

    Raises
    ------
    ResultsError
        The file system refuses.
    """
    changed = []
    readme, attributes = folder / README, folder / ATTRIBUTES
    text = readme.read_text(encoding="utf-8", errors="surrogateescape") if readme.exists() else _CARD
    new = with_list(text, submissions)
    if new is None:
        report(f"{readme}: not of moodbench, and left as it is")
    elif new != text or not readme.exists():
        with writing(readme):
            replace_file(readme, new.encode("utf-8", "surrogateescape"))
        changed.append(readme)
    there = attributes.read_text(encoding="utf-8", errors="surrogateescape") if attributes.exists() else ""
    lacking = [line for line in _ATTRIBUTES if line not in there.splitlines()]
    if lacking:
        begin = there if not there or there.endswith("\n") else f"{there}\n"
        with writing(attributes):
            replace_file(
                attributes, (begin + "".join(f"{one}\n" for one in lacking)).encode("utf-8", "surrogateescape")
            )
        changed.append(attributes)
    return changed


def card_files(folder: Path) -> list[Path]:
    """Return those of the two files that are there and hold something of moodbench."""
    marks = {README: BEGIN, ATTRIBUTES: _ATTRIBUTES[1]}
    found = [(folder / name, mark) for name, mark in marks.items() if (folder / name).is_file()]
    return [file for file, mark in found if mark in file.read_text(encoding="utf-8", errors="surrogateescape")]


def with_list(text: str, submissions: Iterable[Submission]) -> str | None:
    """Return a README with the list of these submissions in its place; None if it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return None
    return "\n".join([f"{before}{BEGIN}", *_lines(submissions), f"{END}{after}"])


def _lines(submissions: Iterable[Submission]) -> Iterator[str]:
    ordered = sorted(submissions, key=lambda one: (one.benchmark, one.model, one.submitter))
    if ordered:
        yield f"\n| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}"
    for one in ordered:
        cells = (
            one.benchmark,
            one.model,
            one.submitter,
            one.about["time"][:10],
            str(len(one.rows)),
            str(len({(row.score, row.params) for row in one.rows})),
            _best(one.rows),
            one.about["moodbench"],
        )
        yield f"| {' | '.join(map(_escaped, cells))} |"
    if ordered:
        yield ""


def _best(rows: Sequence[Result]) -> str:
    means = [row for row in rows if (row.ood, row.group) == (MEAN, ALL_GROUPS) and row.auroc is not None]
    best = max((row for row in means if not row.control), key=lambda row: row.auroc or 0.0, default=None)
    return "" if best is None else f"{printed(best.auroc or 0.0)} ({best.score})"


def _escaped(text: str) -> str:
    """Return a text that is neither HTML nor Markdown, on one line."""
    plain = html.escape(" ".join(text.split()))
    return "".join(f"&#{ord(letter)};" if letter in "|`*[]!\\~" else letter for letter in plain)
