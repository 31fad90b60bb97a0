"""Freed memory of arrays is kept for the next ones, and returned where there are none."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource

import numpy as np

{before}

def temporaries():
    held = [np.ones(8192) for _ in range({megabytes} * 16)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

temporaries()
start = faults()
for _ in range({rounds}):
    temporaries()
print(faults() - start)
"""

KEEP = "from app.compute import memory; memory.keep_freed_memory(memory.{})"


def page_faults(before: str, megabytes: int, rounds: int) -> float:
    """Page faults per page that the arrays of all rounds take, at the usual page size."""
    script = FAULTS.format(before=before, megabytes=megabytes, rounds=rounds)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return int(run.stdout) / (rounds * megabytes * 2**20 / 4096)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
@pytest.mark.parametrize(("kept", "megabytes", "rounds"), [("BLOCKS", 1, 20), ("NETWORK", 100, 3)])
def test_arrays_of_the_next_round_are_there(kept: str, megabytes: int, rounds: int) -> None:
    assert page_faults("", megabytes, rounds) > 1 / 2  # or the setting would be pointless
    assert page_faults(KEEP.format(kept), megabytes, rounds) < 1 / 50


RETURNED = """
import numpy as np
import psutil

from app.compute import memory

memory.keep_freed_memory(memory.NETWORK)


def freed():
    held = [np.ones(8192) for _ in range(100 * 16)]


def failed():
    body = b"1" * (100 * 2**20)
    try:
        raise ValueError
    except ValueError as error:
        held = error  # whose traceback has this frame, which has it


resident = lambda: psutil.Process().memory_info().rss / 2**20
{leave}()
before = resident()
memory.return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a function of glibc's")
@pytest.mark.parametrize("leave", ["freed", "failed"])
def test_freed_memory_is_returned_and_what_a_traceback_holds_too(leave: str) -> None:
    script = RETURNED.format(leave=leave)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert float(run.stdout) > 90  # megabytes of 100
