"""Threads side by side: everything is done once, faults reach the caller, and a crew inside a crew does not wait."""

import threading

import pytest
import torch

from moodbench.scores.machinery.crew import Crew

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def crew(request):
    threads = torch.get_num_threads()
    torch.set_num_threads(request.param)
    try:
        yield Crew(CPU)
    finally:
        torch.set_num_threads(threads)


def test_every_item_is_worked_on_once(crew):
    done = []
    crew.each(done.append, range(50))
    assert sorted(done) == list(range(50))


def test_what_is_made_ahead_comes_in_order(crew):
    assert list(crew.ahead(iter(range(20)))) == list(range(20))
    assert list(crew.ahead(iter(()))) == []
    assert list(crew.ahead(iter([None, None]))) == [None, None]


def test_the_next_item_is_made_while_one_is_worked_on(crew):
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    for item in crew.ahead(items()):
        if item == 1 and crew.share < torch.get_num_threads():
            assert made.wait(30)


def test_faults_reach_the_caller(crew):
    def broken():
        yield 1
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        list(crew.ahead(broken()))
    with pytest.raises(ZeroDivisionError):
        crew.each(lambda item: 1 / item, [2, 1, 0])


def test_nothing_goes_on_once_a_walk_is_given_up():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        walk = Crew(CPU).ahead(items())
        next(walk)
        walk.close()
        count = len(made)
        Crew(CPU).each(lambda _: None, range(4))
        assert len(made) == count
    finally:
        torch.set_num_threads(threads)


def test_a_crew_inside_a_crew_works_by_itself(crew):
    inner = []

    def work(_):
        inside = Crew(CPU)
        inside.each(lambda _: inner.append(threading.get_ident()), range(3))
        assert list(inside.ahead(iter("ab"))) == ["a", "b"]

    crew.each(work, range(8))
    assert len(inner) == 24


@pytest.mark.parametrize("mode", [True, False])
def test_inference_is_as_with_the_caller(crew, mode):
    modes = []

    def items():
        modes.append(torch.is_inference_mode_enabled())
        yield 1

    with torch.inference_mode(mode):
        crew.each(lambda _: modes.append(torch.is_inference_mode_enabled()), range(3))
        list(crew.ahead(items()))
    assert modes == [mode] * 4
