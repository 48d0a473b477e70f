"""Pixels from worker processes: how much waits ahead, and one message for whatever happens to a worker."""

from __future__ import annotations

import errno
import faulthandler
import mmap
import multiprocessing
import multiprocessing.synchronize
import os
import pickle
import signal
import threading
from functools import partial
from multiprocessing import resource_tracker, util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moodbench.datasets.images import folder_images
from moodbench.errors import DataError, ModelError
from moodbench.features import loading
from moodbench.features.loading import AHEAD, PART, load_batches, plan
from moodbench.features.settings import Settings
from moodbench.features.shared import SharedPlaces
from moodbench.processes import InOrder, ProcessLostError

RGB = 3


@given(
    batch=st.integers(1, 1024),
    workers=st.integers(1, 64),
    size=st.integers(8, 2048),
    bytes_of_a_value=st.sampled_from([1, 4]),
)
def test_no_more_is_decoded_ahead_than_there_is_room_for(batch, workers, size, bytes_of_a_value):
    image = RGB * size * size * bytes_of_a_value
    part, ahead = plan(batch, workers, image)
    assert 1 <= part <= PART
    assert ahead >= 2
    assert part * ahead * image <= max(AHEAD, 2 * image)


@pytest.mark.parametrize(
    ("batch", "workers", "size", "part", "ahead"),
    [
        (64, 1, 224, 16, 5),  # the next batch, and one more part in hand
        (64, 2, 224, 16, 6),
        (256, 8, 224, 16, 24),
        (256, 16, 224, 16, 32),
        (512, 1, 512, 16, 10),  # not more than there is room for
        (64, 16, 448, 6, 27),  # smaller parts, so that every worker has something to do
        (16, 64, 1024, 1, 42),  # and at last some have nothing
    ],
)
def test_the_next_batch_is_decoded_while_the_network_computes(batch, workers, size, part, ahead):
    assert plan(batch, workers, RGB * size * size) == (part, ahead)


class Numbers:
    """A transform of one's own: every pixel says which image it is."""

    record = {"size": 4, "kind": "numbers"}  # noqa: RUF012

    def __call__(self, image):
        return torch.full((3, 4, 4), float(np.asarray(image)[0, 0, 0]))


class Dying(Numbers):
    """Ends its process at the fifth image, by a signal or by itself."""

    def __init__(self, how):
        self.how, self.seen, self.parent = how, 0, os.getpid()

    def __call__(self, image):
        self.seen += 1
        if self.seen == 5 and os.getpid() != self.parent:
            if self.how == "exit":
                os._exit(3)
            faulthandler.disable()  # pytest's, which would print a page for each
            os.kill(os.getpid(), self.how)
        return super().__call__(image)


def batches_of(images, transform, workers=2, size=7):
    batches = [np.arange(i, min(i + size, len(images))) for i in range(0, len(images), size)]
    return load_batches(images, batches, transform, Settings("cpu", workers=workers))


@pytest.fixture
def images(pictures):
    return folder_images(pictures / "train")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (signal.SIGKILL, r"was killed \(SIGKILL, as the system does when memory runs out\)"),
        (signal.SIGBUS, r"was killed \(SIGBUS: memory ran out\)"),
        (signal.SIGSEGV, r"was killed \(SIGSEGV\)"),
        ("exit", r"ended by itself \(exit code 3\)"),
    ],
)
def test_a_worker_that_dies_is_one_message(images, how, said):
    with pytest.raises(DataError, match=f"a process that decodes images {said}") as error:
        list(batches_of(images, Dying(how)))
    assert "--workers 0" in str(error.value)
    assert "--shm-size" in str(error.value)
    assert not multiprocessing.active_children()


