"""The machine, packages and extras; texts for the public; checks that cannot fail."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from moodbench.diagnosis import machine, packages
from moodbench.diagnosis.findings import Finding, asked
from moodbench.diagnosis.packages import Needed, requirements, within
from moodbench.diagnosis.words import address, plain


@pytest.mark.parametrize(("size", "level"), [(64 << 20, "warning"), (None, "warning"), (8 << 30, "ok")])
def test_shm(size, level):
    found = machine.shm_finding(size, "" if size else "No such file or directory")
    assert found.level == level
    assert ("--shm-size" in found.fix) == (level == "warning")
    assert "67.1 MB" in found.shown or size != 64 << 20


@pytest.mark.parametrize(
    ("soft", "hard", "level", "fix"),
    [
        (256, None, "warning", "ulimit -n 4096 in the shell"),
        (256, 1024, "warning", "ulimit -n 1024 in the shell"),
        (256, 256, "warning", "have the hard limit raised"),
        (1024, 4096, "ok", ""),
        (None, None, "ok", ""),
    ],
)
def test_open_files(soft, hard, level, fix):
    found = machine.open_files_finding(soft, hard)
    assert (found.level, found.fix) == (level, fix)


def test_the_cores_of_a_container(tmp_path):
    file = tmp_path / "cpu.max"
    assert machine.quota_of(file) is None
    for text, cores in (("max 100000\n", None), ("150000 100000\n", 1.5), ("nonsense", None)):
        file.write_text(text, encoding="ascii")
        assert machine.quota_of(file) == cores


def test_everything_of_this_machine_has_an_answer():
    found = list(asked(machine.SECTION, machine.check))
    names = [one.name for one in found]
    assert {"moodbench", "Python", "system", "processor", "memory", "open files"} <= set(names)
    assert "not checked" not in names
    assert all(one.shown for one in found)


def test_a_check_that_raises_is_a_finding_and_keeps_what_was_found():
    def check():
        yield Finding("x", "first", 1)
        raise RuntimeError("no such thing")

    first, failed = asked("x", check)
    assert first.value == 1
    assert failed.level == "warning"
    assert "RuntimeError: no such thing" in failed.problem


LINES = [
    "numpy>=1.26",
    "torch >=2.6",
    "open_clip_torch>=3.0; extra == 'clip'",
    'moodbench-ood[clip]; extra == "test"',
    'mkdocstrings[python]>=0.29; extra == "site"',
]


def test_requirements_are_read():
    assert requirements(LINES) == [
        Needed("numpy", ">=1.26", None),
        Needed("torch", ">=2.6", None),
        Needed("open_clip_torch", ">=3.0", "clip"),
        Needed("mkdocstrings", ">=0.29", "site"),
    ]
    assert requirements(None) == []


def test_versions_within():
    assert within("2.6.0+cpu", ">=2.6")
    assert within("2.9.0.dev1", ">=2.6")
    assert not within("2.5.1", ">=2.6")
    assert within("what", ">=2.6")


@pytest.fixture
def installed(monkeypatch):
    """A function that says which versions are installed; all else is not."""

    def there(**versions):
        monkeypatch.setattr(metadata, "requires", lambda name: LINES)
        monkeypatch.setattr(packages, "EXTRAS", ("clip", "site"))
        monkeypatch.setattr(packages, "version_of", lambda name: versions.get(name.replace("-", "_")))
        return {one.name: one for one in packages.check()}

    return there


def test_what_is_missing_or_old(installed):
    found = installed(torch="2.5.1", open_clip_torch="2.0")
    assert (found["numpy"].level, found["numpy"].fix) == ("broken", "pip install 'numpy>=1.26'")
    assert (found["torch"].level, found["torch"].fix) == ("warning", "pip install 'torch>=2.6'")
    assert found["extra clip"].fix == "pip install -U 'moodbench-ood[clip]'"
    assert found["extra site"].level == "ok", "nobody needs every extra"
    assert "pip install 'moodbench-ood[site]'" in found["extra site"].shown
    assert {one.level for one in installed(torch="2.6", numpy="2.0", open_clip_torch="3.1").values()} == {"ok"}


def test_extras_that_the_installed_notes_do_not_know(installed, monkeypatch):
    with (Path(__file__).parents[3] / "pyproject.toml").open("rb") as stream:
        extras = tomllib.load(stream)["project"]["optional-dependencies"]
    assert {*packages.EXTRAS} == {*extras} - {"test", "dev"}
    installed()
    monkeypatch.undo()
    monkeypatch.setattr(metadata, "requires", lambda name: LINES)
    found = {one.name: one for one in packages.check()}
    assert (found["extra s3"].level, found["extra site"].level) == ("warning", "ok")
    assert "pip install 'moodbench-ood[parquet]'" in found["extra parquet"].shown


def test_a_source_folder_that_is_not_installed(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    (found,) = packages.check()
    assert found.level == "warning"


def test_texts_give_nobody_away(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("USER", "alice")
    assert plain("/home/alice/cache and /home/alice") == "~/cache and ~"
    assert plain("/scratch/alice/cache") == "/scratch/USER/cache"
    assert plain("/home/alicent") == "/home/USER", "somebody else is a person, too"
    assert plain("/Users/bob/hf, /home/joe and '/home/ann'") == "/Users/USER/hf, /home/USER and '/home/USER'"
    assert plain("see https://alice:secret@host/x") == "see https://host/x"
    assert "verysecret" not in plain("token hf_verysecretvalue given")
    assert plain("two\nlines") == "two lines"
    assert len(plain("x" * 1000)) == 300


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host.example:80/p?token=1", "https://host.example:80"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("me:pw@proxy.example", "proxy.example"),
        ("http://[::1", "(not an address)"),
        ("http://host:port", "(not an address)"),
    ],
)
def test_addresses(url, shown):
    assert address(url) == shown
