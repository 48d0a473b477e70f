"""What a study names, looked up: models, benchmarks, scores, heads. All of it before the first image is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from moodbench.catalog import BenchmarkSpec, ModelSpec
from moodbench.errors import CatalogError, MoodbenchError, ScoreError, UnknownNameError, UsageError
from moodbench.models.choice import ModelChoice
from moodbench.names import check_name
from moodbench.reading import lack_of
from moodbench.studies.fields import Place
from moodbench.studies.file import Study
from moodbench.studies.schema import ALL, OWN
from moodbench.views import ChangedChoice, LayerChoice
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.models.recipes.base import Recipe


@dataclass(frozen=True)
class Chosen:
    """A model of a study.

    Attributes
    ----------
    name : ModelName
        Under which its features are kept.
    choice : ModelChoice
        How its network is built.
    spec : ModelSpec
        Its entry, with all settings.
    """

    name: ModelName
    choice: ModelChoice
    spec: ModelSpec


@dataclass(frozen=True)
class Known:
    """A study whose names are all known.

    Attributes
    ----------
    study : Study
    models : tuple of Chosen
    benchmarks : tuple of BenchmarkSpec
    scores : tuple of str
        Those that are named; empty: all.
    params : mapping of score to parameters
    layers : LayerChoice or None
    views : tuple of ChangedChoice
    inside : LayerChoice or None
        Layers of the changed images.
    heads : tuple of (str or None)
        To score with; None: the models' own.
    probe_on, text_on : str or None
        The benchmark that a head is trained on, or whose classes have texts.
    text_models : tuple of Chosen
        That get a head of texts.
    """

    study: Study
    models: tuple[Chosen, ...]
    benchmarks: tuple[BenchmarkSpec, ...]
    scores: tuple[str, ...]
    params: Mapping[str, Mapping[str, Any]]
    layers: LayerChoice | None
    views: tuple[ChangedChoice, ...]
    inside: LayerChoice | None
    heads: tuple[str | None, ...]
    probe_on: str | None
    text_on: str | None
    text_models: tuple[Chosen, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Every dataset that is extracted, once."""
        return tuple(dict.fromkeys(name for spec in self.benchmarks for name in spec.datasets))

    def head_of(self, section: str) -> str:
        """Return the name of the head that ``probe`` or ``text_head`` makes."""
        return str(self.study[section]["name"])

    def heads_of(self, model: Chosen) -> list[str | None]:
        """Return the heads that a model is scored with; one of texts is of models that have a text tower."""
        texts = None if self.study["text_head"] is None else self.head_of("text_head")
        return [head for head in self.heads if head is None or head != texts or model in self.text_models]


@contextmanager
def about(at: Place) -> Iterator[None]:
    """Say at which place of the study something is wrong; not of a catalogue, which is a file of its own."""
    try:
        yield
    except CatalogError:
        raise
    except MoodbenchError as error:
        raise UsageError(f"{at.path}: {error.what}", file=at.file, fix=error.fix) from None


def know(study: Study, space: Workspace) -> Known:
    """Look up everything that a study names.

    Parameters
    ----------
    study : Study
    space : Workspace
        Whose catalogue counts; the study's own files of it are among `catalogs`.

    Raises
    ------
    UsageError
        A name is unknown, a value does not fit, or two parts of the study contradict each other.
    """
    top = study.top
    models = _models(study, space)
    benchmarks = []
    for number, name in enumerate(study["benchmarks"]):
        with about(top.key("benchmarks").item(number)):
            benchmarks.append(space.catalog.benchmark(name))
    layers, inside, views = _views(study)
    recipes = _recipes(study, views)
    scores, params = _scores(study, recipes)
    _check_layers(study, layers)
    heads = _heads(study, space, models)
    text_models = _text_models(study, models)
    return Known(
        study,
        tuple(models),
        tuple(benchmarks),
        scores,
        params,
        layers,
        views,
        inside,
        heads,
        _trained_on(study, "probe", benchmarks),
        _trained_on(study, "text_head", benchmarks),
        text_models,
    )


def _models(study: Study, space: Workspace) -> list[Chosen]:
    from moodbench.models.variants import resolve

    found: list[Chosen] = []
    for number, said in enumerate(study.models):
        at = study.top.key("models").item(number)
        image = {key: value for key, value in (said["image"] or {}).items() if value is not None}
        image = {key: list(value) if isinstance(value, tuple) else value for key, value in image.items()}
        files: dict[str, Any] = {
            key: None if said[key] is None else study.path(said[key]) for key in ("checkpoint", "head_file")
        }
        for key, file in files.items():
            if file is not None and (lack := lack_of(file)) is not None:
                raise at.key(key).fault(f"is '{said[key]}', and {lack}", f"looked at {file}")
        how = {key: said[key] for key in ("checkpoint_key", "format", "transform", "variant", "with_head", "features")}
        with about(at):
            choice = ModelChoice(said["model"], image=image, decoder=study["extract"]["decoder"], **files, **how)
            name, spec = resolve(
                space.catalog,
                said["model"],
                variant=said["variant"],
                transform=said["transform"],
                image=image,
                precision=study["extract"]["precision"],
                decoder=study["extract"]["decoder"],
            )
        twin = next((number for number, one in enumerate(found) if one.name == name), None)
        if twin is not None:
            raise at.fault(
                f"has the name '{name}', as models[{twin + 1}] has",
                "give it another:  variant: NAME, for these settings",
            )
        found.append(Chosen(name, choice, spec))
    return found


