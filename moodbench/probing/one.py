"""The head of one model: there already, refused, or trained and stored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.errors import CacheMismatchError, ModelError
from moodbench.probing.outcome import ProbeOutcome, remarks_of
from moodbench.probing.task import Task
from moodbench.release import __version__, versions
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    import torch

    from moodbench.logistic import Settings
    from moodbench.probing.train import ProbeRows


@dataclass(frozen=True)
class Probing:
    """The same for every model."""

    space: Workspace
    task: Task
    tests: tuple[str, ...]
    name: str
    device: torch.device
    threads: int | None
    force: bool
    settings: Settings
    progress: bool
    report: Report
    unnamed: dict[str, None] = field(default_factory=dict)
    """Datasets of the models so far whose labels count as numbers."""

    def run(self, model: ModelName) -> ProbeOutcome:
        """Train the head of one model, unless it is there."""
        from moodbench.features.lock import exclusive

        file = self.space.head_file(replace(model, head=self.name))
        rows = self._open(model)
        self.unnamed.update(dict.fromkeys(rows.unnamed))
        inputs = {**self.task.record(), **rows.inputs, "settings": self.settings.record()}
        if (there := self._there(model, file, inputs)) is not None:  # on a read-only disk, too, that is a success
            return there

        def waiting() -> None:
            self.report(f"{model}: another process is making the head '{self.name}': waiting")

        with exclusive(file, waiting=waiting, tidy=True):
            return self._there(model, file, inputs) or self._trained(model, file, rows, inputs)

    def _there(self, model: ModelName, file: Path, inputs: Mapping[str, Any]) -> ProbeOutcome | None:
        """Return the head that is there if it was made from the same; refuse another, unless it is to be replaced."""
        from moodbench.features.heads import stored_head

        if not file.exists():
            return None
        before = self._said_by(file)
        if before.get("inputs") == inputs:
            stored_head(file)  # which says so if it belongs elsewhere
            return self._probed(model, file, before["fit"], already=True)
        if not self.force:
            raise _refusal(model, file, before.get("inputs", {}), inputs)
        return None

    def _trained(self, model: ModelName, file: Path, rows: ProbeRows, inputs: Mapping[str, Any]) -> ProbeOutcome:
        from moodbench.devices import arithmetic
        from moodbench.features.heads import write_head
        from moodbench.probing.train import accuracies, train_head

        begun = time.perf_counter()
        with arithmetic(self.threads or (1 if rows.small else None)):
            trained = train_head(rows, self.settings, self.device, title=f"probe {model}", progress=self.progress)
            write_head(file, trained.head, self._provenance(model, inputs, trained.record))
            tests = accuracies(trained.head, rows.tests, self.device)
        seconds = time.perf_counter() - begun
        return self._probed(model, file, trained.record, id_test=tests, seconds=seconds)

    def _said_by(self, file: Path) -> dict[str, Any]:
        """Return what a head that is there was made from; a damaged one is an error, unless it is to be replaced."""
        from moodbench.features.heads import head_provenance

        try:
            return head_provenance(file)
        except ModelError:
            if self.force:
                return {}
            raise

    def _open(self, model: ModelName) -> ProbeRows:
        from moodbench.features.cache import FeatureCache
        from moodbench.features.imported import refuse_without_features
        from moodbench.features.reader import RowReader
        from moodbench.probing.train import probe_rows
        from moodbench.scores.block import HELD_OUT

        def read(dataset: str) -> RowReader:
            reader = RowReader(self.space.cache_file(model, dataset))
            refuse_without_features(reader.file, reader.provenance)
            return reader

        cached = self.space.cached_datasets(model)
        tests = {}
        for name in self.tests:
            if name in cached:
                with FeatureCache(self.space.cache_file(model, name)) as cache:
                    complete = cache.complete
                if complete:
                    tests[name] = read(name)
        validation = None if self.task.id_val is None else read(self.task.id_val)
        return probe_rows(self.task, read(self.task.id_train), validation, HELD_OUT, tests)

    def _provenance(self, model: ModelName, inputs: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, object]:
        """Return what is stored beside the head. No time: equal inputs give equal bytes."""
        return {
            "source": "probe",
            "moodbench": __version__,
            "model": str(model),
            "inputs": inputs,
            "fit": record,
            "device": self.device.type,
            "versions": versions("numpy", "scipy", "torch"),
        }

    def _probed(self, model: ModelName, file: Path, record: Mapping[str, Any], **more: Any) -> ProbeOutcome:
        known = ("classes", "dim", "lam", "nll", "accuracy", "converged", "iterations", "passes")
        values = {name: record[name] for name in known}
        return ProbeOutcome(
            str(model),
            self.task.id_train,
            file,
            **values,
            remarks=tuple(remarks_of(record, self.settings.tolerance)),
            **more,
        )


def _refusal(model: ModelName, file: Path, before: Mapping[str, Any], inputs: Mapping[str, Any]) -> CacheMismatchError:
    words = {
        "id_train": f"another ID train dataset ('{before.get('id_train')}')",
        "classes": "other classes",
        "features": "other features",
        "held_out": "other held-out rows",
        "settings": "other settings",
    }
    differ = [word for key, word in words.items() if before.get(key) != inputs[key]] if before else []
    if before.get("id_train") != inputs["id_train"]:
        differ = differ[:1]  # then the rest differs as well
    return CacheMismatchError(
        f"the model '{model}' has another head '{file.stem}', "
        + (f"made from {', '.join(differ)}" if differ else "and nothing says what it was made from"),
        file=file,
        fix="choose another --name, or replace it with --force",
    )
