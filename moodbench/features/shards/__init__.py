"""A cache in shards: files of consecutive rows that jobs, devices and machines fill independently of one another.

Work in progress lies in ``<dataset>.shards/`` beside where the cache will be, with a plan that everybody compares
(`plan`); each shard is an ordinary cache. When all are complete a manifest is put in the cache's place (`manifest`),
and whatever reads caches reads the shards behind it (`joined`).

Who takes part, in whatever process and on whatever machine, needs the images, the network and the cache folder::

    from moodbench.features.extract import sharded

    work = sharded(backbone, images, file, model=…, dataset=…, settings=…, views=…)
    work.begin(rows_per_shard=16_384)  # or begin(Share(3, 16)): the plan is made, or read and compared
    for index in work.missing():       # from 1; whoever hands out work decides which
        work.fill(index)               # resumes, or does nothing; BusyError where another process does it
    work.finish()                      # True once all caches are there; anybody may call it, at any time
"""
