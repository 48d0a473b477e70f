"""`moodbench verify` and the states in `moodbench list datasets`, as people meet them."""

from __future__ import annotations

import json

import pytest

from tests.commands import call
from tests.disks import Disk, cut, flip


@pytest.fixture
def disk(tmp_path, monkeypatch):
    made = Disk(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", str(made.catalog()))
    return made


def test_all_well(disk):
    disk.note("id", "ood")
    result = call("verify", "id", "part")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["dataset", "images", "expected", "state", "compared", "findings"],
        ["id", "6", "6", "ok", "count,", "names,", "sizes"],
        ["part", "3", "3", "ok", "count,", "names,", "sizes"],
    ]


def test_faults_are_shown_and_exit_1(disk):
    disk.note("id", "ood")
    disk.file("id", "a/0.png").unlink()
    cut(disk.file("id", "b/1.png"), 0)
    disk.file("ood", "a/0.png").write_bytes(disk.file("id", "a/4.png").read_bytes())
    disk.note("ood")
    result = call("verify", "--benchmark", "b", "--deep", "--jobs", 1)
    assert result.exit_code == 1
    mend = "to mend id: restore the images that are named\n"
    assert result.stderr == f"leave out id_test: features only\n{mend}"
    assert "1 missing, 1 empty" in result.stdout
    assert "\nid: missing\n  a/0.png\n" in result.stdout
    assert "\nood: the same picture as ID and as OOD\n  a/0.png = id: a/4.png; in b\n" in result.stdout


def test_many_findings_are_counted_and_all_are_in_the_json(disk):
    for i in range(12):
        disk.file("id", f"a/name with blanks {i:02}\n.png").write_bytes(b"")
    disk.entry("id", images=18)
    disk.catalog()
    result = call("verify", "id")
    assert result.exit_code == 1
    assert "12 empty" in result.stdout
    assert "  and 7 more; --json shows all\n" in result.stdout
    assert "  'a/name with blanks 00\\n.png'\n" in result.stdout
    result = call("verify", "id", "--json")
    assert result.exit_code == 1
    (record,) = json.loads(result.stdout)
    assert (record["name"], record["state"], record["ok"], record["counts"]) == ("id", "faulty", False, {"empty": 12})
    expected = {"kind": "empty", "dataset": "id", "path": "a/name with blanks 00\n.png", "fault": True}
    assert record["findings"][0] == expected


def test_duplicates_are_no_fault(disk):
    disk.file("id", "a/0.png").write_bytes(disk.file("id", "a/2.png").read_bytes())
    result = call("verify", "id", "--deep")
    assert result.exit_code == 0
    assert "id: the same picture twice (no fault)\n  a/2.png = a/0.png\n" in result.stdout


def test_near_is_deep(disk):
    disk.note("id")
    flip(disk.file("id", "a/0.png"))
    assert call("verify", "id").exit_code == 0
    result = call("verify", "id", "--near", "--bits", 2, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["deep"]


def test_quiet_says_what_is_found_alone(disk):
    result = call("verify", "--benchmark", "b", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("dataset")


BAD = [
    (["verify", "idd"], 2, "there is no dataset 'idd'. Did you mean 'id'"),
    (["verify", "--benchmark", "imagnet"], 2, "there is no benchmark 'imagnet'. Did you mean 'imagenet'"),
    (["verify", "id", "--jobs", "0"], 2, "at least 1"),
    (["verify", "id", "--near", "--bits", "40"], 2, "use 0 to 16"),
]


@pytest.mark.parametrize(("args", "code", "message"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_input_gets_one_message(disk, args, code, message):
    result = call(*args)
    assert result.exit_code == code
    assert result.stderr.count("error:") == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_list_datasets_shows_the_state(disk):
    call("verify", "id", "--deep")
    disk.file("ood", "b/1.png").unlink()
    call("verify", "ood")
    text = call("list", "datasets").stdout
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "deep verified 20" in lines["id"]
    assert "6 / 6" in lines["id"]
    assert "faulty 20" in lines["ood"]
    assert "5 / 6" in lines["ood"]
    assert "part of ood" in lines["part"]
    assert max(map(len, text.splitlines())) <= 120


def test_list_datasets_as_json_has_all_that_the_catalogue_says(disk):
    records = {record["name"]: record for record in json.loads(call("list", "datasets", "--json").stdout)}
    keys = {"role", "homepage", "paper", "licence", "steps", "problems", "archives", "state", "images_here", "origin"}
    assert all(keys <= record.keys() for record in records.values())
    assert all(archive["sha256"] for record in records.values() for archive in record["archives"])
