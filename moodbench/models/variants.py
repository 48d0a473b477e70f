"""Settings of a model under a name: ``MODEL@VARIANT``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moodbench.catalog import Catalog, ModelSpec, check_image
from moodbench.choices import Decoder, Precision
from moodbench.errors import UnknownNameError, UsageError
from moodbench.names import check_name
from moodbench.views import LayerView, is_view
from moodbench.workspace import ModelName


def resolve(
    catalog: Catalog,
    model: str,
    *,
    variant: str | None = None,
    transform: str | None = None,
    image: Mapping[str, Any] | None = None,
    precision: Precision = "fp32",
    decoder: Decoder = "exact",
) -> tuple[ModelName, ModelSpec]:
    """Return the name under which features with these settings are kept, and the model's entry with all of them.

    A variant that the catalogue declares brings its settings along; what is given besides follows its name after a
    hyphen, so that no two kinds of features share a folder. The name of a transform is a variant of every model. Any
    other variant is a name for what is given.

    Raises
    ------
    UsageError
        A setting makes no sense or contradicts the variant, or other models declare that variant and this one does not.
    """
    parsed = ModelName.parse(model)
    if variant is not None:
        check_name(variant, "variant")
        if is_view(variant):
            raise UsageError(f"'{variant}' cannot name a variant: it would name a view", fix="choose another name")
    refuse_view(parsed)
    if parsed.head is not None:
        raise UsageError(f"'{model}' names a head; extract the model '{replace(parsed, head=None)}'")
    if None not in (variant, parsed.variant) and variant != parsed.variant:
        raise UsageError(f"'{model}' and --variant {variant} name two variants", fix="name one of them")
    base = _with_transforms(catalog.model(parsed.base))
    named = variant or parsed.variant
    _refuse_undeclared(catalog, base, named)
    own = base.variant(named)
    spec = _with_pictures(own, transform, image or {})
    parts = [*_differing(own, spec), *([precision] if precision != "fp32" else [])]
    parts += ["fast-decode"] if decoder == "fast" else []
    if named is None:
        named = "-".join(parts) or None
        _refuse_other_meaning(base, named, spec)
    elif named in base.variants and parts:
        if variant is not None or (spec.transform != own.transform != base.transform):
            raise UsageError(
                f"the catalogue's '{parsed.base}@{named}' has other settings than those given ({', '.join(parts)})",
                fix=f"leave them out, or write --model {parsed.base} and another --variant NAME",
            )
        named = "-".join([named, *parts])
    return ModelName.parse(str(replace(parsed, variant=named))), spec


def refuse_view(name: ModelName) -> None:
    """Raise a `UsageError` if a view is named where a network is wanted: views are made together with their model's."""
    if name.view is not None:
        raise UsageError(
            f"'{name}' is a view of '{name.whole}', and made together with it",
            fix=f"--model {name.whole}{_option_of(name.view)}",
        )


def _option_of(view: str) -> str:
    """Return the option that makes a view, after a blank; nothing where no option does."""
    layer = LayerView.parse(view)
    if layer is not None:
        return f" --layers {layer.layer}" + ("" if layer.pool is None else f" --pool {layer.pool}")
    from moodbench.models.recipes.base import choice_of

    try:
        return f" --view {choice_of(view)}"
    except UnknownNameError:
        return ""


def _with_transforms(base: ModelSpec) -> ModelSpec:
    """Return the entry with every transform as a variant, where it declares none of that name."""
    from moodbench.models.transforms import TRANSFORMS

    bare = replace(base, variants={})
    kinds = [kind for kind in TRANSFORMS if kind not in base.variants]
    return replace(base, variants={**{kind: _with_pictures(bare, kind, {}) for kind in kinds}, **base.variants})


def _refuse_undeclared(catalog: Catalog, base: ModelSpec, name: str | None) -> None:
    """Refuse a variant that means something elsewhere: its name would promise what the features are not."""
    if base.declared_in(name) is None and any(other.declared_in(name) for other in catalog.models.values()):
        raise UsageError(
            f"'{base.name}' has no variant '{name}' in the catalogue, other models have",
            fix=f"its variants: {', '.join(base.variants)}; or give your own settings another name",
        )


def _refuse_other_meaning(base: ModelSpec, name: str | None, spec: ModelSpec) -> None:
    declared = base.variants.get(name or "")
    if declared is not None and replace(spec, variants={}) != declared:
        raise UsageError(
            f"these settings would be called '{base.name}@{name}', which the catalogue declares as something else",
            fix="choose a name with --variant NAME",
        )


def _with_pictures(own: ModelSpec, transform: str | None, image: Mapping[str, Any]) -> ModelSpec:
    """Return the entry with another transform and single values of it; the network is built for their size."""
    from moodbench.models.build import check_name
    from moodbench.models.transforms import TRANSFORMS, image_of, sized

    kind = transform or own.transform
    TRANSFORMS.get(kind)
    check_name(own)
    try:
        given = check_image(image)
    except ValueError as error:
        raise UsageError(f"the pictures cannot be prepared with {error}") from None
    return sized(replace(own, transform=kind, image={**image_of(own, kind), **given}))


def _differing(own: ModelSpec, spec: ModelSpec) -> list[str]:
    """Return in short words what is done to pictures otherwise than by the model's own settings."""
    from moodbench.models.transforms import image_of, record_of

    kind = spec.transform
    # what the other transform brings along by itself goes without saying
    before = record_of(replace(own, transform=kind, image=image_of(own, kind)))
    after = record_of(spec)
    words = {key: _word(key, value) for key, value in after.items() if key != "resize" and value != before[key]}
    return [*([kind] if kind != own.transform else []), *words.values()]


def _word(key: str, value: Any) -> str:
    if key in ("mean", "std"):
        return key + "_".join(f"{v:g}" for v in (value[:1] if len(set(value)) == 1 else value))
    return f"crop{value:g}" if key == "crop_pct" else str(value)
