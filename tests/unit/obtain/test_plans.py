"""Before anything is fetched: what is to be done, and whether the disk has room for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.catalog import Catalog
from moodbench.errors import DataError
from moodbench.inspection.manifest import Origin
from moodbench.obtain.archives import archive_file
from moodbench.obtain.jobs import make_jobs
from moodbench.obtain.partial import begin, finish
from moodbench.obtain.plan import Plan, check_disk, survey
from moodbench.obtain.room import check_room, free_bytes
from moodbench.sizes import human_bytes
from tests.obtaining import archive, dataset, job, pictures

# -- jobs --------------------------------------------------------------------------------------------------------------


def test_parts_are_obtained_with_the_whole_and_it_once():
    whole, drawn = dataset("whole"), dataset("drawn", generated="r")
    part = dataset("part", folder="whole/in", part_of="whole")
    part_of_part = dataset("deep", folder="whole/in", part_of="part")
    catalog = Catalog({s.name: s for s in (whole, drawn, part, part_of_part)}, {}, {})
    jobs = make_jobs([drawn, part_of_part, part, part_of_part], catalog)
    assert [(each.whole.name, [spec.name for spec in each.wanted]) for each in jobs] == [
        ("whole", ["deep", "part"]),
        ("drawn", ["drawn"]),  # last: it may look at pictures that come in the same call
    ]
    assert jobs[0].name == "deep, part (of whole)"
    assert jobs[1].name == "drawn"


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_450, "99.5 kB"),
        (99_600, "100 kB"),
        (999_499, "999 kB"),
        (999_999, "1.0 MB"),
        (6_744_924_160, "6.7 GB"),
        (147_897_477_120, "148 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes_in_words(size, words):
    assert human_bytes(size) == words


def test_room_is_that_of_the_disk_a_folder_will_lie_on(tmp_path):
    assert free_bytes(tmp_path / "not" / "there") == pytest.approx(free_bytes(tmp_path), rel=0.2)
    check_room(1, tmp_path, "for nothing")
    with pytest.raises(DataError, match="too full for the moon: 1000 TB may be needed"):
        check_room(10**15, tmp_path, "for the moon")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=5), st.booleans())
def test_the_disk_has_to_take_all_that_is_unpacked_and_the_largest_download(tmp_path_factory, sizes, keep):
    folder = tmp_path_factory.getbasetemp()
    plans = [Plan(job(dataset()), "download", fetch=fetch, unpacked=unpacked) for fetch, unpacked in sizes]
    fetches = [fetch for fetch, _ in sizes]
    needed = sum(unpacked for _, unpacked in sizes) + (sum(fetches) if keep else max(fetches))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moodbench.obtain.room.free_bytes", lambda folder: needed)
        check_disk(plans, folder, keep_archives=keep)
        patch.setattr("moodbench.obtain.room.free_bytes", lambda folder: needed - 1)
        with pytest.raises(DataError, match="are free"):
            check_disk(plans, folder, keep_archives=keep)


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        (dataset(folder=None, bundled="digits_test"), "bundled"),
        (dataset(folder=None), "features"),
        (dataset(generated="r"), "draw"),
        (dataset(archives=(archive(),)), "download"),
        (dataset(archives=(archive(), archive("b.tar", urls=()))), "by hand"),
        (dataset(), "by hand"),
    ],
)
def test_what_is_to_be_done(tmp_path, spec, action):
    assert survey(job(spec), tmp_path).action == action


def test_what_is_here_of_an_archive_is_not_counted_again(tmp_path):
    spec = dataset(archives=(archive(), archive("b.tar", bytes=None)))
    assert (survey(job(spec), tmp_path).fetch, survey(job(spec), tmp_path).unknown) == (7, 1)
    part = archive_file(tmp_path, spec.archives[0]).with_name("a.tar.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"con")
    assert survey(job(spec), tmp_path).fetch == 4


def test_a_folder_that_is_there_is_looked_at(tmp_path):
    spec = dataset(images=2, archives=(archive(),))
    pictures(tmp_path / "d", "1.png")
    plan = survey(job(spec), tmp_path)
    assert (plan.action, plan.lack) == ("incomplete", "1 image is there, and there should be 2")
    pictures(tmp_path / "d", "2.png")
    assert survey(job(spec), tmp_path).action == "there"
    assert survey(job(replace(spec, labels="folder")), tmp_path).lack.startswith("the images lie in one flat folder")


def test_without_a_number_the_manifest_says_what_should_be_there(tmp_path):
    spec = dataset(images=None, archives=(archive(),))
    pictures(begin(tmp_path, "d"), "1.png", "2.png")
    finish(tmp_path, tmp_path / "d", Origin.begun("d", "downloaded", "somewhere"), progress=False)
    assert survey(job(spec), tmp_path).action == "there"
    (tmp_path / "d/2.png").unlink()
    plan = survey(job(spec), tmp_path)
    assert (plan.action, plan.lack) == ("incomplete", "1 image is missing: '2.png'")
