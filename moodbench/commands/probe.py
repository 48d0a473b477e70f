"""What ``moodbench probe`` does: cached ID train features → a linear head, the same kind for every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moodbench.arguments import as_names, check_whole
from moodbench.classes import unnamed_note
from moodbench.errors import CacheError, ModelError, MoodbenchError
from moodbench.names import check_name
from moodbench.probing.outcome import ProbeOutcome, describe
from moodbench.probing.task import choose_models, choose_task, is_ready
from moodbench.tables.notebooks import Records
from moodbench.types import Report
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.logistic import Settings


def probe(
    model: str | Sequence[str] = (),
    *,
    benchmark: str | None = None,
    name: str = "probe",
    layers: bool = False,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    settings: Settings | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> Records[ProbeOutcome]:
    """Train a linear head on the cached ID train features of each model: ``<cache-dir>/<model>/heads/<name>.h5``.

    Multinomial logistic regression on features that are standardised by ID train; the penalty lam / 2 · ||W||² is the
    one with the smallest negative log-likelihood on held-out ID rows: the benchmark's ID validation rows, or every
    tenth of ID train. The head is not fitted on those afterwards either, so that scores that tune on held-out rows meet
    rows the head has never seen. ``score(head=name)`` uses the heads; its results are those of the models
    ``MODEL+NAME``.

    Parameters
    ----------
    model : str or sequence of str
        Cached models; an empty sequence means all that have what is needed, but for views of them.
    benchmark : str, optional
        Whose ID train rows; may be omitted where only one ID train dataset is cached.
    name : str
        What to call the head.
    layers : bool
        Also one for each cached layer of these models: layers have no other.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int, optional
        CPU threads. By default one where little is to be computed, else all.
    force : bool
        Replace a head of that name that was made from something else.
    settings : Settings, optional
        Penalties and tolerances (`moodbench.logistic.Settings`).
    report : callable
        Is told, line by line, what is done, skipped and left out.

    Returns
    -------
    list of ProbeOutcome
        One for each model.

    Raises
    ------
    UnknownNameError, UsageError
        A name is unknown or cannot name a head, or it is not clear which benchmark is meant.
    CacheError
        Caches are missing, incomplete or damaged, or have no labels.
    CacheMismatchError
        Another head of that name is there. The other models are done before any of these is raised.
    """
    check_whole(optional=True, threads=threads)
    space = as_workspace(workspace)
    check_name(name, "head")
    models = choose_models(space, as_names(model), layers=layers)
    task, tests = choose_task(space, models, benchmark)
    chosen = [one for one in models if is_ready(space, one, task, named=bool(model), report=report)]
    if not chosen:
        raise CacheError(
            f"no model has a cache of {' and '.join(task.needs)}",
            file=space.cache_dir,
            fix="run moodbench extract --model M, or moodbench import, for it first",
        )
    from moodbench.devices import check_threads, resolve_device
    from moodbench.logistic import Settings as Defaults
    from moodbench.probing.one import Probing

    check_threads(threads)
    how = (threads, force, settings or Defaults(), progress, report)
    work = Probing(space, task, tests, name, resolve_device(device), *how)
    done: list[ProbeOutcome] = []
    faults: list[MoodbenchError] = []
    for one in chosen:
        try:
            done.append(work.run(one))
            report(describe(done[-1]))
        except (CacheError, ModelError) as error:  # the others are not to blame
            if len(chosen) == 1:
                raise
            faults.append(error)
            report(f"cannot probe {one}: {error.what}")
    by_number = unnamed_note(work.unnamed)
    if by_number:
        report(f"note: {by_number}")
    if faults:
        raise faults[0]
    return Records(done)
