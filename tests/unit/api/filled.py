"""A view that tests write on, as if its topics had been read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sendledger_schemas.envelope import encode, event
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS, MESSAGE_STATE
from tests.support.api import READ, Answer
from tests.support.states import NOW, campaign_state, message_state, registration
from tests.unit.api.asgi import ask

if TYPE_CHECKING:
    from tests.unit.api.conftest import Bench


@dataclass
class Record:
    """What the view takes of a record."""

    topic: str
    offset: int
    value: bytes | None
    key: bytes = b""
    partition: int = 0


class Filled:
    """The bench, with a log that a test writes on."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._offset = 0

    async def ordered(self, *data: Data, topic: str = CAMPAIGNS, key: str = "") -> None:
        """Events, each a minute after the one before."""
        for each in data:
            at = NOW + timedelta(minutes=self._offset)
            happened = event(each, id=f"e{self._offset}", source="test", time=at)
            await self.raw(topic, encode(happened), key)

    async def raw(self, topic: str, value: bytes | None, key: str = "") -> None:
        """One record of a quick topic."""
        await self.bench.desk.view.apply([Record(topic, self._offset, value, key.encode())])
        self._offset += 1

    async def registered(self, *campaigns: str) -> None:
        """Campaigns, in this order."""
        for campaign in campaigns:
            await self.raw(CAMPAIGNS, encode(registration(campaign)), campaign)

    async def numbers(self, campaign: str, requested: int, **over: Any) -> None:
        """A record of the merge."""
        state = campaign_state(campaign, requested, **over)
        await self.raw(CAMPAIGN_STATE, state.model_dump_json().encode(), campaign)

    async def messages(self, *ids: str, **over: Any) -> None:
        """Records of the fold."""
        states = [message_state(each, **over) for each in ids]
        records = [Record(MESSAGE_STATE, 0, state.model_dump_json().encode()) for state in states]
        await self.bench.desk.view.apply_states(records)

    async def get(self, path: str, **headers: str) -> Answer:
        """What a reader gets; headers with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.bench.app, "GET", path, token=READ, headers=sent)
