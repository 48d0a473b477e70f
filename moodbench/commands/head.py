"""What ``moodbench head`` does: heads made of texts, and those of other programs, beside the ones ``probe`` trains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_path, as_paths, check_real
from moodbench.digests import file_sha256
from moodbench.errors import CacheMismatchError, ModelError, UnknownNameError, UsageError
from moodbench.names import check_name
from moodbench.release import __version__, versions
from moodbench.sizes import many
from moodbench.texts.candidates import QUANTILE, SHARE, read_candidates
from moodbench.texts.prompts import DEFAULT, read_prompts
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.features.reader import RowReader
    from moodbench.texts.words import Words
    from moodbench.types import Head


@dataclass(frozen=True)
class HeadOutcome:
    """A head that was made, or was there already.

    Attributes
    ----------
    model : str
    file : Path
        ``heads/<name>.h5``, read by `moodbench.features.heads.read_head`.
    classes, dim : int
        C and D.
    words : tuple of str
        What the classes are called in prompts; empty for a head that was imported.
    negatives : tuple of str
        The words that were kept as negatives; empty where there are none, or the head was there already.
    already : bool
    """

    model: str
    file: Path
    classes: int
    dim: int
    words: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    already: bool = False


def text_head(
    model: str,
    *,
    benchmark: str | None = None,
    prompts: str = DEFAULT,
    name: str = "zeroshot",
    class_names: str | Path | None = None,
    negatives: str | Path | Sequence[str | Path] = (),
    negative_share: float = SHARE,
    negative_quantile: float = QUANTILE,
    checkpoint: str | Path | None = None,
    checkpoint_key: str | None = None,
    device: str = "auto",
    force: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> HeadOutcome:
    """Make a head of texts, ``<cache-dir>/<model>/heads/<name>.h5``: the zero-shot classifier of a model of open_clip.

    A row for each class of the benchmark's ID train rows: the embedded prompts, averaged, times the network's logit
    scale. ``score(head=name)`` uses it; its results are those of the model ``MODEL+NAME``.

    Parameters
    ----------
    model : str
        Of open_clip, with cached ID train rows.
    benchmark : str, optional
        Whose classes; may be omitted where only one ID train dataset is cached.
    prompts : str
        ``imagenet80``, a sentence with ``{}``, or a file with one a line.
    name : str
        What to call the head.
    class_names : Path, optional
        What classes are called in words: lines of ``NAME<tab>WORDS``, or words alone, in the order of the classes.
    negatives : Path or sequence of Path
        Lists of words, one a line, from which those farthest from the classes are kept as negative labels (NegLabel);
        each list is mined by itself. A first line with ``{}`` is the prompt of its words. Those that are ID classes are
        left out. Features of noise images come with them (``tanl``).
    negative_share, negative_quantile : float
        Which share of each list is kept, and which quantile of the cosines to the classes counts.
    checkpoint, checkpoint_key : optional
        The weights, where they were given to ``extract`` too.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    force : bool
        Replace a head of that name that was made from something else.
    report : callable
        Is told what is done.

    Raises
    ------
    UnknownNameError, UsageError
        A name is unknown or cannot name a head; prompts or class names make no sense.
    ModelError
        The model has no text tower, its weights or its tokenizer cannot be had, or nobody knows the classes by words.
    CacheError
        ID train rows are not cached.
    CacheMismatchError
        The cached features are of other weights, or another head of that name is there.
    """
    check_real(negative_share=negative_share, negative_quantile=negative_quantile)
    space = as_workspace(workspace)
    parsed = _cached(space, model, name)
    spec = space.catalog.model(parsed.base).variant(parsed.variant) if _is_known(space, parsed) else None
    if spec is None or spec.clip is None:
        raise ModelError(
            f"'{parsed}' has no text tower, so texts cannot be compared with its features",
            fix="use a model of open_clip: clip:ARCH/TAG, as clip:ViT-B-16/openai, or an entry of them "
            "(moodbench list models clip)",
        )
    from moodbench.models.clip.library import check_installed

    check_installed()
    for option, value, usual in (
        ("--negative-share", negative_share, SHARE),
        ("--negative-quantile", negative_quantile, QUANTILE),
    ):
        if not 0 < value <= 1:
            raise UsageError(f"{option} {value:g} is no share", fix="give a number above 0 and up to 1")
        if value != usual and not as_paths(negatives):
            raise UsageError(f"{option} {value:g} is of lists of negatives, and there is none", fix="--negatives FILE")
    sentences = read_prompts(prompts)
    reader, words = _classes(space, parsed, benchmark, as_path(class_names))
    lists = read_candidates(as_paths(negatives), sentences, words.words)
    for remark in words.remarks:
        report(f"note: {remark}")
    from moodbench.devices import resolve_device
    from moodbench.models.clip.text import load_text_tower
    from moodbench.progress import Progress
    from moodbench.texts.encode import as_head, embed_words
    from moodbench.texts.negatives import mine
    from moodbench.texts.noise import SEED, noise_features

    where = resolve_device(device)
    tower = load_text_tower(spec, where, checkpoint=as_path(checkpoint), checkpoint_key=checkpoint_key)
    _check_weights(reader, tower.image_sha256, parsed, given=checkpoint is not None)
    inputs: dict[str, Any] = {
        "classes": None if words.classes is None else _digest(words.classes),
        "words": _digest(words.words),
        "prompts": _digest(sentences),
        "negatives": [[_digest(one.words), _digest(one.prompts)] for one in lists],
        "mining": [negative_share, negative_quantile] if lists else None,
        "weights_sha256": tower.image_sha256,
        "text_sha256": tower.text_sha256,
        "scale": tower.scale,
        "bias": tower.bias,
    } | ({"noise": SEED} if lists else {})
    file = space.head_file(replace(parsed, head=name))
    done = HeadOutcome(str(parsed), file, len(words.words), reader.dim, words.words)
    if _there(file, inputs, parsed, force=force):
        report(f"skip the head '{name}' of {parsed}: it is there")
        return replace(done, already=True)
    count = len(words.words) * len(sentences) + sum(len(one.words) * len(one.prompts) for one in lists)
    with Progress(f"head of {parsed}", progress).phase("embedding", count, "sentence") as tick:
        embeddings = embed_words(tower, words.words, sentences, tick)
        mined = mine(tower, lists, embeddings, negative_share, negative_quantile, tick) if lists else None
    if embeddings.shape[1] != reader.dim:
        raise ModelError(
            f"texts are embedded in {embeddings.shape[1]} numbers, and the cached features are {reader.dim} wide",
            file=reader.file,
        )
    noise = noise_features(tower) if lists else None
    head = as_head(tower, embeddings, words.classes, None if mined is None else mined.embeddings, noise)
    notes = {"words": words.words, "prompts": sentences} | ({} if mined is None else {"negatives": mined.words})
    _write(file, head, inputs, parsed, source="text", packages=("numpy", "open_clip_torch", "torch"), notes=notes)
    for remark in () if mined is None else mined.remarks:
        report(f"note: {remark}")
    more = "" if mined is None else f", {many(len(mined.words), 'negative')}"
    report(
        f"made the head '{name}' of {parsed}: {many(head.classes, 'class', 'classes')}, "
        f"{many(len(sentences), 'prompt')}{more}; moodbench score --head {name} uses it"
    )
    return done if mined is None else replace(done, negatives=mined.words)


def import_head(
    model: str,
    file: str | Path,
    *,
    name: str,
    force: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> HeadOutcome:
    """Keep a head of another program as ``<cache-dir>/<model>/heads/<name>.h5``: learned prompts, other probes.

    Parameters
    ----------
    model : str
        A cached model.
    file : Path
        ``.npz``, ``.h5`` or a pickle: `weight` (C, D), `bias` (C,) and perhaps `classes` (C,), names of its outputs,
        `negatives` (M, D) for ``neglabel``, `noise` (P, D) with them for ``tanl``, and `negated` (C, D) for ``clipn``.
    name : str
        What to call the head.
    force : bool
        Replace another head of that name.

    Raises
    ------
    UnknownNameError, UsageError
        The model is not cached, or the name cannot name a head.
    ModelError
        The file holds no head, or one of features of another width.
    CacheMismatchError
        Another head of that name is there.
    """
    from moodbench.features.heads import read_head
    from moodbench.features.reader import RowReader

    space = as_workspace(workspace)
    parsed = _cached(space, model, name)
    given = Path(file)
    head = read_head(given)
    cache = space.cache_file(parsed, space.cached_datasets(parsed)[0])
    dim = RowReader(cache).dim
    if head.dim != dim:
        raise ModelError(
            f"the head expects features {head.dim} wide, the cached ones of '{parsed}' are {dim}",
            file=given,
            fix="the head belongs to another model",
        )
    target = space.head_file(replace(parsed, head=name))
    inputs = {"file": given.name, "sha256": file_sha256(given)}
    done = HeadOutcome(str(parsed), target, head.classes, head.dim)
    if _there(target, inputs, parsed, force=force):
        report(f"skip the head '{name}' of {parsed}: it is there")
        return replace(done, already=True)
    _write(target, head, inputs, parsed, source="import", packages=("numpy",))
    report(
        f"imported the head '{name}' of {parsed}: {many(head.classes, 'class', 'classes')}"
        + ("" if head.class_names else " without names")
        + f"; moodbench score --head {name} uses it"
    )
    return done


def _cached(space: Workspace, model: str, name: str) -> ModelName:
    """Return the name of a cached model whose head is to be called `name`."""
    check_name(name, "head")
    parsed = ModelName.parse(model)
    if parsed.head is not None:
        raise UsageError(f"'{parsed}' names a head", fix=f"--model {parsed.without_head} --name {parsed.head}")
    if not space.cached_datasets(parsed):
        cached = map(str, space.cached_models())
        raise UnknownNameError("cached model", str(parsed), cached, fix="extract or import it first")
    return parsed


def _is_known(space: Workspace, model: ModelName) -> bool:
    try:
        space.catalog.model(model.base)
    except UnknownNameError:
        return False
    return True


def _classes(
    space: Workspace, model: ModelName, benchmark: str | None, class_names: Path | None
) -> tuple[RowReader, Words]:
    """Return cached ID train, and what its classes are called."""
    from moodbench.classes import NumberedLabels, join
    from moodbench.features.reader import RowReader
    from moodbench.probing.task import choose_task, is_ready
    from moodbench.texts.words import words_of

    task, tests = choose_task(space, [model], benchmark)
    is_ready(space, model, task, named=True, report=lambda line: None)
    cached = space.cached_datasets(model)
    readers = [RowReader(space.cache_file(model, one)) for one in (task.id_train, *tests) if one in cached]
    first, *others = (NumberedLabels(one.file.stem, one.labels, one.class_names) for one in readers)
    joined = join(first, others, aliases=dict(task.aliases), classes=task.classes)
    present = joined.present
    if not present:
        raise ModelError(
            f"no row of {task.id_train} has a label, so it is not known which classes there are",
            file=readers[0].file,
            fix="extract it with its labels (a benchmark's dataset, or --labels)",
        )
    if joined.train.names is not None:
        return readers[0], words_of([joined.train.name(label) for label in present], len(present), class_names)
    if list(present) != list(range(len(present))):
        raise ModelError(
            f"the classes of {task.id_train} have no names, and their numbers have gaps",
            file=readers[0].file,
            fix="extract it again with this version, or import it with 'classes'",
        )
    return readers[0], words_of(None, len(present), class_names)


def _check_weights(reader: RowReader, sha256: str, model: ModelName, *, given: bool) -> None:
    """Refuse texts of other weights than the cached features are of; of imported ones nobody knows."""
    noted = reader.provenance.get("model")
    noted = noted.get("weights_sha256") if isinstance(noted, Mapping) else None
    if noted not in (None, sha256):
        raise CacheMismatchError(
            f"the cached features of '{model}' are of other weights ({noted[:12]}…) than these ({sha256[:12]}…)",
            file=reader.file,
            fix="extract it again with these weights" if given else "name those of the features: --checkpoint FILE",
        )


def _there(file: Path, inputs: Mapping[str, Any], model: ModelName, *, force: bool) -> bool:
    """Say whether the head is there already; refuse another one of its name, unless it is to be replaced."""
    from moodbench.features.heads import head_provenance, stored_head

    if not file.exists():
        return False
    try:
        before = head_provenance(file)
        stored_head(file)  # which says so if it belongs elsewhere
    except ModelError:
        if force:
            return False
        raise
    found = before.get("inputs", {})
    if found == dict(inputs):
        return True
    if force:
        return False
    keys = ("classes", "words", "prompts", "negatives", "mining", "noise", "weights_sha256", "text_sha256", "sha256")
    differ = [key for key in keys if key in inputs and found.get(key) != inputs[key]]
    what = {"weights_sha256": "weights", "text_sha256": "weights", "sha256": "values"}
    said = ", ".join(dict.fromkeys(what.get(key, key) for key in differ))
    raise CacheMismatchError(
        f"the model '{model}' has another head '{file.stem}'" + (f", made from other {said}" if found and said else ""),
        file=file,
        fix="choose another --name, or replace it with --force",
    )


def _write(
    file: Path,
    head: Head,
    inputs: Mapping[str, Any],
    model: ModelName,
    *,
    source: str,
    packages: tuple[str, ...],
    notes: Mapping[str, Sequence[str]] | None = None,
) -> None:
    from moodbench.features.heads import write_head
    from moodbench.features.lock import exclusive

    provenance = {  # no time: equal inputs give equal bytes
        "source": source,
        "moodbench": __version__,
        "model": str(model),
        "inputs": dict(inputs),
        "versions": versions(*packages),
    }
    with exclusive(file, tidy=True):
        write_head(file, head, provenance, notes)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()
