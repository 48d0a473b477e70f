"""The files that a model needs: are they on this disk, and fetching those that are not, without loading anything.

torch, timm and open_clip are not imported for models of the catalogue that are on this disk: a list of them should be
quick.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.clip.library import WEIGHT_FILES as CLIP_FILES
from moodbench.models.clip.library import check_installed, known
from moodbench.models.digest import check_sha256
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import library_of
from moodbench.reading import check_regular
from moodbench.types import Report


@dataclass(frozen=True)
class _Source:
    """Where weights come from when they are no file of the catalogue: a hub repository, or an address."""

    hub_id: str | None
    files: Sequence[str] = hub.WEIGHT_FILES
    url: str | None = None


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file that holds the weights of a model if it is on this disk; nothing is read or checked."""
    if spec.checkpoint is not None:
        return _existing(spec.checkpoint)
    if spec.url is not None:
        return _existing(hub.url_file(spec.url))
    if spec.by_hand is not None:
        return None
    if spec.network is not None:
        return library_of(spec).weights_on_disk(spec)
    named = _named_repository(spec)
    source = _asked_of_library(spec) if named is None else named
    if source.hub_id is not None:
        return hub.cached_in_hub(source.hub_id, source.files)
    return None if source.url is None else _existing(hub.url_file(source.url))


