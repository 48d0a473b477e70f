"""What `moodbench download` meets: one small catalogue with true layouts, and the server that it names."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from typer.testing import CliRunner

from moodbench.cli import app
from tests.server import Page, Server

CLASSES = ("disc", "ring", "star")


def picture(seed: int, side: int = 12) -> bytes:
    """Return a PNG of noise: bytes that no compression makes small."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    """Return an archive of names with content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    """Return the MD5 in hex."""
    return hashlib.md5(content).hexdigest()


@dataclass
class World:
    """A catalogue, the server with what it names, and an empty folder to work in."""

    server: Server
    home: Path
    entries: dict[str, dict]
    shapes: dict[str, bytes]
    archive: bytes
    loose: dict[str, bytes]

    @property
    def catalog(self) -> Path:
        return self.home / "catalog.yaml"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def page(self, path: str) -> Page:
        return self.server.pages[path]

    def write(self) -> None:
        benchmark = {"id_train": "shapes", "id_test": "two_shapes", "ood": {"far": ["loose"]}}
        self.catalog.write_text(yaml.safe_dump({"datasets": self.entries, "benchmarks": {"small": benchmark}}))

    def args(self, *args: object) -> list[str]:
        self.write()
        return ["download", *map(str, args), "--catalog", str(self.catalog), "--data-dir", str(self.data)]

    def call(self, *args: object):
        """Run the command in this process; a traceback is never right."""
        result = CliRunner().invoke(app, self.args(*args), catch_exceptions=False)
        assert "Traceback" not in result.output
        return result

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "moodbench", *self.args(*args)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def files(self, folder: str) -> dict[str, bytes]:
        root = self.data / folder
        return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}

    def note(self, name: str) -> dict:
        return json.loads((self.data / ".moodbench" / f"{name}.json").read_text())

    def manifest(self, name: str) -> dict[str, str]:
        with (self.data / ".moodbench" / f"{name}.csv").open(newline="") as stream:
            return {row["path"]: row["sha256"] for row in csv.DictReader(stream)}

    def left(self) -> list[str]:
        """Return what is neither a dataset's nor a note: temporary files, archives."""
        files = (f.relative_to(self.data).as_posix() for f in self.data.rglob("*") if f.is_file())
        return [f for f in files if "/partial/" in f or "/archives/" in f or f.endswith((".part", ".lock"))]


def wait_for(condition, process) -> None:
    """Wait until something is true, as long as the process lives."""
    for _ in range(3000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("the process did not get there")


def in_words(contents) -> str:
    """Return the size of several contents together, as messages say it."""
    from moodbench.sizes import human_bytes

    return human_bytes(sum(map(len, contents)))
