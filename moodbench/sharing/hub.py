"""Dataset repositories of the Hugging Face hub: what is shared there is fetched, and a commit is made of what is new.

All through huggingface_hub: the token is the one it finds (HF_TOKEN, or ``hf auth login``), the hub or mirror the one
that HF_ENDPOINT names, and the files that were fetched stay in its cache.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moodbench.errors import MoodbenchError, ResultsError, UsageError
from moodbench.models.hub import endpoint, quiet, reachable
from moodbench.release import __version__
from moodbench.sharing.card import ATTRIBUTES, README
from moodbench.sharing.layout import HUB, SUBMISSIONS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"

_WANTED = (README, ATTRIBUTES, f"{SUBMISSIONS}/*/*/*.csv", f"{SUBMISSIONS}/*/*/*.json")
"""What is fetched of a repository."""

_LOGIN = "name yourself: hf auth login, or a token in HF_TOKEN"
_BUSY = (409, 412)

T = TypeVar("T")


@dataclass(frozen=True)
class Repository:
    """A dataset repository, and which of its revisions (branches) is meant.

    Attributes
    ----------
    name : str
        ``ORG/NAME``.
    revision : str or None
        None: the main one.
    """

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str, revision: str | None = None) -> Repository:
        """Return the repository that ``hf:ORG/NAME`` names.

        Raises
        ------
        UsageError
            No repository can be called so.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        name = text.removeprefix(HUB)
        try:
            validate_repo_id(name)
        except HFValidationError:
            raise UsageError(f"'{text}' cannot name a dataset repository", fix="write hf:ORG/NAME") from None
        if "/" not in name:
            raise UsageError(f"'{text}' does not say whose dataset repository", fix=f"write hf:ORG/{name}")
        return cls(name, revision)

    @property
    def url(self) -> str:
        """Its address for a browser."""
        return f"{endpoint()}/datasets/{self.name}"

    @contextmanager
    def copied(self) -> Iterator[tuple[Path, str]]:
        """Yield a folder with a copy of what is shared there, which may be changed, and the commit that it is of.

        Raises
        ------
        ResultsError
            There is no such repository or revision, one may not read it, or the hub cannot be reached.
        """
        with tempfile.TemporaryDirectory(prefix="moodbench-") as place:
            folder = Path(place) / "copy"
            commit, snapshot = self._fetched()
            folder.mkdir()
            if snapshot.is_dir():  # a repository without such files has none
                for pattern in _WANTED:
                    for file in snapshot.glob(pattern):
                        target = folder / file.relative_to(snapshot)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(file, target)
            yield folder, commit

    def _fetched(self) -> tuple[str, Path]:
        def fetch(api: HfApi) -> tuple[str, Path]:
            commit = str(api.dataset_info(self.name, revision=self.revision).sha)
            place = api.snapshot_download(self.name, repo_type="dataset", revision=commit, allow_patterns=list(_WANTED))
            return commit, Path(place)

        return self._asked(fetch, "read")

    def create(self) -> None:
        """Make the repository, a private one, unless it is there."""
        self._asked(lambda api: api.create_repo(self.name, repo_type="dataset", private=True, exist_ok=True), "make")

    def commit(self, folder: Path, files: Sequence[Path], message: str, *, parent: str, as_pull_request: bool) -> str:
        """Commit files of a folder, if nobody else did since `parent`; return the address of the commit or request."""

        def send(api: HfApi) -> str:
            from huggingface_hub import CommitOperationAdd, CommitOperationDelete

            done = api.create_commit(
                self.name,
                [
                    CommitOperationAdd(name, file) if file.exists() else CommitOperationDelete(name)
                    for file in files
                    for name in (str(file.relative_to(folder)),)
                ],
                commit_message=message,
                repo_type="dataset",
                revision=self.revision,
                create_pr=as_pull_request,
                parent_commit=parent,
            )
            return str(done.pr_url or done.commit_url)

        return self._asked(send, "write")

    def account(self) -> str:
        """Return the name of the account that the token is of."""
        return self._asked(lambda api: str(api.whoami()["name"]), "account")

    def _asked(self, ask: Callable[[HfApi], T], what: str) -> T:
        """Return what the hub answers, with its refusals in words."""
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

        if constants.HF_HUB_OFFLINE:
            raise self._error("HF_HUB_OFFLINE is set, so the hub is not asked", "unset it, or share in a folder")
        if not reachable(endpoint()):
            fix = "connect to the network (a proxy in HTTPS_PROXY, a mirror in HF_ENDPOINT)"
            raise self._error(f"{endpoint()} does not answer", fix)
        network: Any = HfHubHTTPError.__bases__[0]  # of whichever library the installed version speaks through
        try:
            with quiet():
                return ask(HfApi(library_name="moodbench", library_version=__version__))
        except LocalTokenNotFoundError:
            raise self._error("there is no token of the hub on this machine", _LOGIN) from None
        except HfHubHTTPError as error:
            raise self._explained(error, what) from None
        except (network, OSError, ValueError, KeyError, TypeError) as error:
            why = str(error).partition("\n")[0]
            raise self._error(f"talking to the hub failed ({type(error).__name__}: {why})", "try again") from None

    def _explained(self, error: Exception, what: str) -> MoodbenchError:
        from huggingface_hub import errors

        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.RevisionNotFoundError):
            return self._error(f"it has no revision '{self.revision}'", f"look at {self.url}/tree/{MAIN}")
        if isinstance(error, errors.GatedRepoError):
            return self._error("it is for people who have agreed to its terms", f"agree at {self.url}, then {_LOGIN}")
        if status == 401 and (what == "account" or not isinstance(error, errors.RepositoryNotFoundError)):
            return self._error("the hub does not know the token, or there is none", _LOGIN)
        if isinstance(error, errors.RepositoryNotFoundError):
            make = "; --create makes a private one" if what == "read" else ""
            return self._error(
                "the hub has no such dataset repository, or not for you", f"check the name, {_LOGIN}{make}"
            )
        if status == 403:
            fix = "use a token that may write there, or --create-pr" if what == "write" else _LOGIN
            return self._error(f"the hub does not let you {what} it", fix)
        if status in _BUSY:
            return self._error(
                "somebody else changed it meanwhile, and nothing was shared", "run the same command again"
            )
        return self._error(f"the hub answered HTTP {status}", "try again later")

    def _error(self, why: str, fix: str) -> ResultsError:
        return ResultsError(f"hf:{self.name}: {why}", fix=fix)
