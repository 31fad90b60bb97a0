"""What an array leaves behind is there for the next one."""

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
    held = [np.ones(8192) for _ in range(16)]  # 1 MB, as a block's

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

temporaries()
start = faults()
for _ in range(20):
    temporaries()
print(faults() - start)
"""

KEEP = "from app.compute.memory import keep_freed_memory; keep_freed_memory()"
PAGES = 20 * 2**20 // 4096
"""Of the temporaries of all rounds, at the usual page size."""


def page_faults(before: str) -> int:
    command = [sys.executable, "-c", FAULTS.format(before=before)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_a_block_s_temporaries_fault_in_once() -> None:
    assert page_faults("") > PAGES / 2  # or there would be nothing to set
    assert page_faults(KEEP) < PAGES / 50
