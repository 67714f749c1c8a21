"""Where made-up numbers, texts and secrets are found again: files, and stores through their library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rocksdict import AccessType, Options, Rdict


@dataclass
class Found:
    """Every place that was looked at, with what it holds."""

    texts: dict[str, bytes]

    def places_of(self, canary: str) -> set[str]:
        """Where a canary is."""
        return {place for place, content in self.texts.items() if canary.encode() in content}


def files(data_dir: Path) -> dict[str, bytes]:
    """Every file of ours below the data directory; stores are read through their library, which decompresses."""
    found: dict[str, bytes] = {}
    for path in sorted(data_dir.rglob("*")):
        place = str(path.relative_to(data_dir))
        if path.is_file() and not place.startswith("kafka/data"):
            found[place] = path.read_bytes()
        if path.is_dir() and (path / "CURRENT").exists():
            found[f"{place} (store)"] = b"".join(stored(path))
    return found


def stored(path: Path) -> Iterator[bytes]:
    """All keys and values of one RocksDB."""
    store = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
    for key, value in store.items():
        yield key + value
    store.close()
