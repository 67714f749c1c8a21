"""Several test processes on one machine: most share it, some need it for themselves.

A test marked `alone` (its limits are about time: a pace, a benchmark) runs while no other test does. Two files are
locked, as at a door: whoever wants in, alone or not, holds the door until they are in, so that nobody who waits to be
alone is passed by for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def entered(directory: Path, *, alone: bool) -> Iterator[None]:
    """Be in the room that all processes with this directory share, with others or alone; waits for it."""
    with (directory / "room").open("w") as room:
        with (directory / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
