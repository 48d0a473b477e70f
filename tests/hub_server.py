"""A hub on the loopback interface: it answers what huggingface_hub asks for dataset repositories as the real one does.

Repositories are commits of whole files. Two tokens are known: ``writes`` (of the account ann) and ``reads``. `refuse`
has a path answered with a status; `before_commit` is called when a commit arrives, as if somebody else was quicker.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNTS = {"writes": "ann", "reads": "ben"}


class RefusedError(Exception):
    """An answer that is none: status, X-Error-Code, X-Error-Message."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status, code, message)


class Repository:
    """A dataset repository: branch → commits, the newest last; pull requests are branches of their own."""

    def __init__(self, private: bool, files: dict[str, bytes]) -> None:
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, list[str]] = {"main": []}
        self.add("main", files)

    def add(self, branch: str, files: dict[str, bytes]) -> str:
        """Put a commit with these files, and those of before, at the end of a branch."""
        before = self.branches.setdefault(branch, [*self.branches["main"]])
        whole = (self.commits[before[-1]] if before else {}) | files
        told = "".join(f"{name}\0{hashlib.sha1(data).hexdigest()}" for name, data in whole.items())
        sha = hashlib.sha1(f"{len(self.commits)}{branch}{told}".encode()).hexdigest()
        self.commits[sha] = whole
        before.append(sha)
        return sha

    def resolve(self, revision: str) -> str:
        """Return the commit of a branch or commit."""
        if revision in self.commits:
            return revision
        if revision not in self.branches:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.branches[revision][-1]

    def files(self, branch: str = "main") -> dict[str, bytes]:
        """Return the files at the end of a branch."""
        return self.commits[self.branches[branch][-1]]


class Hub:
    """What the server knows, and what it was asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.url = ""
        self.refuse: dict[str, int] = {}
        self.before_commit: Callable[[], object] = lambda: None

    def make(self, name: str, files: dict[str, bytes] | None = None, *, private: bool = False) -> Repository:
        """Make a repository."""
        card = {".gitattributes": b"*.h5 filter=lfs diff=lfs merge=lfs -text\n"}
        self.repositories[name] = Repository(private, card if files is None else files)
        return self.repositories[name]

    def find(self, name: str, account: str | None) -> Repository:
        """Return a repository that an account may read."""
        found = self.repositories.get(name)
        if found is None or (found.private and account is None):
            # nobody is told whether there is a private one; who named themselves reads 404
            raise RefusedError(401 if account is None else 404, "RepoNotFound", "Repository not found")
        return found

    # -- what is asked --------------------------------------------------------------------------------------------

    def get(self, path: str, account: str | None) -> tuple[Any, dict[str, str]]:
        """Answer GET and HEAD: bytes or JSON, and headers."""
        if path == "/":
            return b"hub", {}
        if path == "/api/whoami-v2":
            if account is None:
                raise RefusedError(401, "", "Invalid credentials in Authorization header")
            return {"name": account, "type": "user"}, {}
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            repository = self.find(found[1], account)
            sha = repository.resolve(found[2] or "main")
            siblings = [{"rfilename": name} for name in repository.commits[sha]]
            return {"id": found[1], "sha": sha, "private": repository.private, "tags": [], "siblings": siblings}, {}
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)", path):
            repository = self.find(found[1], account)
            files = repository.commits[repository.resolve(found[2])]
            return [
                {"type": "file", "path": name, "size": len(data), "oid": _blob(data)} for name, data in files.items()
            ], {}
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository = self.find(found[1], account)
            sha = repository.resolve(found[2])
            if found[3] not in repository.commits[sha]:
                raise RefusedError(404, "EntryNotFound", "Entry not found")
            data = repository.commits[sha][found[3]]
            return data, {"X-Repo-Commit": sha, "ETag": f'"{_blob(data)}"'}
        raise RefusedError(404)

    def post(self, path: str, query: dict[str, list[str]], body: bytes, account: str | None) -> Any:
        """Answer POST."""
        if path == "/api/validate-yaml":
            content = json.loads(body)["content"]
            if not content.startswith("---\n"):
                return {"warnings": [{"message": "empty metadata"}], "errors": []}
            return {"warnings": [], "errors": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if account != "ann":
                raise RefusedError(403, "", "You don't have the rights to create a dataset under this namespace")
            if name in self.repositories:
                raise RefusedError(409, "", "You already created this dataset repo")
            self.make(name, private=asked.get("visibility", "private" if asked.get("private") else "") == "private")
            return {"url": f"{self.url}/datasets/{name}"}
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/preupload/(.+)", path):
            repository = self.find(found[1], account)
            self._may_write(account, query)
            files = repository.commits[repository.resolve(found[2])]
            there = {one["path"]: files.get(one["path"]) for one in json.loads(body)["files"]}
            oids = {name: None if data is None else _blob(data) for name, data in there.items()}
            return {
                "files": [
                    {"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": oid}
                    for name, oid in oids.items()
                ]
            }
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/commit/(.+)", path):
            repository = self.find(found[1], account)
            self._may_write(account, query)
            self.before_commit()
            header, *operations = (json.loads(line) for line in body.splitlines())
            parent = header["value"].get("parentCommit")
            if parent is not None and parent != repository.resolve(found[2]):
                raise RefusedError(412, "", "A commit has happened since. Please refresh and try again.")
            files = {one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in operations}
            request = f"refs/pr/{len(repository.branches)}" if "create_pr" in query else None
            sha = repository.add(request or found[2], files)
            where = f"{self.url}/datasets/{found[1]}"
            number = (request or "").rpartition("/")[2]
            asked_for = f"{where}/discussions/{number}" if request else None
            return {"commitUrl": f"{where}/commit/{sha}", "commitOid": sha, "pullRequestUrl": asked_for}
        raise RefusedError(404)

    def _may_write(self, account: str | None, query: dict[str, list[str]]) -> None:
        if account is None:
            raise RefusedError(401, "", "Invalid credentials in Authorization header")
        if account != "ann" and "create_pr" not in query:
            raise RefusedError(403, "", "Authorization error.")


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a hub for the duration of the block."""
    known = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *args: Any) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            known.asked.append(f"{self.command} {path}")
            known.agents.add(self.headers.get("User-Agent", ""))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            try:
                status = next((code for end, code in known.refuse.items() if re.search(end, path)), None)
                if status is not None:
                    raise RefusedError(status)
                if token and token not in ACCOUNTS:
                    raise RefusedError(401, "", "Invalid credentials in Authorization header")
                account = ACCOUNTS.get(token)
                if self.command == "POST":
                    found, headers = known.post(path, parse_qs(parts.query), body, account), {}
                else:
                    found, headers = known.get(path, account)
                self._send(200, found, headers)
            except RefusedError as refusal:
                status, code, message = (*refusal.args, "", "")[:3]
                said = {"X-Error-Code": code, "X-Error-Message": message}
                told = {"error": message, "url": f"{known.url}/datasets/lab/results"}  # what a 409 has besides
                self._send(status, told, {key: value for key, value in said.items() if value})

        def _send(self, status: int, found: Any, headers: dict[str, str]) -> None:
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            kind = "application/octet-stream" if isinstance(found, bytes) else "application/json"
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()
