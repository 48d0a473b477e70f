"""Extraction by several workers, on the devices of this machine or on a Ray cluster, which share the shards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.choices import EngineName
from moodbench.cluster import check_engine, cluster, fault_of, the_ray
from moodbench.commands.extract_said import described
from moodbench.commands.extract_workers import Begin, Begun, Extractors, Fill, Finish, Load, Shard, Task
from moodbench.errors import UsageError
from moodbench.features.lock import BusyError
from moodbench.features.marks import marked
from moodbench.features.settings import Settings
from moodbench.features.shards.share import Share
from moodbench.pools.dispatch import Dispatcher
from moodbench.pools.room import Node, room
from moodbench.processes import cores
from moodbench.progress import bar
from moodbench.sizes import many
from moodbench.types import Report

if TYPE_CHECKING:
    from moodbench.features.job import Extraction
    from moodbench.pools.contract import Pool

MOST_DECODING = 16
"""Processes that decode images for one worker."""


@dataclass(frozen=True)
class Engine:
    """Where an extraction is computed.

    Attributes
    ----------
    name : {"local", "ray"}
    address : str or None
        Of a Ray cluster to join.
    workers : int or None
        Of Ray.
    gpus : float or None
        Of each worker of Ray. None: 1 where there are any.
    """

    name: EngineName = "local"
    address: str | None = None
    workers: int | None = None
    gpus: float | None = None

    @classmethod
    def asked(
        cls, name: EngineName, address: str | None, workers: int | None, gpus: float | None, device: str, sharded: bool
    ) -> Engine:
        """Return what the options of ``extract`` say.

        Raises
        ------
        UsageError
            They contradict each other, or ray is not installed.
        """
        check_engine(name, address, workers if name == "ray" else None, own_workers=False)
        if name == "local":
            if gpus is not None:
                raise UsageError("--gpus-per-worker is said of workers of Ray", fix="add --engine ray, or leave it out")
            return cls()
        if sharded:
            raise UsageError(
                "--shard is the part of one job of an array; workers of Ray share the shards by themselves",
                fix="leave --shard or --engine ray out",
            )
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"Ray itself chooses which GPU a worker gets, and --device says '{device}'",
                fix="--device auto, cpu or cuda; --gpus-per-worker says how much of one",
            )
        if gpus is not None and not 0 <= gpus <= 1:
            raise UsageError(
                f"a worker computes on one GPU or on a part of one, got {gpus:g}", fix="a number from 0 to 1"
            )
        if device == "cpu" and gpus:
            raise UsageError(f"--device cpu computes on no GPU, and --gpus-per-worker asks for {gpus:g}")
        if device == "cuda" and gpus == 0:
            raise UsageError("--device cuda computes on GPUs, and --gpus-per-worker 0 asks for none")
        return cls(
            name, address, workers, 0.0 if device == "cpu" else 1.0 if device == "cuda" and gpus is None else gpus
        )


HERE = Engine()


def devices_of(engine: Engine, settings: Settings, share: Share | None) -> list[str]:
    """Return the devices of this machine to compute on, which are there; Ray's workers have their own.

    Raises
    ------
    UsageError
        One is not there, or a shard of a job array is asked for on several.
    """
    if engine.name == "ray":
        return [settings.device]
    from moodbench.devices import several_devices

    devices = several_devices(settings.device)
    if len(devices) > 1 and share is not None:
        raise UsageError(
            f"--shard is the part of one job of an array, and --device names {len(devices)} devices, which share the "
            "shards by themselves",
            fix="one device for each job of the array, or no --shard",
        )
    if len(devices) == 1:
        _ = replace(settings, device=devices[0]).torch_device  # said before the weights are read
    return devices


class Together:
    """Several workers that are there until all models are extracted."""

    def __init__(self, work: Dispatcher[Task], site: Extractors, report: Report) -> None:
        self._work, self._site, self._report = work, site, report
        self._progress = site.settings.progress

    def extract(self, model: int, told: set[str]) -> list[Extraction]:
        """Extract all datasets with one network; what was `told` of them already is not told again."""
        done = []
        for dataset, one in enumerate(self._site.sets):
            begun = self._begun(model, dataset)
            if dataset == 0 and begun.remark is not None:
                self._report(begun.remark)
            for remark in one.remarks():
                if remark not in told:
                    self._report(f"note: {remark}")
            told.update(one.remarks())
            outcome = self._filled(model, dataset, begun)
            self._report(described(begun.name, one.dataset, outcome))
            done.append(outcome)
        return done

    def _begun(self, model: int, dataset: int) -> Begun:
        """Let one worker make the plan, and the others build the network in the meantime."""
        answers: list[Any] = []
        others = [Load(model)] * (self._site.workers - 1)
        self._work.run([Begin(model, dataset), *others], lambda task, answer: answers.append(answer))
        begun: Begun = next(answer for answer in answers if answer is not None)
        return begun

    def _filled(self, model: int, dataset: int, begun: Begun) -> Extraction:
        """Fill the shards that are missing, and join them."""
        computed: dict[str | None, int] = {}
        at_once: list[int] = []
        alone: list[Extraction] = []

        def answered(task: Task, answer: Any) -> None:
            if not isinstance(answer, Shard):  # of a cache that is no shards
                alone.append(answer)
            else:
                at_once.append(answer.at_once)
                for view, rows in answer.computed.items():
                    computed[view] = computed.get(view, 0) + rows

        began = time.monotonic()
        if begun.alone:
            model_on = f"{begun.name} on {self._site.sets[dataset].dataset}"
            self._report(f"{model_on} was begun in one file: one worker goes on with it")
        if begun.missing:
            title = f"{begun.name} {self._site.sets[dataset].dataset}"
            with bar(title, begun.rows, shown=self._progress, done=begun.there) as done:
                tasks = [Fill(model, dataset, shard) for shard in begun.missing]
                self._work.run(tasks, answered, done.update)
        if alone:
            return alone[0]
        seconds = time.monotonic() - began
        outcome: list[Any] = []
        last = Finish(model, dataset, bool(begun.missing))
        self._work.run([last], lambda task, answer: outcome.append(answer))
        own: Extraction = outcome[0]
        if not begun.missing:
            return own

        def counted(one: Extraction, view: str | None) -> Extraction:
            rows = computed.get(view, 0)
            size = min([*at_once, one.batch_size])
            return replace(one, begun_at=one.rows - rows, seconds=seconds, at_once=size)

        return replace(counted(own, None), views={name: counted(one, name) for name, one in own.views.items()})


@contextmanager
def together(engine: Engine, devices: list[str], site: Extractors, report: Report) -> Iterator[Together]:
    """Start the workers, and end them.

    Parameters
    ----------
    engine : Engine
    devices : sequence of str
        Of this machine, one for each worker; not looked at where the engine is Ray's.
    site : Extractors
        Settings of each worker, folder, mark, workers and threads are filled in here.
    report : callable
    """
    with ExitStack() as stack:
        site = replace(site, folder=str(Path.cwd()))
        pool: Pool
        if engine.name == "ray":
            site, pool = stack.enter_context(_on_ray(engine, site, report))
        else:
            site, pool = _here(devices, site)
        stack.enter_context(pool)
        named = {shard: _named(site, shard) for shard in (Load, Begin, Fill, Finish)}
        work: Dispatcher[Task] = Dispatcher(
            pool,
            name=lambda task: named[type(task)](task),
            held=lambda error: isinstance(error, BusyError),
            report=report,
        )
        yield Together(work, site, report)


def _named(site: Extractors, kind: type) -> Any:
    """Return how messages call a task of this kind."""

    def name(task: Any) -> str:
        model = site.choices[task.model].model
        model = model if isinstance(model, str) else site.choices[task.model].name or "the network"
        if kind is Load:
            return f"the network of '{model}'"
        of = f"'{model}' on '{site.sets[task.dataset].dataset}'"
        return f"shard {task.shard} of {of}" if kind is Fill else f"the {kind.__name__.lower()} of {of}"

    return name


def _here(devices: Sequence[str], site: Extractors) -> tuple[Extractors, Pool]:
    """Return a process for each device, which share the cores."""
    from moodbench.pools.local import LocalPool

    count = len(devices)
    threads = max(1, _threads() // count)
    decoding = site.settings.workers
    each = max(1, cores() // count) if decoding is None else -(-decoding // count)
    site = replace(site, workers=count, threads=threads)
    return site, LocalPool([_of(site, device, each) for device in devices])


def _threads() -> int:
    """Return how many threads a network would have in one process."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else cores()


