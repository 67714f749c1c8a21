"""Orders through the API: each becomes an event, is seen in the next answer, and is in the audit (DESIGN §3, §8)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sendledger.config import Settings
from sendledger.edges.api.auth import fingerprint
from sendledger.edges.kafka import producer
from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused, CampaignResumed, RateSet
from sendledger_schemas.decisions import DoubtResolved, RecipientSuppressed
from sendledger_schemas.ids import partition_of, recipient_id
from sendledger_schemas.topics import CAMPAIGNS, DECISIONS, MESSAGE_STATE, SUPPRESSIONS
from tests.support.api import ADMIN, NUMBER, SEND, RunningApi, events, records, running_api
from tests.support.kafka import PEPPER, eventually
from tests.support.states import message_state

BY = f"token:{fingerprint(ADMIN)}"


@pytest.fixture
async def api(shared_kafka: Settings) -> AsyncIterator[RunningApi]:
    """A running API with one campaign."""
    async with running_api(shared_kafka) as running:
        await running.submit("spring", [NUMBER])
        yield running


async def test_pause_resume_and_cancel(api: RunningApi) -> None:
    """Each order is one event by the token's fingerprint, and its answer already shows it."""
    paused = await api.post("/v1/campaigns/spring/pause", {"reason": "typo"})
    assert (paused.status, paused.json["state"], paused.json["state_reason"]) == (200, "paused", "typo")
    assert paused.json["state_by"] == BY
    assert (await api.post("/v1/campaigns/spring/resume")).json["state"] == "running"
    assert (await api.post("/v1/campaigns/spring/cancel")).json["state"] == "cancelled"
    found = [e.data for e in await events(api.settings, CAMPAIGNS)]
    orders = [e for e in found if isinstance(e, CampaignPaused | CampaignResumed | CampaignCancelled)]
    assert [type(order) for order in orders] == [CampaignPaused, CampaignResumed, CampaignCancelled]
    assert {(order.campaign_id, order.by) for order in orders} == {("spring", BY)}


async def test_the_account(api: RunningApi) -> None:
    """A pause of the account stops every campaign; the rate is set; both are events with the key `*`."""
    paused = await api.post("/v1/account/pause", {"reason": "billing"})
    assert (paused.json["state"], paused.json["state_reason"]) == ("paused", "billing")
    assert (await api.get("/v1/campaigns/spring")).json["state"] == "paused"
    assert (await api.post("/v1/account/rate", {"per_second": 12.5})).json["per_second"] == 12.5
    assert (await api.post("/v1/account/resume")).json["state"] == "running"
    assert (await api.get("/v1/campaigns/spring")).json["state"] == "running"
    found = [record for record in await records(api.settings, CAMPAIGNS) if record.key == b"*"]
    assert len(found) == 3
    rates = [e.data for e in await events(api.settings, CAMPAIGNS) if isinstance(e.data, RateSet)]
    assert [rate.per_second for rate in rates] == [12.5]


async def test_the_audit_names_who_gave_each_order(api: RunningApi) -> None:
    """Whoever asks afterwards learns who did what, the latest first."""
    await api.call("POST", "/v1/campaigns/spring/pause", token=SEND, json={"reason": "call +1 (555) 123-4888"})
    found = (await api.get("/v1/audit?campaign=spring")).json["items"]
    assert [entry["what"] for entry in found] == ["campaign-paused", "batch-registered", "campaign-registered"]
    assert found[0]["by"] == f"token:{fingerprint(SEND)}"
    assert found[0]["reason"] == "call +***"


async def test_suppressions(api: RunningApi) -> None:
    """A suppression is kept under the recipient's id, shown masked, and lifted by a tombstone; no number is kept."""
    recipient = recipient_id(PEPPER.encode(), NUMBER)
    made = await api.post("/v1/suppressions", {"to": f"+{NUMBER}", "reason": "asked"})
    assert (made.status, made.json["recipient_id"], made.json["to"]) == (201, recipient, "***888")
    assert [item["recipient_id"] for item in (await api.get("/v1/suppressions")).json["items"]] == [recipient]
    (event,) = await events(api.settings, SUPPRESSIONS)
    assert isinstance(event.data, RecipientSuppressed)
    lifted = await api.call("DELETE", "/v1/suppressions", json={"to": NUMBER})
    assert lifted.status == 204
    assert (await api.get("/v1/suppressions")).json["items"] == []
    found = await records(api.settings, SUPPRESSIONS)
    assert [(record.key.decode(), record.value is None) for record in found] == [(recipient, False), (recipient, True)]
    assert not any(NUMBER.encode() in (record.value or b"") for record in found)
    assert (await api.call("DELETE", "/v1/suppressions", json={"recipient_id": recipient})).status == 404


@pytest.mark.parametrize("name", ["as", "resolution"])
async def test_a_doubt_is_resolved(api: RunningApi, name: str) -> None:
    """The decision names the message's last attempt and stands in the recipient's partition."""
    state = message_state("doubtful", bucket="in_doubt", final=False, attempts=2, recipient_id="r")
    async with producer(api.settings.kafka) as writer:
        await writer.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=b"doubtful")

    async def resolved() -> bool:
        body = {name: "withhold", "note": "number 15551234888 is closed"}
        return (await api.post("/v1/messages/doubtful/resolve", body)).status == 202

    await eventually(resolved, what="the API knows the message")
    (record,) = await records(api.settings, DECISIONS)
    assert (record.key, record.partition) == (b"r", partition_of("r", api.settings.partitions))
    (event,) = await events(api.settings, DECISIONS)
    assert isinstance(event.data, DoubtResolved)
    assert (event.data.attempt, event.data.resolution, event.data.by) == (2, "withhold", BY)
    assert event.data.note == "number *** is closed"


async def test_orders_survive_the_api(api: RunningApi) -> None:
    """What was ordered is on the log: an API that starts anew shows it (P4)."""
    await api.post("/v1/campaigns/spring/pause", {"reason": "typo"})
    async with running_api(api.settings, data_dir=api.settings.data_dir / "2") as other:
        assert (await other.get("/v1/campaigns/spring")).json["state"] == "paused"
        before, after = await api.get("/v1/audit"), await other.get("/v1/audit")
        assert before.json == after.json
