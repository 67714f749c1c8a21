"""What Python's garbage collector and the C library are told about a process that works through a log.

Such a process makes and drops thousands of small values a second, none of them in a cycle, beside some hundred thousand
objects of its libraries that stay for ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_ARENAS = 3  # of glibc: the arena of a thread keeps what its largest batch took; the fold has 30 MB less than with 8

_M_ARENA_MAX = -8  # malloc.h


def spare_memory(collect_after: int) -> None:
    """Look at new objects only, and only after so many; few arenas. Call it once, when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(collect_after, 20, 20)
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