def _of(site: Extractors, device: str, decoding: int) -> Extractors:
    """Return the same for one worker; the bar is shown by whoever gives the work."""
    how = replace(site.settings, device=device, workers=min(decoding, MOST_DECODING), progress=False)
    return replace(site, settings=how)


@contextmanager
def _on_ray(engine: Engine, site: Extractors, report: Report) -> Iterator[tuple[Extractors, Pool]]:
    """Join or start a cluster, and return actors that share its cores."""
    from moodbench.pools.rays import RayPool

    ray = the_ray()
    wanted = engine.workers or 1
    if engine.address is None and engine.workers is None and engine.gpus != 0:
        import torch

        wanted = int(torch.cuda.device_count() / (engine.gpus or 1)) or 1
    try:
        with cluster(engine.address, wanted, cpus_each=max(1, cores() // wanted), gpus_each=engine.gpus or 0):
            nodes = [
                Node(one["Resources"].get("CPU", 0), one["Resources"].get("GPU", 0))
                for one in ray.nodes()
                if one["Alive"]
            ]
            gpus = engine.gpus if engine.gpus is not None else float(any(node.gpus >= 1 for node in nodes))
            workers, cpus = room(nodes, engine.workers, gpus)
            report(
                f"{many(workers, 'worker')} of Ray on a cluster of {many(len(nodes), 'machine')}, each with "
                f"{many(cpus, 'CPU')}" + (f" and {gpus:g} GPU" if gpus else "")
            )
            with marked(site.workspace.cache_dir) as mark:
                site = replace(site, mark=mark, workers=workers, threads=cpus)
                yield site, RayPool(_of(site, "cuda" if gpus else "cpu", cpus), workers, cpus=cpus, gpus=gpus)
    except ray.exceptions.RayError as error:
        raise fault_of(error) from None
