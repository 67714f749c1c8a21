"""One record on its way to a topic: what the receiver keeps, spools and writes, whatever is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its place. Key, value and headers may hold personal data and stay out of `repr` (P7)."""

    topic: str
    partition: int
    key: bytes | None = field(repr=False)
    value: bytes = field(repr=False)
    headers: Headers = field(repr=False, default=())

    @property
    def size(self) -> int:
        """Bytes of key, value and headers together, for limits on memory and disk."""
        size = len(self.value) + len(self.key or b"")
        for name, value in self.headers:
            size += len(name) + len(value)
        return size
