"""Images that are never unpacked, as a user names them; also behind an address."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.commands import call
from tests.packed import files_of, write_parquet, write_shards, write_tar, write_zip
from tests.s3 import Bucket

pytest.importorskip("s3fs")


def rows(dataset: str) -> dict[str, np.ndarray]:
    with h5py.File(f"cache/tiny/{dataset}.h5") as file:
        return {key: file[key][:] for key in ("features", "labels")}


def extract(where: str | Path, dataset: str):
    result = call(
        "extract", "--model", "tiny", "--images", str(where), "--dataset", dataset, "--quiet", "--workers", "2"
    )
    assert result.exit_code == 0, result.stderr
    return rows(dataset)


def test_every_source_gives_the_same_features_to_the_bit(home, pictures):
    members = files_of(pictures / "train")
    expected = extract(pictures / "train", "plain")
    for name, where in {
        "tar": write_tar(Path("a.tar"), members),
        "zip": write_zip(Path("a.zip"), members),
        "shards": write_shards(Path(), members),
        "parquet": write_parquet(Path("a.parquet"), members),
    }.items():
        found = extract(where, name)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values)


def test_an_extraction_goes_on_where_it_stopped_when_the_folder_was_packed_meanwhile(home, pictures):
    extract(pictures / "train", "mine")
    where = write_zip(Path("a.zip"), files_of(pictures / "train"))
    again = call("extract", "--model", "tiny", "--images", str(where), "--dataset", "mine")
    assert again.exit_code == 0
    assert "complete (42 images)" in again.output


def test_a_damaged_member_is_named_or_left_out(home, pictures):
    members = files_of(pictures / "ood")
    members[2] = (members[2][0], members[2][1][:40])
    write_tar(Path("a.tar"), members)
    result = call("extract", "--model", "tiny", "--images", "a.tar", "--dataset", "mine", "--quiet")
    assert result.exit_code == 1
    assert f"a.tar/{members[2][0]}" in result.stderr
    skipped = call("extract", "--model", "tiny", "--images", "a.tar", "--dataset", "mine", "--on-error", "skip")
    assert skipped.exit_code == 0
    assert f"1 could not be decoded: {members[2][0]}" in skipped.output


def test_deep_verification_reads_archives(home, pictures):
    members = files_of(pictures / "ood")
    write_zip(Path("good.zip"), members)
    write_zip(Path("bad.zip"), [*members[:3], ("x.png", b"<html>"), ("y.png", members[0][1])])
    Path("mine.yaml").write_text(
        "datasets:\n  good: {title: Good, path: good.zip, images: 11}\n  bad: {title: Bad, path: bad.zip}\n"
    )
    result = call("verify", "good", "bad", "--deep", "--catalog", "mine.yaml")
    assert result.exit_code == 1
    assert "x.png; it begins with '<html>'" in result.output
    assert call("verify", "good", "--deep", "--catalog", "mine.yaml").exit_code == 0


def test_a_store_that_speaks_s3_is_read_by_ranges(home, pictures, catalog):
    members = files_of(pictures / "train")
    expected = extract(pictures / "train", "plain")
    tar = write_tar(Path("a.tar"), members).read_bytes()
    parquet = write_parquet(Path("a.parquet"), members).read_bytes()
    objects = {"a.tar": tar, "a.parquet": parquet, **{f"train/{name}": data for name, data in members}}
    with Bucket("images", objects) as bucket:
        places = {"tar": "s3://images/a.tar", "parquet": "s3://images/a.parquet", "folder": "s3://images/train"}
        for name, where in places.items():
            run = _elsewhere(bucket, "extract", "--model", "tiny", "--images", where, "--dataset", name)
            assert run.returncode == 0, run.stderr
            for key, values in expected.items():
                np.testing.assert_array_equal(rows(name)[key], values)
        gone = _elsewhere(bucket, "extract", "--model", "tiny", "--images", "s3://images/no.zip", "--dataset", "gone")
    assert gone.returncode == 1
    assert "the file does not exist" in gone.stderr
    assert "Traceback" not in gone.stderr
    assert len(bucket.ranges) > len(members)


def _elsewhere(bucket: Bucket, *words: str) -> subprocess.CompletedProcess[str]:
    """Call a command in a process of its own: the client of the store keeps threads."""
    found = {
        **os.environ,
        "AWS_ENDPOINT_URL": bucket.address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "moodbench", *words, "--workers", "2"]
    return subprocess.run(command, env=found, capture_output=True, text=True, timeout=300, check=False)
