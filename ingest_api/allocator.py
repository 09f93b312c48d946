"""How a worker's memory allocator treats what a request leaves behind."""

from __future__ import annotations

import ctypes

# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT = 16 * 2**20
_MAPPED = 2**20


def keep_memory() -> bool:
    """Let glibc keep up to 16 MB of free memory a thread instead of returning it after each request.

    A body of 80 kB is copied a few times on its way. By default the freed copies are given back to the kernel at once
    and faulted in again with the next request, page by page: 0.15 ms a request. Bodies of a megabyte and more are still
    mapped, and returned when they are done. Says whether the C library knows these settings.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is None:
        return False
    return bool(adjust(_M_MMAP_THRESHOLD, _MAPPED)) and bool(adjust(_M_TRIM_THRESHOLD, _KEPT))
