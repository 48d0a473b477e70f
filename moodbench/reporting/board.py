"""The leaderboard of a benchmark: what people shared, by mean AUROC, as far as it was tested on the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodbench.reporting.origin import Origin, origin_of
from moodbench.reporting.places import Cell, View, other_images, ranked, repeats, scale, tested
from moodbench.reporting.sheet import hundredths
from moodbench.reporting.words import about_trials
from moodbench.sharing.layout import Submission
from moodbench.sizes import many
from moodbench.tables.marks import printed
from moodbench.tables.order import Titles
from moodbench.types import ALL_GROUPS, MEAN, TRIAL, Family, Result


@dataclass(frozen=True)
class Entry:
    """A score of a model, as one submission has it; `origin` is the place of that among those of the board."""

    title: str
    model: str
    pretext: str
    score: str
    family: Family
    control: bool
    seen: str
    submitter: str
    date: str
    version: str
    id_accuracy: float | None
    notes: Sequence[str]
    repeated: str
    origin: int
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Board:
    """The leaderboard of one benchmark as it was tested on one collection of images.

    Attributes
    ----------
    name, title, label, about : str
        `label` is the title, with the number of test images where the benchmark has several boards; `about` then says
        what was tested.
    answer, lead : str
    views : sequence of str
        What the numbers are over: the mean over all OOD datasets first.
    scales : sequence of (float, float)
        For each view from where to where its bars go.
    entries : sequence of Entry
        Best first; those without a mean, and controls, last.
    origins : sequence of Origin
        One for each submission.
    facts : sequence of (str, str)
    """

    name: str
    title: str
    label: str
    about: str
    answer: str
    lead: str
    views: Sequence[str]
    scales: Sequence[tuple[float, float]]
    entries: Sequence[Entry]
    origins: Sequence[Origin]
    facts: Sequence[tuple[str, str]]

    def data(self) -> dict[str, Any]:
        """Return the numbers of all views for the page's program, in hundredths of a percent."""
        cells = [[None if cell is None else cell.data() for cell in entry.cells] for entry in self.entries]
        return {"cells": cells, "scales": [[hundredths(end) for end in ends] for ends in self.scales]}

    def below(self, cell: Cell, view: int = 0) -> bool:
        """Say whether an AUROC lies below where the bars begin."""
        return round(1e4 * cell.auroc) < round(1e4 * self.scales[view][0])

    def bar(self, cell: Cell, view: int = 0) -> tuple[float, float, float]:
        """Return where low, AUROC and high lie, in percent of the room of a bar."""
        low, high = self.scales[view]
        ends = (
            cell.auroc if cell.low is None else cell.low,
            cell.auroc,
            cell.auroc if cell.high is None else cell.high,
        )
        first, middle, last = (round(100 * min(max((one - low) / (high - low), 0.0), 1.0), 2) for one in ends)
        return first, middle, last


