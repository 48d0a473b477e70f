"""The steps of a study, each done by the function of the command that people would type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.before_torch import set_switches
from moodbench.choices import Pool
from moodbench.commands.extract import extract_features
from moodbench.commands.extract_views import Views
from moodbench.commands.head import text_head
from moodbench.commands.plot import plot
from moodbench.commands.probe import probe
from moodbench.commands.rank import rank
from moodbench.commands.report import report as write_report
from moodbench.commands.score import score
from moodbench.commands.table import table
from moodbench.datasets.request import ImageRequest, ImageSet
from moodbench.errors import MoodbenchError
from moodbench.features.settings import Settings
from moodbench.studies.folder import Folder
from moodbench.studies.known import Chosen, Known
from moodbench.studies.lines import command_line, extraction
from moodbench.studies.outputs import Output
from moodbench.studies.plan import OF_RESULTS, Step, scores_layers
from moodbench.types import Report
from moodbench.views import LAYER
from moodbench.workspace import Workspace

if TYPE_CHECKING:
    from moodbench.features.extract import Extraction


@dataclass(frozen=True)
class OpenedImages(ImageRequest):
    """Datasets whose images were found and listed before; every model takes the same."""

    sets: Sequence[ImageSet] = ()

    def open(self, space: Workspace, report: Report) -> list[ImageSet]:
        """Return them."""
        return list(self.sets)


@dataclass
class Execution:
    """Does steps, and knows what came out of those before.

    Attributes
    ----------
    known, sets, space, folder
        Of `moodbench.studies.prepare.Prepared`.
    report, progress
        As those of the commands.
    commands : list of str
        What was done, as command lines.
    layers : dict of model to sequence of str
        The layers of each model that the study extracts, as names of models.
    notes : list of str
        What is worth a line of the log, of the step that was done last.
    """

    known: Known
    sets: Mapping[str, ImageSet]
    space: Workspace
    folder: Folder
    report: Report
    progress: bool
    commands: list[str] = field(default_factory=list)
    layers: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def waits_for_failed(self, step: Step, failed: Mapping[str, MoodbenchError]) -> bool:
        """Say whether a step needs something that has failed; what shows results needs any results."""
        if step.kind in OF_RESULTS:
            return bool(failed) and not any(self.folder.results.rglob("*.csv"))
        assert step.model is not None
        name = str(step.model.name)
        needs = [f"extract {name}", f"view {name}"]
        heads = {self._head("probe"): f"probe {name}", self._head("text_head"): f"text head {name}"}
        head = self.known.study["view_head"] if step.kind == "view" else step.head
        return any(one in failed for one in (*needs, *([heads[head]] if head in heads else [])))

    def _head(self, section: str) -> str | None:
        return self.known.head_of(section) if self.known.study[section] is not None else None

    def run(self, step: Step) -> bool:
        """Do a step; return whether anything was to do.

        Raises
        ------
        MoodbenchError
            What the command raises.
        """
        self.notes.clear()
        if step.output is not None:
            return self._write(step.output)
        assert step.model is not None
        if step.kind in ("extract", "view"):
            return self._extract(step.model, with_head=step.kind == "view")
        if step.kind == "probe":
            return self._probe(step.model)
        return self._text_head(step.model) if step.kind == "text head" else self._score(step.model, step.head)

    def _did(self, command: str, values: Mapping[str, Any]) -> None:
        line = command_line(command, {**values, "catalogs": list(self.space.catalogs)}, self.folder.called)
        self.commands.append(line)

    # -- extraction and heads --------------------------------------------------------------------------------------

    def _extract(self, model: Chosen, *, with_head: bool) -> bool:
        from moodbench.features.rates import note_rate
        from moodbench.studies.cost import views_text

        said = self.known.study.said
        self._did("extract", extraction(model, said, *self._views(with_head=with_head)))
        if not self.sets:
            return False
        outcomes = self.extracted(model, self.settings(), with_head=with_head)
        name = str(model.name)
        found = dict.fromkeys(view for one in outcomes for view in one.views if view.startswith(LAYER))
        self.layers.setdefault(name, []).extend(f"{name}@{view}" for view in found)
        new = sum(one.rows - min(e.begun_at for e in (one, *one.views.values())) for one in outcomes)
        if new:
            seconds = sum(one.seconds for one in outcomes)
            device = _device_of(self.space, model, next(iter(self.sets)))
            folder = self.space.cache_dir / model.name.folder
            note_rate(folder, device, new, seconds, views_text(self.known, with_head=with_head))
        return new > 0

    def _views(
        self, *, with_head: bool
    ) -> tuple[Sequence[str], Sequence[str] | None, Sequence[str] | None, str | None]:
        """Return the views, the layers, those of changed images, and the head that views read.

        Of the step with such a head, or of the one without.
        """
        views, layers, inside, head = (self.known.study[key] for key in ("views", "layers", "view_layers", "view_head"))
        if head is None:
            return views, layers, inside, None
        return (views, None, inside, head) if with_head else ((), layers, None, None)

    def extracted(self, model: Chosen, settings: Settings, *, with_head: bool = False) -> list[Extraction]:
        """Extract every dataset with a model, and return what came out."""
        study = self.known.study
        views, layers, inside, head = self._views(with_head=with_head)
        pool: Pool = study["pool"] if layers or inside else "model"
        return extract_features(
            [model.choice],
            OpenedImages(sets=tuple(self.sets.values())),
            settings,
            views=Views.asked(layers, pool, views, head, study["extract"]["compile"], inside),
            workspace=self.space,
            report=self.report,
        )

    def settings(self) -> Settings:
        """Return how features are extracted."""
        how = self.known.study["extract"]
        set_switches()
        return Settings(
            self.known.study["device"],
            how["precision"],
            how["batch_size"],
            how["workers"],
            how["limit"],
            how["on_error"],
            self.progress,
            how["channels_last"],
            how["compile"],
        )

    def _probe(self, model: Chosen) -> bool:
        study = self.known.study
        said = {
            "benchmark": self.known.probe_on,
            "name": study["probe"]["name"],
            "device": study["device"],
            "threads": study["threads"],
        }
        models = [str(model.name), *(self.layers.get(str(model.name), []) if study["probe"]["layers"] else [])]
        self._did("probe", {"model": models, **said})
        outcomes = probe(models, **said, workspace=self.space, report=self.report, progress=self.progress)
        made = [one for one in outcomes if not one.already]
        self.notes += [f"{one.model}: {'; '.join(one.remarks)}" for one in made if one.remarks]
        return bool(made)

    def _text_head(self, model: Chosen) -> bool:
        study = self.known.study
        said = {key: value for key, value in study["text_head"].items() if value is not None and key != "models"}
        said["benchmark"] = self.known.text_on
        for key in ("class_names", "prompts"):
            if key in said and (key == "class_names" or study.path(said[key]).is_file()):
                said[key] = study.path(said[key])
        if "negatives" in said:
            said["negatives"] = [study.path(text) for text in said["negatives"]]
        weights = {"checkpoint": model.choice.checkpoint, "checkpoint_key": model.choice.checkpoint_key}
        said |= {"device": study["device"], **{key: value for key, value in weights.items() if value is not None}}
        self._did("head text", {"model": str(model.name), **said})
        outcome = text_head(str(model.name), **said, workspace=self.space, report=self.report, progress=self.progress)
        return not outcome.already

    # -- scores ----------------------------------------------------------------------------------------------------

    def _score(self, model: Chosen, head: str | None) -> bool:
        study = self.known.study
        how = study["score"]
        layers = scores_layers(self.known, head)
        models = [str(model.name), *(self.layers.get(str(model.name), []) if layers else [])]
        benchmarks = [spec.name for spec in self.known.benchmarks if self._can_have(spec.id_train, head)]
        said: dict[str, Any] = {
            "model": models,
            "score": self.known.scores,
            "benchmark": benchmarks,
            "params": self.known.params,
            "head": head,
            "device": study["device"],
            "threads": study["threads"],
            "bank_rows": how["bank_rows"],
            "seeds": how["seeds"],
            "by_class": how["by_class"],
            "missing": True,
        }
        self._did("score", said | {"scores_from": [study.path(text) for text in study["scores_from"]]})
        before = dict(self._stamps(benchmarks))
        score(**said, workspace=self.space, report=self.report, progress=self.progress)
        return dict(self._stamps(benchmarks)) != before

    def _can_have(self, id_train: str, head: str | None) -> bool:
        """Say whether a head can be used on a benchmark: one that was made here is of the classes of its ID train."""
        of = {self._head("probe"): self.known.probe_on, self._head("text_head"): self.known.text_on}
        if head is None or head not in of:
            return True
        made_on = next(spec for spec in self.known.benchmarks if spec.name == of[head])
        return made_on.id_train == id_train

    def _stamps(self, benchmarks: Sequence[str]) -> Iterator[tuple[Path, int]]:
        for benchmark in benchmarks:
            for file in (self.folder.results / benchmark).glob("*.csv"):
                yield file, file.stat().st_mtime_ns

    # -- what is shown ---------------------------------------------------------------------------------------------

    def _write(self, output: Output) -> bool:
        file = self.folder.root / output.file
        self._did(output.kind, {**output.how, "out": output.file})
        if self.folder.is_fresh(file, self._made_of()):
            self.report(f"skip {output.kind} {output.file}: up to date")
            return False
        from moodbench.atomic import write_file
        from moodbench.tables.formats.base import format_of

        how, space = dict(output.how), self.space
        if output.kind == "table":
            write_file(file, table(format=format_of(file), **how, workspace=space).encode())
        elif output.kind == "rank":
            write_file(file, rank(**how, workspace=space).text(format_of(file)).encode())
        elif output.kind == "plot":
            plot(**how, out=file, workspace=space)
        else:
            write_report(**how, out=file, workspace=space)
        self.report(f"wrote {file}")
        return True

    def _made_of(self) -> Iterator[Path]:
        """Yield all files that numbers and pictures come from."""
        yield from (file for file in self.folder.results.rglob("*") if file.is_file() and file.name[0] != ".")
        for one in self.known.models:
            for folder in self.space.cache_dir.glob(f"{one.name.folder}*"):
                yield from folder.glob("*.h5")
                yield from (file for file in folder.glob("scores/*") if file.name[0] != ".")
        yield from self.space.catalogs

    def resolved(self) -> dict[str, Any]:
        """Return what the study's names stood for."""
        from moodbench.studies.resolved import resolved

        return resolved(self.known, self.space, self.sets, self.layers)


def _device_of(space: Workspace, model: Chosen, dataset: str) -> str:
    from moodbench.features.cache import FeatureCache

    with FeatureCache(space.cache_file(model.name, dataset)) as cache:
        return str(cache.provenance.get("device"))
