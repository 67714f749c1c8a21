"""One call to a provider, as the sender makes it, with canaries for key, number and text."""

from __future__ import annotations

from pydantic import SecretStr

from sendledger.domain.call_ends import NeverBegan, Outcome
from sendledger.edges.provider import Call, Provider
from sendledger_schemas.requests import SendRequested
from tests.support.raw_provider import TO

KEY = "canary-key-7f3a9"
TEXT = "canary text for Jerry"
REQUEST = SendRequested(message_id="m", campaign_id="c", recipient_id="r", to=TO, sender="60856", text=TEXT)


async def call(url: str, *, timeout: float = 5.0, times: int = 1) -> Outcome:
    """The outcome of the last of some calls, one after the other."""
    async with Provider(url, SecretStr(KEY), timeout=timeout, concurrency=4) as provider:
        prepared = provider.prepare(REQUEST)
        assert isinstance(prepared, Call)
        outcome: Outcome = NeverBegan("no call")
        for _ in range(times):
            outcome = await provider.call(prepared)
        return outcome
