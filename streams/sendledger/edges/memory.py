"""What Python's garbage collector and the C library are told about a process that works through a log.

Such a process makes and drops thousands of small values a second, none of them in a cycle, beside some hundred thousand
objects of its libraries that stay for ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_ARENAS = 3  # of glibc: the arena of a thread keeps what its largest batch took; the fold has 30 MB less than with 8

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


def spare_memory(collect_after: int, *, own_pages_from: int | None = None) -> None:
    """Look at new objects only, and only after so many; few arenas. Call it once, when everything is imported.

    `own_pages_from`: bytes from which a value gets pages of its own, given back with it. glibc raises that limit with
    the largest value that was ever dropped, and what is large then leaves holes between what is small.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(collect_after, 20, 20)
    with contextlib.suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _ARENAS)
        if own_pages_from is not None:
            mallopt(_M_MMAP_THRESHOLD, own_pages_from)
