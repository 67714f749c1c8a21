"""Large values have pages of their own, whatever was dropped before, where a process asks for it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_LARGE = 256 * 1024
_SCRIPT = f"""
import ctypes, sys
from sendledger.edges.memory import spare_memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

info = ctypes.CDLL(None).mallinfo2
info.restype = Info
spare_memory(10_000, own_pages_from=int(sys.argv[1]) or None)
dropped = bytes(16 << 20)
del dropped
before = info().hblks
kept = bytearray({_LARGE})
print(info().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc from 2.33 on")
@pytest.mark.parametrize(("from_bytes", "mapped"), [(_LARGE // 2, 1), (0, 0), (2 * _LARGE, 0)])
def test_what_is_large_has_pages_of_its_own(from_bytes: int, mapped: int) -> None:
    """Asked for or not: glibc by itself takes what was dropped for the measure."""
    told = subprocess.run([sys.executable, "-c", _SCRIPT, str(from_bytes)], capture_output=True, text=True, check=True)
    assert int(told.stdout) == mapped
