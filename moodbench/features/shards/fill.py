"""Shards as units of work: plan them once, fill any of them anywhere, join them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.create import Layout, create_cache, refuse_if_full
from moodbench.features.job import Extraction, Job, outcome_of
from moodbench.features.lock import BusyError, begun_or_nothing, exclusive
from moodbench.features.passes import Networks, attempt, fill
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.shards.join import join
from moodbench.features.shards.lost import LostPlan, lost_plan
from moodbench.features.shards.plan import (
    ROWS_PER_SHARD,
    ShardPlan,
    list_digest,
    plan_file,
    read_plan,
    refuse_other_shards,
    write_plan,
)
from moodbench.features.shards.share import MOST_SHARDS, Share, whole_batches
from moodbench.features.targets import Arithmetic, Target, is_done
from moodbench.lock import POLL_SECONDS
from moodbench.sizes import many


@dataclass
class ShardedExtraction:
    """The extraction of a dataset, with its views, in shards.

    Everybody who takes part makes one of the same images and settings, calls `begin`, and fills what he is told to;
    nothing but the cache folder is shared. `Extraction.views` of what is returned are by the views' names.

    Attributes
    ----------
    job : Job
    targets : sequence of Target
    networks : Networks
        The network is kept from one shard to the next.
    plans : dict of Target to ShardPlan
        Of the caches that are not done; empty where all are, and before `begin`.
    """

    job: Job
    targets: Sequence[Target]
    networks: Networks

    def __post_init__(self) -> None:
        self.plans: dict[Target, ShardPlan] = {}

    @property
    def plan(self) -> ShardPlan | None:
        """One of the plans, which all have the same shards; None where everything is done."""
        return next(iter(self.plans.values()), None)

    @property
    def indexes(self) -> range:
        """The shards: 1 to N. Empty where everything is done."""
        return range(1, 1 + (self.plan.shards if self.plan else 0))

    def begin(self, share: Share | None = None, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        """Read the plans that are there, and make those that are not; idempotent, by any number of processes at once.

        Parameters
        ----------
        share : Share, optional
            New plans have so many shards; those that are there must.
        rows_per_shard : int
            Otherwise; rounded up to whole batches. A plan that is there is followed, and so is what shards say of one
            that is gone.

        Raises
        ------
        CacheMismatchError
            A plan is of something else, or has other shards than `share`, or two plans have different ones.
        CacheError
            A cache was begun in one file, or a plan is damaged.
        ModelError
            See `moodbench.features.extract.extract_images`.
        """
        self.plans = {}
        new = [target for target in self.targets if not self._reads(target, share)]
        if new:
            with ExitStack() as locks:
                for target in new:
                    self._take_turn(locks, target, share)
                new = [target for target in new if not self._reads(target, share)]  # others may have been quicker
                self._make(new, share, rows_per_shard)
        self.plans = {target: self.plans[target] for target in self.targets if target in self.plans}
        if len({plan.rows_per_shard for plan in self.plans.values()}) > 1:
            sizes = ", ".join(f"{plan.rows_per_shard} of '{plan.model}'" for plan in self.plans.values())
            raise CacheMismatchError(
                f"shards of these caches have different numbers of rows: {sizes}",
                file=plan_file(next(iter(self.plans)).file),
                fix="extract one of them after the other",
            )

    def _take_turn(self, locks: ExitStack, target: Target, share: Share | None) -> None:
        """Lock a cache that has no plan; wait for who does, until there is one."""
        locks.enter_context(begun_or_nothing(target.file))
        while True:
            try:
                locks.enter_context(exclusive(target.file))
                return
            except BusyError:
                if self._reads(target, share):
                    return
                time.sleep(POLL_SECONDS)

    def _reads(self, target: Target, share: Share | None) -> bool:
        """Read the plan of a cache; say whether it has one, or is done."""
        classes = self.job.images.classes
        if target.file.exists():
            if not is_done(target, classes):
                raise CacheError(
                    f"'{target.model}' on '{target.dataset}' was begun in one file, without shards",
                    file=target.file,
                    fix="go on without --shard, or begin anew: "
                    f"moodbench cache remove --model {target.model} --dataset {target.dataset}",
                )
            return True
        plan = read_plan(target.file)
        if plan is None:
            return False
        refuse_mismatch(plan, target.noted, classes, file=plan_file(target.file))
        if plan.rows != len(self.job.rows):
            raise CacheMismatchError(
                f"the plan of the shards has {plan.rows} rows, and there are {many(len(self.job.rows), 'image')}",
                file=plan_file(target.file),
                fix=f"make it anew: moodbench cache remove --model {target.model} --dataset {target.dataset}",
            )
        if share is not None:
            refuse_other_shards(target.file, plan, share)
        self.plans[target] = plan
        return True

    def _make(self, new: Sequence[Target], share: Share | None, rows_per_shard: int) -> None:
        """Write plans, once the network has proved that it can follow them."""
        if not new:
            return
        job, there, rows = self.job, self.plan, len(self.job.rows)
        lost = self._lost(new, share) if there is None else None
        if there is not None:
            how: Arithmetic | None = Arithmetic(there.batch_size, there.channels_last)
        elif lost is not None:
            how = lost.how
        else:
            begun = (target.file for target in self.targets if target.file.exists())
            how = next((Arithmetic.noted(file, job.settings) for file in begun), None)
        how, layouts = attempt(job, new, how, self.networks)
        known = there or lost
        if known is not None:
            each = known.rows_per_shard
        else:
            each = share.rows(rows, how.batch_size) if share else whole_batches(rows_per_shard, how.batch_size)
            each = max(each, Share(1, MOST_SHARDS).rows(rows, how.batch_size))
        images = list_digest(*job.named)
        for target, layout in layouts.items():
            job.store_head(target)
            plan = ShardPlan(
                target.model,
                target.dataset,
                rows,
                each,
                images,
                how.batch_size,
                how.channels_last,
                layout.dim,
                layout.classes,
                list(layout.class_names),
                layout.head,
                dict(target.noted),
            )
            write_plan(target.file, plan)
            self.plans[target] = plan

    def _lost(self, new: Sequence[Target], share: Share | None) -> LostPlan | None:
        """Return what the shards that are there say of a plan that is gone, where that is what is asked for."""
        job, rows = self.job, len(self.job.rows)
        found = (lost_plan(target, rows, job.images.classes, job.settings) for target in new)
        lost = next((one for one in found if one is not None), None)
        if lost is None or share is None or share.rows(rows, lost.how.batch_size) == lost.rows_per_shard:
            return lost
        return None

    def is_complete(self, index: int) -> bool:
        """Say whether nothing is left to do for a shard."""
        shards = self._shards(index)
        return all(is_done(shard, self.job.images.classes) for shard in shards.values())

    def missing(self) -> list[int]:
        """Return the shards that are not complete, ascending."""
        return [index for index in self.indexes if not self.is_complete(index)]

    def fill(self, index: int) -> dict[Target, Extraction]:
        """Fill one shard of every cache that is not done: resumed if it was begun, nothing if it is complete.

        Raises
        ------
        BusyError
            Another process is filling it.
        MoodbenchError
            As `moodbench.features.extract.extract_images`; what was written stays.
        """
        shards, plan = self._shards(index), self.plan
        if plan is None:
            return {}
        rows = plan.rows_of(index)
        title = f"{self.job.title} shard {index}/{plan.shards}"
        job = replace(self.job, rows=self.job.rows[rows], title=title)
        outcomes = {}
        waiting = {target: shard for target, shard in shards.items() if not is_done(shard, job.images.classes)}
        with ExitStack() as locks:
            for shard in waiting.values():
                locks.enter_context(exclusive(shard.file, tidy=True))
            waiting = {target: shard for target, shard in waiting.items() if not is_done(shard, job.images.classes)}
            new = {target: shard for target, shard in waiting.items() if not shard.file.exists()}
            self._create(job, new)
            for target in new:
                job.store_head(target)
            filled = fill(job, list(waiting.values()), self.networks) if waiting else {}
            for target, shard in shards.items():
                one = filled.get(shard)
                begun, seconds, at_once = (rows.stop - rows.start, 0.0, None) if one is None else one.parts
                outcome = outcome_of(shard.file, begun, seconds, at_once)
                outcomes[target] = replace(outcome, shard=(index, plan.shards))
        return outcomes

    def _shards(self, index: int) -> dict[Target, Target]:
        """Return a shard of every cache that is not done."""
        return {
            target: replace(
                target,
                file=plan.file_of(target.file, index),
                noted={**target.noted, "shard": plan.note(index)},
                of=target.file,
            )
            for target, plan in self.plans.items()
        }

    def _create(self, job: Job, new: dict[Target, Target]) -> None:
        """Create shards, whose locks are held."""
        ids, labels = job.named
        layouts = {
            target: Layout(ids, labels, plan.dim, plan.classes, plan.class_names, plan.head)
            for target, plan in self.plans.items()
            if target in new
        }
        for target in new:
            if not plan_file(target.file).exists():
                raise CacheError(
                    "the plan of the shards was removed", file=plan_file(target.file), fix="run the same command again"
                )
        if new:
            folder = next(iter(new.values())).file.parent
            refuse_if_full(folder, sum(layout.size for layout in layouts.values()))
        for target, shard in new.items():
            plan = self.plans[target]
            how = Arithmetic(plan.batch_size, plan.channels_last)
            create_cache(shard.file, shard.model, shard.dataset, layouts[target], {**shard.noted, **how.record})

    def finish(self) -> bool:
        """Join the shards of every cache of which all are complete; say whether all caches are there.

        Raises
        ------
        CacheError
            A shard is damaged or does not fit; it is named.
        """
        joined = [join(target.file, plan) for target, plan in self.plans.items()]  # all, whatever one of them says
        return all(joined)

    def run(self, share: Share | None = None) -> dict[Target, Extraction]:
        """Fill one shard, or one after another all that nobody else does, and join them where that was the last.

        Raises
        ------
        BusyError
            Other processes are filling some of them, and this one has filled all others.
        MoodbenchError
            As `fill`.
        """
        if self.plan is None:
            return {}
        if share is not None:
            outcomes = self.fill(share.index) if share.index in self.indexes else self._nothing(share)
            self.finish()
            return outcomes
        computed, seconds, busy = dict.fromkeys(self.plans, 0), 0.0, 0
        for index in self.indexes:
            try:
                outcomes = self.fill(index)
            except BusyError:
                busy += 1
                continue
            for target, one in outcomes.items():
                computed[target] += one.rows - one.begun_at
            seconds += max(one.seconds for one in outcomes.values())
        if not self.finish():
            first = next(iter(self.plans))
            raise BusyError(
                f"{many(busy, 'shard')} of '{first.model}' on '{first.dataset}' "
                f"{'is' if busy == 1 else 'are'} being written by other processes; the others are complete",
                file=plan_file(first.file).parent,
                fix="wait for them: whoever ends last joins the shards; if one of them fails, run the same command "
                "again",
            )
        rows = len(self.job.rows)
        return {target: outcome_of(target.file, rows - new, seconds) for target, new in computed.items()}

    def _nothing(self, share: Share) -> dict[Target, Extraction]:
        """Return what was done about a shard that has no rows: of few images there are fewer shards than asked for."""
        return {
            target: Extraction(
                target.file, 0, (), 0, 0.0, plan.batch_size, plan.batch_size, shard=(share.index, share.of)
            )
            for target, plan in self.plans.items()
        }