def refuse(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_processes_that_cannot_be_started_are_one_message(images, monkeypatch):
    monkeypatch.setattr(os, "fork", refuse(errno.EAGAIN))
    with pytest.raises(DataError, match="could not be started: resource temporarily unavailable"):
        list(batches_of(images, Numbers()))


def test_no_memory_to_share_is_one_message(images, monkeypatch):
    monkeypatch.setattr(mmap, "mmap", refuse(errno.ENOMEM))
    with pytest.raises(DataError, match="no memory to share with processes that decode") as error:
        list(batches_of(images, Numbers()))
    assert "--workers 0" in str(error.value)


class Hungry(Numbers):
    def __call__(self, image):
        raise MemoryError("5 GB")


def test_a_worker_without_memory_is_one_message(images):
    with pytest.raises(DataError, match=r"memory ran out while images were decoded \(5 GB\)"):
        list(batches_of(images, Hungry()))


class Large(Numbers):
    def __call__(self, image):
        return torch.zeros(3, 9, 9)


def test_pictures_larger_than_their_transform_says_are_refused(images):
    with pytest.raises(ModelError, match="pictures of 972 bytes, and its record says 'size': 4"):
        list(batches_of(images, Large()))


class Faulty(Numbers):
    def __call__(self, image):
        raise ZeroDivisionError("of the transform")


def test_a_bug_in_a_worker_keeps_its_traceback(images):
    with pytest.raises(ZeroDivisionError, match="of the transform") as error:
        list(batches_of(images, Faulty()))
    assert "in __call__" in "".join(error.value.__notes__)


class AwkwardError(Exception):
    """Cannot be pickled back."""

    def __init__(self, one, two):
        super().__init__(one + two)


class Unportable(Numbers):
    def __call__(self, image):
        raise AwkwardError("un", "portable")


def test_an_error_that_cannot_be_handed_over_is_told_all_the_same(images):
    with pytest.raises(RuntimeError, match="AwkwardError: unportable"):
        list(batches_of(images, Unportable()))


def test_an_iterator_that_is_closed_ends_its_workers(images):
    loaded = batches_of(images, Numbers())
    assert len(next(loaded)) == 7
    assert len(multiprocessing.active_children()) == 2
    loaded.close()
    assert not multiprocessing.active_children()


@pytest.fixture
def spawning(monkeypatch):
    monkeypatch.setattr("moodbench.processes.FORKS", False)
    monkeypatch.setattr("moodbench.features.shared.FORKS", False)


def test_processes_that_are_not_forked_do_the_same(spawning):
    with InOrder(max, 5, processes=1, ahead=2) as answers:
        assert list(answers) == [0, 1, 2, 3, 4]


def test_a_process_that_is_killed_as_it_begins_is_told_however_much_it_was_to_get(spawning, monkeypatch):
    started = util.spawnv_passfds

    def killed(*args):
        process = started(*args)
        os.kill(process, signal.SIGKILL)
        return process

    told = []

    def order():
        try:
            with InOrder(partial(large, bytes(1 << 20)), 3, processes=2, ahead=2) as answers:
                told.extend(answers)
        except ProcessLostError as error:
            told.append(str(error))

    resource_tracker.ensure_running()  # a process of the same kind, which is not meant
    with monkeypatch.context() as patched:
        patched.setattr(util, "spawnv_passfds", killed)
        ordering = threading.Thread(target=order, daemon=True)
        ordering.start()
        ordering.join(60)
    assert told == ["was killed (SIGKILL, as the system does when memory runs out)"]
    order()
    assert told[1:] == [1 << 20, 1 << 20, 1 << 20]


def large(much, number, place):
    return len(much)


def test_processes_that_are_not_forked_find_the_memory_by_a_file(spawning, images):
    with SharedPlaces(2, 3 * 4 * 4 * 4) as memory:
        task = loading._Decoding(loading.DecodedBatch(images, Numbers()), [[0], [1]], memory)
        elsewhere = pickle.loads(pickle.dumps(task))  # as it arrives in a process
        place, laid, _ = elsewhere(1, 1)
        np.testing.assert_array_equal(memory.get(place, laid)[0], Numbers()(images.load(1)))
        file = Path(memory._file)
        assert file.exists()
    assert not file.exists()


def test_nothing_lies_in_shared_memory_files(images, monkeypatch):
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()  # noqa: PTH112, PTH208
    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", refuse(errno.EROFS))
    loaded = batches_of(images, Numbers())
    next(loaded)
    after = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()  # noqa: PTH112, PTH208
    assert not after - before
    loaded.close()


def twice(number, place):
    return 2 * number, place


@pytest.mark.parametrize(("processes", "ahead"), [(1, 1), (3, 1), (3, 2), (2, 7), (4, 100)])
def test_answers_come_in_order_and_places_are_not_taken_twice(processes, ahead):
    with InOrder(twice, 23, processes=processes, ahead=ahead) as answers:
        taken = list(answers)
    assert [answer for answer, _ in taken] == [2 * number for number in range(23)]
    assert max(place for _, place in taken) < ahead


def test_nobody_is_asked_for_nothing():
    with InOrder(twice, 0, processes=2, ahead=2) as answers:
        assert list(answers) == []


def long(number, place):
    return b"x" * 2**20  # more than a pipe holds


def test_large_answers_wait_in_the_pipe():
    with InOrder(long, 9, processes=2, ahead=6) as answers:
        assert sum(map(len, answers)) == 9 * 2**20


def stubborn(number, place):
    raise SystemExit(4)


def test_a_task_that_ends_its_process():
    with InOrder(stubborn, 3, processes=1, ahead=1) as answers, pytest.raises(ProcessLostError, match="exit code 4"):
        list(answers)


def test_what_lies_in_one_place_stays_when_another_is_filled():
    with SharedPlaces(3, 48) as memory:
        laid = [memory.put(i, np.full((2, 3), i, np.int64)) for i in range(3)]
        assert [memory.get(i, laid[i]).tolist() for i in range(3)] == [[[i] * 3] * 2 for i in range(3)]
        with pytest.raises(ValueError, match="do not fit"):
            memory.put(0, np.zeros(7))


def test_the_module_needs_no_loader_of_torch():
    assert not hasattr(loading, "DataLoader")
