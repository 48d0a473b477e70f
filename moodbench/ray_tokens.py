"""Whether a Ray cluster asks for a token, and which one this process shows.

The members of a cluster of newer Rays may have to show each other a token. Of two processes one of which shows tokens
and the other none, each takes the other for lost, and says no more than that; so this is settled before a cluster is
joined. No part of it is what Ray promises: where a name is missing, Ray is left to itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from moodbench.errors import MoodbenchError

MODE = "RAY_AUTH_MODE"
NAMES = (MODE, "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""What Ray reads of the environment."""


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """Put back at the end what the environment says about tokens."""
    before = {name: os.environ.get(name) for name in NAMES}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def bring_own() -> None:
    """Let a cluster that is started here have a token of this process, unless the environment decides.

    Else Ray would leave one in the home folder, for all later ones.
    """
    if not any(os.environ.get(name) for name in NAMES):
        os.environ["RAY_AUTH_TOKEN"] = _own()
    with contextlib.suppress(ImportError, AttributeError):
        _forget()


@lru_cache
def _own() -> str:
    return secrets.token_hex(32)


def _raylet() -> Any:
    """Return Ray's compiled module, whose names no stub knows."""
    return import_module("ray._raylet")


def _forget() -> None:
    """Let Ray look for the token again: what another cluster asked for is not what this one asks for."""
    _raylet().AuthenticationTokenLoader.instance().reset_cache()


def agree(address: str, where: str | None) -> None:
    """Show a token where the cluster asks for one, and only there.

    Parameters
    ----------
    address : str
        As it was typed, for messages.
    where : str or None
        ``HOST:PORT``; None where Ray itself finds out: then a token is shown where there is one.

    Raises
    ------
    MoodbenchError
        The cluster wants a token that this process has not, or wants none and this process shows one.
    """
    try:
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        _forget()
    except (ImportError, AttributeError):
        return
    mode = os.environ.get(MODE)
    shown = _raylet().get_authentication_mode() == _raylet().AuthenticationMode.TOKEN
    if where is not None and _lets_all_in(where):
        if not shown and (mode or "").lower() != "token":
            return
        why = f"{MODE}={mode} is set" if mode else "this process has shown one to another cluster"
        raise MoodbenchError(
            f"the Ray cluster at '{address}' asks for no token, and {why}",
            fix=f"unset {MODE}" if mode else "join it from a new process",
        )
    if not mode:
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    if where is not None and not _lets_in(where):
        raise no_token(address)


def no_token(address: str) -> MoodbenchError:
    """Return the error of a process whose token is not that of the cluster."""
    return MoodbenchError(
        f"the Ray cluster at '{address}' asks for a token that this process has not",
        fix="set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to that of the cluster, as for `ray start --address`",
    )


def _lets_all_in(where: str) -> bool:
    """Ask without a token."""
    settings = _raylet().Config
    try:
        with environment_kept():
            os.environ[MODE] = "disabled"
            settings.initialize("")
            return _lets_in(where)
    finally:
        settings.initialize("")


def _lets_in(where: str) -> bool:
    from ray.exceptions import AuthenticationError

    try:
        with _no_stderr():
            _raylet().GcsClient(address=where)
    except AuthenticationError:
        return False
    return True


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what compiled code writes: Ray's would warn that it was not let in, which is what it was asked."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