def boards_of(submissions: Iterable[Submission]) -> list[Board]:
    """Return the leaderboards of all benchmarks, by name; of one name, that of the most submissions first."""
    groups: list[list[Submission]] = []
    for one in sorted(submissions, key=lambda s: (s.benchmark, -len(tested(s)), s.model, s.submitter)):
        group = next((others for others in groups if _comparable(others, one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    groups.sort(key=lambda group: (group[0].benchmark, -len(group)))
    named = Counter(group[0].benchmark for group in groups)
    sizes = Counter((group[0].benchmark, _images(group)) for group in groups)
    numbers: Counter[str] = Counter()
    found = []
    for group in groups:
        name, images = group[0].benchmark, _images(group)
        numbers[name] += 1
        which = many(images, "test image")
        if sizes[name, images] > 1:
            which += f", {numbers[name]}"
        found.append(_board(group, which if named[name] > 1 else None))
    return found


def _images(group: Sequence[Submission]) -> int:
    return sum({name: rows for one in group for name, rows in tested(one).items()}.values())


def _comparable(others: Sequence[Submission], one: Submission) -> bool:
    """Say whether a submission was tested as those are: the same definition, as many images of each dataset."""
    first = others[0]
    if (
        first.benchmark != one.benchmark
        or first.provenance["inputs"]["benchmark"] != one.provenance["inputs"]["benchmark"]
    ):
        return False
    there = {name: rows for other in others for name, rows in tested(other).items()}
    return all(there.get(name, rows) == rows for name, rows in tested(one).items())


def _board(group: Sequence[Submission], which: str | None) -> Board:
    """Return the board of a group; `which` of several of the benchmark it is, in words."""
    group = sorted(group, key=lambda one: (one.model, one.submitter))
    titles = Titles(
        {one.model: one.about["model"]["title"] for one in group if one.about["model"].get("title")},
        {name: said["title"] for one in group for name, said in one.provenance.get("scores", {}).items()},
        {name: title for one in group for name, title in one.about["titles"].items() if title},
    )
    views = _views(group, titles)
    rows = [(number, key, its) for number, one in enumerate(group) for key, its in _series(one).items()]
    cells = [_cells(its, views) for _, _, its in rows]
    competing = [not next(iter(its.values())).control for _, _, its in rows]
    placed = [ranked([of[v] for of in cells], competing) for v in range(len(views))]
    repeated = repeats(group, rows)
    odd = other_images(group)
    entries = [
        _entry(
            group[number],
            number,
            its,
            titles,
            [of[place] for of in placed],
            repeated.get(place, ""),
            odd.get(number, ()),
        )
        for place, (number, _, its) in enumerate(rows)
    ]
    entries.sort(key=lambda one: (one.control, one.cells[0] is None, -(one.cells[0].auroc if one.cells[0] else 0.0)))
    scales = [scale([entry.cells[v] for entry in entries if not entry.control]) for v in range(len(views))]
    name = group[0].benchmark
    title = titles.datasets.get(name, name)
    return Board(
        name,
        title,
        title if which is None else f"{title} ({which})",
        "" if which is None else _definition(group),
        *_answer(entries),
        [_title_of(view, titles) for view in views],
        scales,
        entries,
        [_origin(one, titles) for one in group],
        list(_facts(group, entries)),
    )


def _series(one: Submission) -> dict[tuple[str, str], dict[View, Result]]:
    found: dict[tuple[str, str], dict[View, Result]] = {}
    for row in one.rows:
        found.setdefault((row.score, row.params), {})[row.ood, row.group] = row
    return found


def _views(group: Sequence[Submission], titles: Titles) -> list[View]:
    """Return the mean over all, the means over groups, and the OOD datasets, as far as there are rows of them."""
    there = {(row.ood, row.group) for one in group for row in one.rows} | {(MEAN, ALL_GROUPS)}
    order: dict[str, None] = {}
    for name in group[0].provenance["inputs"]["benchmark"]["ood"]:
        order[name] = None
    for _, name in sorted(there):
        order.setdefault(name, None)
    groups = [ALL_GROUPS, *(name for name in order if name != ALL_GROUPS)]
    means = [(MEAN, name) for name in groups if (MEAN, name) in there]
    single = sorted({view for view in there if view[0] != MEAN}, key=lambda v: (groups.index(v[1]), v[0]))
    return means + single


def _title_of(view: View, titles: Titles) -> str:
    ood, group = view
    if ood == MEAN:
        return "mean over all OOD datasets" if group == ALL_GROUPS else f"mean over {group} OOD"
    return titles.datasets.get(ood, ood)


def _cells(its: Mapping[View, Result], views: Sequence[View]) -> list[Cell | None]:
    rows = (its.get(view) for view in views)
    return [
        None
        if row is None or row.auroc is None
        else Cell(row.auroc, row.auroc_low, row.auroc_high, row.fpr95, None, None)
        for row in rows
    ]


def _entry(
    one: Submission,
    origin: int,
    its: Mapping[View, Result],
    titles: Titles,
    cells: Sequence[Cell | None],
    repeated: str,
    odd: Sequence[str],
) -> Entry:
    first = next(iter(its.values()))
    score = " ".join(filter(None, [titles.scores.get(first.score, first.score), first.params]))
    notes = [*odd, *(repeated,), *(note for row in its.values() for note in (*row.remarks, row.note))]
    return Entry(
        titles.model(one.model),
        one.model,
        first.pretext,
        score,
        first.family,
        first.control,
        _seen(one.about["model"]),
        one.submitter,
        one.about["time"][:10],
        one.about["moodbench"],
        first.id_accuracy,
        list(dict.fromkeys(note for note in notes if note)),
        repeated,
        origin,
        cells,
    )


def _seen(model: Mapping[str, str | None]) -> str:
    """Return what a model has seen besides its pretext task, as its submitter's catalogue says it."""
    labels = model.get("labels_seen")
    parts = [
        model.get("data"),
        None if labels is None else "no further labels" if labels == "none" else f"labels: {labels}",
        "text" if model.get("text_supervision") == "yes" else None,
    ]
    return "; ".join(part for part in parts if part) or "not said"


def _answer(entries: Sequence[Entry]) -> tuple[str, str]:
    ranked = [(one, one.cells[0]) for one in entries if one.cells[0] is not None and not one.control]
    if not ranked:
        return "No entry has a mean over all OOD datasets yet", ""
    best, cell = ranked[0]
    assert cell is not None
    answer = f"{best.score} on {best.title}, {printed(cell.auroc)}"
    said = about_trials([_is_trial(one) for one, _ in ranked])
    lead = _told_apart(ranked)
    return answer, " ".join(part for part in (said, lead) if part)


def _is_trial(one: Entry) -> bool:
    return any(note.startswith(TRIAL) for note in one.notes)


def _told_apart(ranked: Sequence[tuple[Entry, Cell | None]]) -> str:
    rivals = [one for one, its in ranked[1:] if its is not None and its.first == 1]
    if not rivals:
        return "" if len(ranked) == 1 else "The intervals of all others end below its own."
    verb = "is" if len(rivals) == 1 else "are"
    others = many(len(rivals), "other entry", "other entries")
    return f"{others} {verb} not told apart from it: the intervals overlap."


def _facts(group: Sequence[Submission], entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    for number, one, more in (
        (len(entries), "entry", "entries"),
        (len({submission.submitter for submission in group}), "submitter", "submitters"),
        (len({submission.model for submission in group}), "model", "models"),
        (len({entry.score for entry in entries}), "score", "scores"),
    ):
        yield str(number), one if number == 1 else more
    yield max(submission.about["time"] for submission in group)[:10], "latest submission"


def _definition(group: Sequence[Submission]) -> str:
    """Return in words what the entries were tested on."""
    sizes = {name: rows for one in group for name, rows in tested(one).items()}
    return f"tested on {', '.join(f'{name} ({rows:,})' for name, rows in sorted(sizes.items()))}"


def _origin(one: Submission, titles: Titles) -> Origin:
    found = origin_of(one.model, titles.model(one.model), one.provenance)
    about = [
        ("submitted by", f"{one.submitter}, {one.about['time']}"),
        ("signature of inputs", one.about["signature"]["inputs"]),
        ("signature of recipe", one.about["signature"]["recipe"]),
        ("moodbench", one.about["moodbench"]),
    ]
    return Origin(
        found.model,
        f"{found.title}, by {one.submitter}",
        [*about, *found.facts],
        found.parts,
        found.made_with,
        found.whole,
    )
