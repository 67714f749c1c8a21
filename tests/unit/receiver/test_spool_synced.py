"""A power cut right after `put`: what it returned for is on the disk, because SQLite waited for the disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sendledger.edges.spool import Spool

_HERE = Path(__file__).parents[2]
SHIM = _HERE / "support" / "power_cut.c"
ROUNDS = 25
WRITER = """
import os, signal, sys
from pathlib import Path
from sendledger.edges import spool
from sendledger.edges.record import Record
spool._PRAGMAS = tuple(p.replace("synchronous=FULL", f"synchronous={sys.argv[2]}") for p in spool._PRAGMAS)
kept = spool.Spool(Path(sys.argv[1]), max_bytes=10**7)
for number in range(int(sys.argv[3])):
    assert kept.put([Record("t", 0, b"k", b"%d" % number)], now=1.0) == 1
    if number % 5 == 4:
        kept.remove(kept.head(records=2, size=10**6))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk that keeps only what was synced; made with the compiler that builds the fold's library."""
    if shutil.which("cc") is None:
        pytest.skip("NOT TESTED, a power cut: there is no C compiler")
    made = tmp_path_factory.mktemp("shim") / "power_cut.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(SHIM), "-ldl"], check=True)
    return made


def after_a_power_cut(directory: Path, shim: Path, synchronous: str) -> list[bytes]:
    """Put records, cut the power behind the last `put`; what the spool holds when the power is back."""
    disk, left = directory / "disk", directory / "left"
    disk.mkdir()
    left.mkdir()
    environment = {**os.environ, "LD_PRELOAD": str(shim), "POWER_CUT_FROM": str(disk), "POWER_CUT_TO": str(left)}
    command = [sys.executable, "-c", WRITER, str(disk / "spool.sqlite3"), synchronous, str(ROUNDS)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    spool = Spool(left / "spool.sqlite3", max_bytes=10**7)
    try:
        return [record.value for _, record in spool.head(records=1000, size=10**7)]
    finally:
        spool.close()


def test_what_put_returned_for_survives_a_power_cut(tmp_path: Path, shim: Path) -> None:
    """Only synced bytes are left, and every record is there, but for those that were removed."""
    removed = 2 * (ROUNDS // 5)
    assert after_a_power_cut(tmp_path, shim, "FULL") == [b"%d" % number for number in range(removed, ROUNDS)]


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_spool_without_sync_is_found_out(tmp_path: Path, shim: Path, synchronous: str) -> None:
    """The test above sees a spool that does not wait for the disk: it fails on builds that are broken on purpose."""
    assert b"%d" % (ROUNDS - 1) not in after_a_power_cut(tmp_path, shim, synchronous)
