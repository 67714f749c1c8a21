"""What a stretch of a compacted topic changes in a table: keys to delete first, then rows, one a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.rows import Row, campaign_row, message_row, storable
from sendledger_schemas.states import CampaignState, MessageState


@dataclass
class Changes:
    """Take records in the order of the log. `gone`: to be deleted before `rows` are put; `unreadable`: left out.

    `key`: which column is the table's key. `read`: a record's value → its row, None for none; ValueError: unreadable.
    """

    key: str
    read: Callable[[bytes], Row | None]
    gone: list[str] = field(default_factory=list)
    unreadable: int = 0
    _best: dict[str, tuple[tuple[int, int], Row]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """Of each key the row of the greatest rank since its last tombstone."""
        return [row for _, row in self._best.values()]

    def take(self, key: str, value: bytes | None) -> None:
        """One record."""
        if value is None:
            self._best.pop(key, None)
            self.gone.append(key)
            return
        try:
            row = self.read(value)
        except ValueError:
            self.unreadable += 1
            return
        if row is None:
            return
        key, rank = row[self.key], (row["version"], row["fold_version"])
        if key not in self._best or rank > self._best[key][0]:
            self._best[key] = rank, row


def message_of(value: bytes) -> Row:
    """A message state as PostgreSQL keeps it. Errors: ValueError."""
    state = MessageState.model_validate_json(value)
    others = {name: other.model_dump(mode="json") for name, other in (state.otherwise or {}).items()}
    return storable({**message_row(state), "otherwise": others or None})


def campaign_of(value: bytes) -> Row | None:
    """A campaign state as PostgreSQL keeps it; None for what is no campaign. Errors: ValueError."""
    state = CampaignState.model_validate_json(value)
    return None if state.campaign_id == NO_CAMPAIGN else storable(campaign_row(state))
