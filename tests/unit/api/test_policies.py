"""Numbers and messages as the reader's policy settles them, and whether they add up (DESIGN §4, P6)."""

from __future__ import annotations

import json

from tests.unit.api.filled import Filled


async def test_numbers_and_messages_under_another_policy(filled: Filled) -> None:
    """`?policy=` reads the same records: the campaign, a bucket of its messages, and each message as it is settled."""
    await filled.registered("spring")
    counters = {"requested": 2, "b:delivered": 1, "b:undelivered": 1, "conflicted": 1,
                "y:delivered-wins:+:b:delivered": 1, "y:delivered-wins:-:b:undelivered": 1}  # fmt: skip
    await filled.numbers("spring", 2, counters=counters)
    other = {"last-final": {"bucket": "delivered"}, "delivered-wins": {"bucket": "delivered"}}
    await filled.messages("m1")
    await filled.messages("m2", bucket="undelivered", detail="failed", conflicted=True, otherwise=other)
    for policy, delivered in (("first-final", ["m1"]), ("delivered-wins", ["m1", "m2"]), ("failure-wins", ["m1"])):
        found = (await filled.get(f"/v1/campaigns/spring?policy={policy}")).json
        assert (found["policy"], found["counts"]["delivered"]) == (policy, len(delivered))
        page = (await filled.get(f"/v1/campaigns/spring/messages?bucket=delivered&policy={policy}")).json
        assert [item["message_id"] for item in page["items"]] == delivered
        assert {(item["bucket"], item["detail"]) for item in page["items"]} == {("delivered", None)}
        rest = (await filled.get(f"/v1/campaigns/spring/messages?bucket=undelivered&policy={policy}")).json
        assert len(rest["items"]) == 2 - len(delivered)
    exported = await filled.get("/v1/campaigns/spring/export?format=ndjson&policy=last-final")
    assert [json.loads(line)["bucket"] for line in exported.body.splitlines()] == ["delivered", "delivered"]


async def test_an_imbalance_is_shown(filled: Filled) -> None:
    """P6: numbers that do not add up are told with the campaign, not hidden."""
    await filled.registered("spring")
    await filled.numbers("spring", 5, counters={"requested": 5, "b:queued": 3})
    assert (await filled.get("/v1/campaigns/spring")).json["imbalance"] == 2
