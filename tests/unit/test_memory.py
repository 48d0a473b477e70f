"""What the C library does with freed memory: kept for the next block, given back before processes are forked."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

FREED = """
import pathlib
import numpy as np
from moodbench.devices import give_back_freed_memory, keep_freed_memory

def resident():  # MiB
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 2**20

keep_freed_memory()
before = resident()
for size in (2**20, 100 * 2**20):
    arrays = [np.ones(size // 8) for _ in range(1200 * 2**20 // size)]
    del arrays
print(resident() - before)
give_back_freed_memory()
print(resident() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc has these switches")
def test_freed_memory_is_kept_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    kept, given_back = map(int, done.stdout.split())
    assert kept > 1000
    assert given_back < 200