def _views(study: Study) -> tuple[LayerChoice | None, LayerChoice | None, tuple[ChangedChoice, ...]]:
    """Return the layers, those of changed images, and how images are changed."""
    top, how = study.top, study["extract"]
    layers, inside = _layers(study, "layers"), _layers(study, "view_layers")
    if layers is None and inside is None and study["pool"] != "model":
        raise top.key("pool").fault("says how layers are pooled, and the study extracts none", "layers: all")
    views = []
    for number, text in enumerate(study["views"]):
        with about(top.key("views").item(number)):
            views.append(ChangedChoice.parse(text))
    if (layers or views) and how["compile"]:
        asked = "layers" if layers else "views"
        raise (
            top.key("extract")
            .key("compile")
            .fault(
                f"is true, and a compiled network shows no layers and gives no gradients ('{asked}' asks for some)",
                "leave one of them out",
            )
        )
    return layers, inside, tuple(views)


def _layers(study: Study, key: str) -> LayerChoice | None:
    if study[key] is None:
        return None
    with about(study.top.key(key)):
        return LayerChoice.parse(",".join(study[key]))


def _check_layers(study: Study, layers: LayerChoice | None) -> None:
    """Refuse to score layers, or to train heads on them, where none is extracted."""
    for section in ("score", "probe"):
        if layers is None and study[section] is not None and study[section]["layers"]:
            at = study.top.key(section).key("layers")
            raise at.fault("is true, and the study extracts no layers", "add  layers: all, or leave it out")


def _recipes(study: Study, views: Sequence[ChangedChoice]) -> list[Recipe]:
    if not views:
        if study["view_head"] is not None:
            raise study.top.key("view_head").fault("says which head views read, and there are none", "views: [odin]")
        if study["view_layers"] is not None:
            raise study.top.key("view_layers").fault("is of changed images, and there are none", "views: [fgsm]")
        return []
    from moodbench.models.recipes.base import VIEWS, create_recipe

    recipes = []
    for number, choice in enumerate(views):
        with about(study.top.key("views").item(number)):
            recipes.append(create_recipe(choice))
    if study["view_head"] is not None and not any(recipe.head for recipe in recipes):
        raise study.top.key("view_head").fault(
            "says which head views read, and none of these reads one", "leave it out"
        )
    if study["view_layers"] is not None and not any(recipe.layered for recipe in recipes):
        having = ", ".join(name for name in VIEWS.names() if VIEWS.get(name).layered)
        raise study.top.key("view_layers").fault(
            "takes layers of the changed images, and of these views none is of one pass over such",
            f"leave it out, or take a view that is: {having}",
        )
    return recipes


def _scores(study: Study, recipes: Sequence[Recipe]) -> tuple[tuple[str, ...], Mapping[str, Mapping[str, Any]]]:
    from moodbench.scores.base import SCORES
    from moodbench.scores.machinery.variants import make_variants

    top = study.top
    names: tuple[str, ...] = study["scores"]
    if ALL in names and len(names) > 1:
        raise top.key("scores").fault("names 'all' and others besides", "scores: all")
    every = names == (ALL,)
    for number, name in enumerate(() if every else names):
        with about(top.key("scores").item(number)):
            SCORES.get(name)
    for name, given in study["parameters"].items():
        at = top.key("parameters").key(name)
        with about(at):
            SCORES.get(name)
        if not every and name not in names:
            raise at.fault(
                "has parameters, and the score is not among 'scores'", f"add {name} to scores, or leave it out"
            )
        with about(at):
            make_variants([name], {name: given})
    for number, name in enumerate(() if every else names):
        given = {key: value for key, value in study["parameters"].items() if key == name}
        for one in make_variants([name], given).values():
            _refuse_lacking(study, top.key("scores").item(number), name, one, recipes)
    return (() if every else names), study["parameters"]


