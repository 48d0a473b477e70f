"""Where weights come from, and noticing in seconds rather than a minute that there is no network.

The hub client retries for most of a minute and then names neither the model nor the way out. So the cache is looked
at first, then the host is asked once; only when it answers does the client get its turn.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from moodbench.errors import DownloadError, ModelError
from moodbench.progress import has_bars
from moodbench.transfer.contact import Question
from moodbench.types import Report

PROBE_SECONDS = 4.0
"""How long a host may take to answer before it counts as unreachable."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names under which timm looks for weights in a hub repository."""

_GATEWAY_ERRORS = (502, 503, 504)  # a proxy or balancer answers, the host behind it does not
_CHATTY = ("timm", "transformers", "huggingface_hub", "httpx", "urllib3", "filelock", "fsspec")


def reachable(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Say whether the host of `url` answers at all, within `seconds`; proxies of the environment are used.

    Any HTTP answer counts, a refusal too: what matters is that somebody is there. The answer to `ask_ahead` is used up.
    """
    return (_ASKED.pop(url, None) or _ask(url, seconds)).answer(otherwise=False)


def ask_ahead(hub_id: str) -> None:
    """Begin to ask whether the hub answers, if weights that probably lie there have to be fetched.

    Importing torch and timm, which know for sure, takes as long as waiting for a host that says nothing.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and not in_hub_cache(hub_id):
        _ASKED[endpoint()] = _ask(endpoint(), PROBE_SECONDS)


_ASKED: dict[str, Question[bool]] = {}


def _ask(url: str, seconds: float) -> Question[bool]:
    # more than a connection: of a proxy it is to be known whether the host behind it is there
    return Question(partial(_answers, url, seconds), seconds)


def _answers(url: str, seconds: float) -> bool:
    try:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "moodbench"})
        with urllib.request.urlopen(request, timeout=seconds):
            return True
    except urllib.error.HTTPError as error:  # it holds the connection open
        error.close()
        return error.code not in _GATEWAY_ERRORS
    except Exception:  # refused, no such host, no route, bad URL: all mean that nothing can be had from there
        return False


# -- the hub ------------------------------------------------------------------------------------------------------


