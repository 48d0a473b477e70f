"""The options of `moodbench download`, wrong usage, interrupts, and the call from Python."""

from __future__ import annotations

import os
import signal

import pytest

from tests.publishers import in_words, wait_for


def test_dry_run(world):
    result = world.call("--benchmark", "small", "secret", "digits_faces", "--dry-run")
    assert result.exit_code == 0, result.output
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    size = in_words([world.archive])
    assert rows == [
        "dataset images to do download unpacked",
        "secret 12 by hand",
        "digits_faces 200 nothing: bundled",
        f"shapes 12 download {size} ≤ 10.0 MB",
        "two_shapes 8 with shapes, fetch its list",
        "loose 20 download image by image, fetch its list size unknown",
    ]
    assert world.server.asked == []
    assert not world.data.exists()


def test_archives_are_kept_if_asked_for_and_used_again(world):
    assert world.call("shapes", "--keep-archives").exit_code == 0
    kept = world.data / ".moodbench/archives/shapes.tar.gz"
    assert kept.read_bytes() == world.archive
    (world.data / "shapes").rename(world.home / "away")
    assert world.call("shapes").exit_code == 0
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert not kept.exists()


def test_an_archive_of_two_datasets_is_fetched_once(world):
    world.entries["more"] = {**world.entries["shapes"], "folder": "more", "title": "More"}
    assert world.call("shapes", "more").exit_code == 0
    assert world.files("more") == world.files("shapes") == world.shapes
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert world.left() == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "nothing is named"),
        (["shape"], "there is no dataset 'shape'. Did you mean 'shapes'"),
        (["--benchmark", "smal"], "there is no benchmark 'smal'"),
        (["--model", "digits_mi"], "there is no model 'digits_mi'"),
        (["shapes", "--link", "hard"], "--link says how to use the images of a folder"),
        (["shapes", "--from", ".", "--link", "soft"], "--link cannot be 'soft'.\n  fix:  use one of: hard, symbolic"),
        (["shapes", "loose", "--from", "."], "--from belongs to one dataset"),
        (["shapes", "--from", "nowhere"], "--from names something that is not there"),
        (["digits_faces", "--from", "."], "'digits_faces' comes with the package"),
        (["shapes", "--jobs", "0"], "--jobs is a number above zero"),
        (["--dry-run"], "name some"),
        (["shapes", "--dry-run", "--from", "."], "knows nothing of --from"),
    ],
)
def test_wrong_usage(world, args, said):
    result = world.call(*args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert world.server.asked == []


def test_a_variant_that_the_catalogue_does_not_declare_is_pointed_out(world):
    result = world.call("--model", "digits_mim@modv2")
    assert result.exit_code == 0
    assert "'modv2' is not a variant of digits_mim in the catalogue: its own weights" in result.stderr


def test_weights_of_a_model_that_comes_with_the_package(world):
    result = world.call("--model", "digits_mim", "shapes")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[1] == "skip digits_mim: there (1.3 MB)"


def test_all_is_everything_that_the_benchmarks_name(world, monkeypatch):
    from moodbench.catalog import Catalog, load_catalog

    world.write()
    full = load_catalog([world.catalog])
    small = Catalog(full.datasets, {name: full.benchmarks[name] for name in ("digits", "small")}, full.models)
    monkeypatch.setattr("moodbench.workspace.load_catalog", lambda files: small)
    result = world.call("--all")
    assert result.exit_code == 0, result.output
    assert "skip digits_faces: bundled" in result.stderr
    assert "secret" not in result.output
    assert world.files("far/loose") == world.loose


def test_interrupted_by_the_keyboard(world):
    page = world.page("/shapes.tar.gz")
    page.trickle = (1000, 5.0)
    process = world.start("shapes")
    wait_for(lambda: page.sent, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.endswith("interrupted; run the same command again to go on\n")
    assert not (world.data / "shapes").exists()


def test_two_processes_at_once(world):
    page = world.page("/shapes.tar.gz")
    page.trickle = (1024, 0.01)
    both = [world.start("shapes"), world.start("shapes")]
    texts = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert page.sent == len(world.archive)
    assert world.files("shapes") == world.shapes


def test_from_python(world, monkeypatch):
    import moodbench

    world.write()
    space = moodbench.Workspace(world.data, catalogs=(world.catalog,))
    lines: list[str] = []
    first = moodbench.download(["two_shapes", "digits_faces"], workspace=space, report=lines.append)
    assert [(r.name, r.state, r.images) for r in first] == [
        ("two_shapes", "downloaded", 8),
        ("digits_faces", "bundled", 200),
    ]
    assert first[0].bytes == sum(len(v) for k, v in world.shapes.items() if k[0] != "r")
    assert [r.state for r in moodbench.download(["two_shapes"], workspace=space)] == ["there"]
    assert os.environ.get("MOODBENCH_TIMEOUT") is None