def _refuse_lacking(study: Study, at: Place, name: str, score: Any, recipes: Sequence[Recipe]) -> None:
    """Refuse a score that is named and reads what the study does not extract; the message says what to add."""
    made_by = str(getattr(score, "made_by", ""))
    if "layers" in score.needs:
        wanted, _, pool = made_by.removeprefix("--layers ").partition(" --pool ")
        add = f"add  layers: [{wanted or 'all'}]" + (f"  and  pool: {pool}" if pool else "")
        if study["layers"] is None:
            raise at.fault(f"is '{name}', which reads layers, and the study extracts none", add)
        if pool and study["pool"] != pool:
            raise at.fault(
                f"is '{name}', which reads layers pooled by '{pool}', and the study's are not", f"pool: {pool}"
            )
    if "views" in score.needs and made_by:
        wanted = made_by.removeprefix("--view ")
        with_it = [one for one in recipes if one.name == wanted]
        if not with_it:
            raise at.fault(
                f"is '{name}', which reads the view '{wanted}', and the study does not extract it",
                f"add  views: [{wanted}]",
            )
        full = getattr(score, "view", wanted)
        if len(with_it) > 1 and full == wanted:
            several = ", ".join(one.view.removeprefix("view-") for one in with_it)
            raise at.fault(
                f"is '{name}', and there are several views '{wanted}': {several}",
                f"say which:  parameters: {{{name}: {{view: {several.split(', ')[0]}}}}}",
            )
        if "-" in full:
            with about(at):
                _planned(score, with_it)


def _planned(score: Any, recipes: Sequence[Recipe]) -> None:
    """Refuse the name of a view with other numbers than those that the study makes."""
    try:
        score.views_among([one.view for one in recipes])
    except ScoreError as error:
        made = ", ".join(one.view.removeprefix("view-") for one in recipes)
        raise UsageError(f"{error.what}; the study makes {made}") from None


def _heads(study: Study, space: Workspace, models: Sequence[Chosen]) -> tuple[str | None, ...]:
    top = study.top
    made = []
    for section in ("probe", "text_head"):
        if study[section] is None:
            continue
        at = top.key(section).key("name")
        with about(at):
            name = check_name(study[section]["name"], "head")
        if name == OWN or name in made:
            raise at.fault(f"is '{name}', which is taken", "choose another name")
        made.append(name)
    wanted = study["heads"] or (OWN, *made)
    there = {file.stem for model in models for file in space.other_heads(model.name)}
    for place, names in (("heads", wanted), ("view_head", (study["view_head"],) if study["view_head"] else ())):
        for name in names:
            if name not in (OWN, *made, *there):
                known = [OWN, *made, *sorted(there)]
                with about(top.key(place)):
                    fix = "probe: true  trains one; moodbench head import  brings one"
                    raise UnknownNameError("head", name, known, fix=fix)
    return tuple(None if name == OWN else name for name in wanted)


def _trained_on(study: Study, section: str, benchmarks: Sequence[BenchmarkSpec]) -> str | None:
    """Return the benchmark whose ID train rows a head is made for."""
    if study[section] is None:
        return None
    at, named = study.top.key(section), study[section]["benchmark"]
    names = [spec.name for spec in benchmarks]
    if named is not None and named not in names:
        with about(at.key("benchmark")):
            raise UnknownNameError("benchmark of this study", named, names, plural="benchmarks of this study")
    possible = [spec for spec in benchmarks if not spec.each and named in (None, spec.name)]
    if not possible:
        raise at.fault("needs several classes, and the benchmarks have one ID class at a time", "leave it out")
    if len({spec.id_train for spec in possible}) > 1:
        choices = ", ".join(spec.name for spec in possible)
        raise at.fault("does not say on which ID train rows, and there are several", f"benchmark: one of {choices}")
    return possible[0].name


def _text_models(study: Study, models: Sequence[Chosen]) -> tuple[Chosen, ...]:
    said = study["text_head"]
    if said is None:
        return ()
    at = study.top.key("text_head")
    for key in ("class_names", "negatives"):
        for text in [said[key]] if isinstance(said[key], str) else said[key] or ():
            if (lack := lack_of(study.path(text))) is not None:
                raise at.key(key).fault(f"names '{text}', and {lack}", f"looked at {study.path(text)}")
    able = [one for one in models if one.spec.clip is not None]
    if said["models"] is None:
        if not able:
            raise at.fault("needs a model of open_clip, and the study has none", "models: [clip:ViT-B-16/openai, …]")
        return tuple(able)
    by_name = {str(one.name): one for one in models}
    for number, name in enumerate(said["models"]):
        here = at.key("models").item(number)
        if name not in by_name:
            with about(here):
                raise UnknownNameError("model of this study", name, by_name, plural="models of this study")
        if by_name[name] not in able:
            raise here.fault(f"is '{name}', which has no text tower", "name models of open_clip")
    return tuple(by_name[name] for name in said["models"])


def with_catalogs(study: Study, space: Workspace) -> Workspace:
    """Return the workspace with the catalogue files that a study names, checked."""
    files = [study.path(text) for text in study["catalogs"]]
    for number, file in enumerate(files):
        if (lack := lack_of(file)) is not None:
            at = study.top.key("catalogs").item(number)
            raise at.fault(f"is '{study['catalogs'][number]}', and {lack}", f"looked at {file}")
    extra = tuple(file for file in files if file not in space.catalogs)
    return replace(space, catalogs=(*space.catalogs, *extra)) if extra else space
