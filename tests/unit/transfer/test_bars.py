"""Bars: for terminals alone, one for a single file, and every byte counted once."""

from __future__ import annotations

import io
import sys
import threading

from moodbench.transfer.http import fetch
from moodbench.transfer.meter import SMALL, Bars
from tests.transfers import BODY


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_for_terminals(server, tmp_path, monkeypatch, capsys):
    server.add("/a.bin", BODY)
    with Bars(files=2) as meter:
        fetch(server.url("/a.bin"), tmp_path / "a.bin", meter=meter)
        assert meter.done == len(BODY)
    assert capsys.readouterr() == ("", "")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bars(files=2, progress=False) as meter:
        fetch(server.url("/a.bin"), tmp_path / "b.bin", meter=meter)
    assert screen.getvalue() == ""
    with Bars(files=2, total=2 * SMALL) as meter:
        meter.begin("big.tar", SMALL // 2, SMALL)
        meter.advance(SMALL // 2)
        meter.end()
        meter.begin("small.tar", 0, 10)
    assert "big.tar" in screen.getvalue()
    assert "all files" in screen.getvalue()
    assert "small.tar" not in screen.getvalue()


def test_a_single_file_has_one_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bars() as meter:
        meter.begin("a.tar", 0, None)
    assert "a.tar" in screen.getvalue()
    assert "all files" not in screen.getvalue()


def test_bytes_are_counted_once_whatever_breaks_and_from_every_thread(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    paths = [f"/{i}.bin" for i in range(6)]
    for path in paths:
        server.add(path, BODY, ranges=False, cuts=[1000, 2000])
    with Bars(files=6, lines=3) as meter:
        work = [
            threading.Thread(target=fetch, args=(server.url(path), tmp_path / path[1:]), kwargs={"meter": meter})
            for path in paths
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert meter.done == 6 * len(BODY)
