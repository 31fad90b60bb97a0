"""Memory that is kept: modules, outside of garbage collection, and for a while the freed memory of arrays."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers for these settings (malloc.h)."""

BLOCKS = 32 * 2**20
"""Freed bytes that each thread's heap keeps for the temporaries of the next block."""

NETWORK = 128 * 2**20
"""The same where networks are simulated one after the other: one of 4,096 units and 50 layers holds 100 MB
for the backward pass, and page faults for them would take a fifth of its time."""

_LARGEST = 32 * 2**20
"""Bytes above which an array is mapped separately; the most that glibc accepts here."""


@cache
def keep_freed_memory(most: int = BLOCKS) -> None:
    """Keeps up to ``most`` bytes of freed memory in this process for the next array, until they are returned.

    By default glibc returns whatever exceeds 128 KB at the top of a heap to the kernel. A block's temporaries
    do, so that every block would fault in their pages again, which can take longer than computing them. Other
    C libraries have no such setting; nothing is changed there.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, most)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


def return_freed_memory() -> None:
    """Returns to the kernel what this process has freed: for one that has nothing to do.

    What was kept for the next array would otherwise be held for good, at the height of the largest work so
    far. Garbage comes first: an error's traceback may hold a whole body, until a collection that may be far.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Disables garbage collection inside, and excludes the objects that are alive at the end for good.

    It is for imports: modules and classes hold next to no garbage. Collections while they load take a seventh
    of the start, and each later full collection would block the event loop for some 60 ms.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
