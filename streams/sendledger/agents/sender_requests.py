"""What is to be sent: requests as bytes, by place, and read when they are claimed (P7: they are not stored)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated

import msgspec
from aiokafka import TopicPartition
from msgspec import Meta

from sendledger.agents.sender_partition import Read
from sendledger.domain.call_ends import Refused
from sendledger.edges.log_reader import LogReader
from sendledger.edges.provider import Sendable
from sendledger_schemas.envelope import UnreadableEvent, decode_data
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import SEND_REQUESTS

_KEPT = 20_000
_CALENDARS_ENDS = MINYEAR, MAXYEAR

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Instant = Annotated[datetime, Meta(tz=True)]


class Requests:
    """Requests as bytes, by place: a bounded memory of what was just read, and the log for the rest (P7)."""

    def __init__(self, reader: LogReader, kept: int = _KEPT) -> None:
        self._reader = reader
        self._kept = kept
        self._memory: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def remember(self, partition: int, records: Sequence[Read]) -> None:
        """Records that were just read."""
        for record in records:
            self._memory[partition, record.offset] = record.value or b""
        while len(self._memory) > self._kept:
            self._memory.popitem(last=False)

    async def get(self, partition: int, offsets: Sequence[int]) -> dict[int, Sendable | Refused | None]:
        """The requests at these offsets; Refused for one that cannot be read, None for one that retention deleted."""
        raw = {offset: self._memory.pop((partition, offset), None) for offset in offsets}
        if missing := [offset for offset, value in raw.items() if value is None]:
            found = await self._reader.at(TopicPartition(SEND_REQUESTS, partition), missing)
            self.remember(partition, [record for offset, record in found.items() if offset not in raw])
            raw.update({offset: found[offset].value for offset in missing if offset in found})
        return {offset: None if value is None else request_of(value) for offset, value in raw.items()}


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """As `SendRequested`, and no wider."""

    message_id: _Id
    campaign_id: Annotated[str, Meta(min_length=1, max_length=128)]
    recipient_id: _Id
    to: Annotated[str, Meta(pattern=r"^[0-9]{1,20}\Z")]
    sender: Annotated[str, Meta(min_length=1, max_length=20)]
    text: Annotated[str, Meta(min_length=1, max_length=160)]
    campaign_ref: str | None = None
    operator_id: str | None = None
    not_before: _Instant | None = None
    expires_at: _Instant | None = None

    def __post_init__(self) -> None:
        """Leave to the model what may be beyond the calendar in UTC."""
        for when in (self.not_before, self.expires_at):
            if when is not None and when.year in _CALENDARS_ENDS:
                raise ValueError("at an end of the calendar")

    def __repr__(self) -> str:
        """Neither number nor text."""
        return f"_Asked({self.message_id})"


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=SendRequested.TYPE):
    data: _Asked


_quick = msgspec.json.Decoder(_Event).decode


def request_of(raw: bytes) -> Sendable | Refused:
    """The request in a record's value, as `decode_data` reads it; at a fifth of the price where it is in order."""
    try:
        return _quick(raw.decode()).data  # what is no UTF-8 is no event, also where nothing here looks at it
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # `decode_data` is the judge of whatever is out of the ordinary
    try:
        data = decode_data(raw)
    except UnreadableEvent as fault:
        return Refused("UNSENDABLE", str(fault), "bug")
    return data if isinstance(data, SendRequested) else Refused("UNSENDABLE", "not a request", "bug")
