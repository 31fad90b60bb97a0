"""The C library's allocator, told to keep what arrays leave behind."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers for these settings (malloc.h)."""

_KEPT = 32 * 2**20
"""Bytes that a heap keeps though they are free; each thread has a heap."""

_LARGEST = 32 * 2**20
"""Bytes from which an array gets pages of its own; the most that glibc takes here."""


@cache
def keep_freed_memory() -> None:
    """Has freed memory wait for the next array instead of going back to the kernel; for this process.

    By default glibc gives back whatever exceeds 128 KB at the top of a heap. A block's temporaries do, so
    that every block would fault their pages in anew, which can take longer than computing them. Other C
    libraries have no such setting and are left alone.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
