"""A DuckDB file of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sendledger.edges.exports.database import Database, database


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    with database(tmp_path / "test.duckdb") as found:
        yield found