def cached_in_hub(hub_id: str, files: Iterable[str] = WEIGHT_FILES) -> Path | None:
    """Return the first of `files` of the repository `hub_id` (``OWNER/NAME[@REVISION]``) that is in the hub cache."""
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, revision = hub_id.partition("@")
    for file in files:  # a path, None or a mark that the repository has no such file
        found = try_to_load_from_cache(repository, file, cache_dir=constants.HF_HUB_CACHE, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def in_hub_cache(hub_id: str, files: Iterable[str] = WEIGHT_FILES) -> bool:
    """Say whether one of `files` of the repository `hub_id` (``OWNER/NAME[@REVISION]``) is in the hub cache."""
    return cached_in_hub(hub_id, files) is not None


def ready_hub(model: str, hub_id: str, files: Iterable[str] = WEIGHT_FILES, *, instead: str | None = None) -> bool:
    """Return True if the weights are in the hub cache already, False if they must and can be fetched.

    Raises
    ------
    ModelError
        They are neither in the cache nor to be had: the network is unreachable, or switched off by HF_HUB_OFFLINE.
    """
    from huggingface_hub import constants

    if in_hub_cache(hub_id, files):
        return True
    if constants.HF_HUB_OFFLINE:
        raise hub_error(model, hub_id, "HF_HUB_OFFLINE is set, so they are not fetched", instead=instead)
    if not reachable(endpoint()):
        raise hub_error(model, hub_id, f"{endpoint()} does not answer", instead=instead)
    return False


def hub_error(model: str, hub_id: str, why: str, fix: str | None = None, *, instead: str | None = None) -> ModelError:
    """Return the one message for weights that cannot be had from the hub.

    `fix` goes before the general advice; `instead` is another way to name them than ``--checkpoint``.
    """
    from huggingface_hub import constants

    address = f"{endpoint()}/{hub_id.partition('@')[0]}"
    otherwise = instead or f"or give the weights as a file: --checkpoint FILE (from {address})"
    general = (
        "connect to the network (a proxy in HTTPS_PROXY, a mirror in HF_ENDPOINT), "
        f"or copy a hub cache that holds them to the folder above and set HF_HUB_OFFLINE=1,\n{otherwise}"
    )
    own = None if fix is None else f"{fix},\n{otherwise}"
    return ModelError(
        f"the weights of '{model}' are not on this machine, and {why} (hub id: {hub_id})",
        file=constants.HF_HUB_CACHE,
        fix=own or general,
    )


def explained(model: str, hub_id: str, error: Exception, *, instead: str | None = None) -> ModelError:
    """Return the message for what the hub client failed with: terms to accept, nothing there, a broken line."""
    from huggingface_hub import errors

    said = partial(hub_error, model, hub_id, instead=instead)
    repository = hub_id.partition("@")[0]
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client says no more than that the cache lacks it too
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or (
        status in (401, 403) and not isinstance(error, errors.RepositoryNotFoundError)
    ):
        return said(
            "their publisher gives them only to people who have agreed to its terms",
            f"agree at {endpoint()}/{repository}, then name yourself: hf auth login, or a token in HF_TOKEN",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        why = "the hub does not have them (any more), or not for everybody"
        return said(why, f"look at {endpoint()}/{repository}; they may have a new name")
    if isinstance(error, errors.RevisionNotFoundError):
        return said("the hub does not have this revision of them", "leave the revision out")
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return said("the repository does not hold a file with them", "use another tag")
    why = f"{type(error).__name__}" if status is None else f"the hub answered {status}"
    return said(f"fetching them failed: {why}")


def endpoint() -> str:
    """Return the address of the hub, or of the mirror that HF_ENDPOINT names."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


@contextlib.contextmanager
def hub_offline(active: bool) -> Iterator[None]:
    """Keep the hub client off the network for a while: what is cached is used as it is, at once."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or active
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


# -- addresses ----------------------------------------------------------------------------------------------------


def fetch_url(
    model: str,
    url: str,
    *,
    sha256: str | None = None,
    size: int | None = None,
    head: bool = False,
    report: Report = lambda line: None,
    progress: bool = True,
) -> Path:
    """Return the local copy of a checkpoint address, downloading it into torch's hub cache if needed.

    A file that is there is returned as it is; whoever loads it checks it. One that comes over the network is resumed
    where it broke off and checked against `sha256`, `size` (bytes), and the first digits of the SHA-256 that a name
    ending in ``-xxxxxxxx`` carries. `head`: it holds a classifier alone, which messages then say.

    Raises
    ------
    ModelError
        The host cannot be reached or refuses, or what came is not what was expected (it is kept as ``….wrong``).
    """
    from moodbench.transfer.expected import Expectation
    from moodbench.transfer.http import fetch
    from moodbench.transfer.meter import Bars

    target = url_file(url)
    if is_there(target):
        return target
    if not reachable(url):
        raise url_error(model, url, "does not answer", head=head)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Bars(progress=progress) as meter:
            fetched = fetch(url, target, expected=Expectation(bytes=size, sha256=sha256), meter=meter, report=report)
    except DownloadError as error:
        raise url_error(model, url, f"gave no usable file: {error.what}", head=head) from error
    except OSError as error:
        raise url_error(model, url, f"could not be used: {error}", head=head) from error
    promised = digest_in_name(target)
    if promised is not None and not fetched.sha256.startswith(promised):
        wrong = target.with_name(f"{target.name}.wrong")
        target.replace(wrong)
        why = f"gave another file: sha256 {fetched.sha256}, but its name says {promised}… (kept as {wrong.name})"
        raise url_error(model, url, why, head=head)
    return target


def url_file(url: str) -> Path:
    """Return where the file of an address lies, or will."""
    return torch_cache() / Path(urlsplit(url).path).name


def is_there(file: Path) -> bool:
    """Say whether there is a file that may be looked at: in a home that may not be, there is nothing."""
    return os.path.isfile(file)  # noqa: PTH113 (which `Path` raises an error for)


def digest_in_name(file: Path) -> str | None:
    """Return the first digits of the SHA-256 that a name ending in ``-xxxxxxxx`` promises, else None."""
    match = re.search(r"-([0-9a-f]{8,})\.", file.name)
    return None if match is None else match[1]


def ready_url(model: str, url: str, *, head: bool = False) -> None:
    """Raise the `ModelError` for weights behind `url` that are neither cached by torch nor reachable."""
    if not is_there(url_file(url)) and not reachable(url):
        raise url_error(model, url, "does not answer", head=head)


def url_error(model: str, url: str, why: str, *, head: bool = False) -> ModelError:
    """Return the one message for weights, or a `head` alone, that cannot be had from an address."""
    missing = f"the head of '{model}' is" if head else f"the weights of '{model}' are"
    # --checkpoint names the network's own file, never that of its head
    instead = ", or do without it (--no-head): features only" if head else " or name it with --checkpoint FILE"
    return ModelError(
        f"{missing} not on this machine, and {urlsplit(url).netloc} {why}",
        file=torch_cache(),
        fix=f"connect to the network, or fetch {url} elsewhere,\nthen put it into the folder above{instead}",
    )


def torch_cache() -> Path:
    """Return the folder in which torch keeps downloaded checkpoints; torch itself is not imported for it."""
    torch = sys.modules.get("torch")
    if torch is not None:  # torch.hub.set_dir may have moved it
        return Path(torch.hub.get_dir()) / "checkpoints"
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    # not that of `Path`, which raises where nobody knows the home of a user
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # noqa: PTH111


@contextlib.contextmanager
def quiet(progress: bool = True) -> Iterator[None]:
    """Keep the libraries' own log lines off stderr; with `progress` a bar stays where a person can see it."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    hide = not (progress and has_bars()) and not are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if hide:
            enable_progress_bars()
