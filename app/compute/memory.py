"""What stays in memory: modules, unsearched for garbage, and what arrays leave behind."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers for these settings (malloc.h)."""

BLOCKS = 32 * 2**20
"""Bytes that a heap keeps though they are free, for the temporaries of blocks; each thread has a heap."""

NETWORK = 128 * 2**20
"""The same where networks are simulated one after the other: what one of 4,096 units and 50 layers holds for
the way back is 100 MB, and would take a fifth of its time to fault in anew."""

_LARGEST = 32 * 2**20
"""Bytes from which an array gets pages of its own; the most that glibc takes here."""


@cache
def keep_freed_memory(most: int = BLOCKS) -> None:
    """Has ``most`` bytes of freed memory wait for the next array instead of the kernel; for this process.

    By default glibc gives back whatever exceeds 128 KB at the top of a heap. A block's temporaries do, so
    that every block would fault their pages in anew, which can take longer than computing them. Other C
    libraries have no such setting and are left alone.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, most)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


@contextmanager
def made_to_stay() -> Iterator[None]:
    """What is made inside is never searched for garbage: there is next to none among modules and classes.

    Looking for it over and over, while they grow in number, takes a seventh of the start; and each later
    search of everything would hold the event loop for some 60 ms.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
