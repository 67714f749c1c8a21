"""What the tests of the receiver's parts share; a test that needs another spool has its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.edges import receiver_writer
from sendledger.edges.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.sqlite3", max_bytes=10**6)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that has lost its link asks for it again at once."""
    monkeypatch.setattr(receiver_writer, "_FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(receiver_writer, "_LAST_RETRY_SECONDS", 0.01)