def head_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file of the classifier of its own that a model has, if it is on this disk."""
    if spec.head.path is not None:
        return _existing(spec.head.path)
    return None if spec.head.url is None else _existing(hub.url_file(spec.head.url))


def is_complete(spec: ModelSpec) -> bool:
    """Say whether everything that the model is loaded from is on this disk."""
    return weights_on_disk(spec) is not None and (spec.head.kind != "file" or head_on_disk(spec) is not None)


def check_obtainable(spec: ModelSpec) -> None:
    """Raise the `ModelError` for weights of the catalogue that are neither on this disk nor to be had now.

    Also for models of open_clip where that is not installed.

    It asks the host once, and needs neither torch nor timm: a person without network should not wait for those.
    """
    if spec.clip is not None:
        check_installed()
    if spec.url is not None:
        hub.ready_url(spec.name, spec.url)
    elif spec.by_hand is not None:
        raise by_hand(spec)
    elif spec.network is not None:
        library_of(spec).check(spec, weights=spec.checkpoint is None)
    elif spec.checkpoint is None:
        _ask_hub(spec)
    if spec.head.url is not None:
        hub.ready_url(spec.name, spec.head.url, head=True)


def by_hand(spec: ModelSpec) -> ModelError:
    """Return the error that says how a person gets weights which no program can fetch."""
    return ModelError(
        f"no program can fetch the weights of '{spec.name}'", fix=f"{spec.by_hand}; then name it with --checkpoint FILE"
    )


def digest_known(spec: ModelSpec) -> str:
    """Return what there is to check the weights against: ``whole``, ``prefix`` (in the name), ``hub``, or ``none``."""
    if spec.sha256 is not None:
        return "whole"
    if spec.url is not None:
        return "none" if hub.digest_in_name(hub.url_file(spec.url)) is None else "prefix"
    return "none" if spec.checkpoint is not None or spec.by_hand is not None else "hub"


def fetch_weights(spec: ModelSpec, *, report: Report = lambda line: None, progress: bool = False) -> Weights:
    """Return the files of a model; what is not on this disk is fetched, and everything is checked as far as it can be.

    Files of addresses go to torch's hub cache, those of timm's hub to the hub cache: where loading looks for them.

    Parameters
    ----------
    spec : ModelSpec
        Of a variant: resolved to it (`ModelSpec.variant`).
    report : callable
        Is told what is fetched, and the digest of what nobody published one for.
    progress : bool
        Show a bar for each file on stderr if that is a terminal.

    Raises
    ------
    ModelError
        A file cannot be had (no network, terms to accept first, gone) or is not the one that was expected.
    """
    main = _main(spec, report, progress)
    if spec.head.kind != "file":
        return main
    if spec.head.url is not None:
        head = _from_url(spec, spec.head.url, spec.head.sha256, None, report, progress, head=True)
    else:
        assert spec.head.path is not None  # the catalogue takes either
        head = _of_catalogue(spec, spec.head.path, spec.head.sha256)
    return Weights(main.file, main.bytes, main.sha256, main.already, head)


def _main(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    if spec.checkpoint is not None:
        return _of_catalogue(spec, spec.checkpoint, spec.sha256)
    if spec.url is not None:
        return _from_url(spec, spec.url, spec.sha256, spec.bytes, report, progress)
    if spec.by_hand is not None:
        raise by_hand(spec)
    if spec.network is not None:
        return library_of(spec).fetch(spec, report, progress)
    _ask_hub(spec)
    source = _asked_of_library(spec)
    if source.hub_id is not None:
        return _from_hub(spec, source.hub_id, source.files, report, progress)
    if source.url is None:
        library = "timm" if spec.clip is None else "open_clip"
        raise ModelError(
            f"{library} has no weights for '{spec.architecture}'", fix="give a file with --checkpoint FILE"
        )
    return _from_url(spec, source.url, None, None, report, progress)


def _of_catalogue(spec: ModelSpec, file: Path, sha256: str | None) -> Weights:
    check_regular(file, f"the checkpoint of '{spec.name}'", ModelError)
    return _checked(file, sha256, already=True)


def _from_url(
    spec: ModelSpec,
    url: str,
    sha256: str | None,
    size: int | None,
    report: Report,
    progress: bool,
    *,
    head: bool = False,
) -> Weights:
    file = hub.url_file(url)
    already = hub.is_there(file)
    if not already:
        report(f"{spec.name}: fetching {file.name} from {urlsplit(url).netloc}")
        hub.fetch_url(spec.name, url, sha256=sha256, size=size, head=head, report=report, progress=progress)
    expected = sha256 or hub.digest_in_name(file)
    found = _checked(file, expected, already=already)
    if expected is None and not already:
        report(f"{spec.name}: no digest of {file.name} is published; its sha256 is {found.sha256}")
    return found


def _from_hub(spec: ModelSpec, hub_id: str, files: Sequence[str], report: Report, progress: bool) -> Weights:
    already = hub.ready_hub(spec.name, hub_id, files)
    if not already:
        report(f"{spec.name}: fetching {hub_id} from {urlsplit(hub.endpoint()).netloc}")
        _download(spec.name, hub_id, files, progress)
    file = hub.cached_in_hub(hub_id, files)
    assert file is not None  # it is there, or was just put there
    stored = file.resolve().name  # large files lie under their SHA-256
    return _checked(file, stored if re.fullmatch("[0-9a-f]{64}", stored) else None, already=already)


def _download(model: str, hub_id: str, files: Sequence[str], progress: bool) -> None:
    """Bring the first of `files` that the repository holds into the hub cache."""
    from huggingface_hub import errors, hf_hub_download

    repository, _, revision = hub_id.partition("@")
    for name in files:
        try:
            with hub.quiet(progress):
                hf_hub_download(repository, name, revision=revision or None)
            return
        except errors.LocalEntryNotFoundError as error:  # of the same family, but it means a broken line
            raise hub.explained(model, hub_id, error) from error
        except errors.EntryNotFoundError as error:
            if name == files[-1]:
                raise hub.explained(model, hub_id, error) from error
        except (OSError, errors.HfHubHTTPError) as error:
            raise hub.explained(model, hub_id, error) from error


def _checked(file: Path, expected: str | None, *, already: bool) -> Weights:
    """Return what the file is, or raise a `ModelError` if its SHA-256 does not begin with `expected`."""
    return Weights(file, file.stat().st_size, check_sha256(file, expected or ""), already)


def _named_repository(spec: ModelSpec) -> _Source | None:
    """Return where an entry of the catalogue says that its weights are, if it does: else the library must be asked."""
    if spec.clip is not None:
        return None if spec.hub is None else _Source(spec.hub, CLIP_FILES)
    return _Source(f"timm/{spec.timm}") if "." in spec.timm and not spec.name.startswith("timm:") else None


def _ask_hub(spec: ModelSpec) -> None:
    """Ask whether the hub answers before timm is imported, which takes seconds.

    Without it, the `ModelError` comes now where the entry names the repository; else timm has to say first where its
    weights are, and the hub is asked meanwhile.
    """
    named = _named_repository(spec)
    if named is not None and named.hub_id is not None:
        hub.ready_hub(spec.name, named.hub_id, named.files)
    elif spec.clip is None:
        hub.ask_ahead(f"timm/{spec.timm}")


def _asked_of_library(spec: ModelSpec) -> _Source:
    if spec.clip is not None:
        one = known(spec.clip)
        return _Source(None, url=one.url) if one.hub is None else _Source(*one.hub)
    from timm.models import get_pretrained_cfg

    from moodbench.models.build import check_name

    check_name(spec)
    config = get_pretrained_cfg(spec.timm)
    if config is None or not config.has_weights:
        return _Source(None)
    files = (config.hf_hub_filename,) if config.hf_hub_filename else hub.WEIGHT_FILES
    url = config.url if isinstance(config.url, str) else next(iter(config.url or ()), None)
    return _Source(config.hf_hub_id or None, files, url or None)


def _existing(file: Path) -> Path | None:
    return file if hub.is_there(file) else None
