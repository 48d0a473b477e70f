"""Bars: for terminals alone, lines elsewhere, one for a single file, and every byte counted once."""

from __future__ import annotations

import io
import sys
import threading

from moodbench import progress
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


def test_where_there_is_no_terminal_a_line_a_minute_says_how_far_it_is(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Bars(files=2, total=4_000_000_000) as meter:
        meter.begin("a.tar", 500_000_000, 3_000_000_000)
        meter.advance(1)
        now[0] = 61.0
        meter.advance(499_999_999)
        meter.advance(1)
    with Bars() as meter:
        meter.begin("b.tar", 0, None)
        now[0] = 122.0
        meter.advance(2_000_000)
    with Bars() as meter:
        meter.begin("c.tar", 0, 4_000_000)
        now[0] = 183.0
        meter.advance(3_000_000)
        now[0] = 244.0
        meter.advance(3_000_000)  # the server said too little
    with Bars(progress=False) as meter:
        meter.begin("d.tar", 0, None)
        now[0] = 305.0
        meter.advance(1)
    assert capsys.readouterr().err.splitlines() == [
        "2 files, now a.tar: 1.0 GB of 4.0 GB, 25 %",
        "b.tar: 2.0 MB",
        "c.tar: 3.0 MB of 4.0 MB, 75 %",
        "c.tar: 6.0 MB",
    ]


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
