"""What the reading routes answer when the view holds known records (DESIGN §8, P7)."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import pytest

from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused
from sendledger_schemas.decisions import DoubtResolved, RecipientSuppressed
from sendledger_schemas.states import BUCKETS
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS, DECISIONS, MESSAGE_STATE, RECEIVERS, SUPPRESSIONS
from tests.support.api import ADMIN
from tests.support.states import NOW, message_state
from tests.unit.api.asgi import ask
from tests.unit.api.filled import Filled, Record

PROMISED = {
    "campaign_id", "as_of", "state", "state_reason", "state_since", "state_by", "counts", "quality", "error_codes",
    "details", "by_operator", "latency_seconds", "rates", "series", "receiver_gaps",
}  # fmt: skip


async def test_a_campaign_is_there_from_its_registration_on(filled: Filled) -> None:
    """Registered and nothing folded yet: 200 with all fields, and counts of 0 that add up (P6)."""
    await filled.registered("spring")
    answer = await filled.get("/v1/campaigns/spring")
    assert answer.status == 200
    assert set(answer.json) >= PROMISED
    assert set(answer.json["counts"]) == {"requested", "unknown", *BUCKETS}
    assert (answer.json["state"], answer.json["counts"]["requested"]) == ("running", 0)


async def test_the_numbers_are_those_of_the_greatest_version(filled: Filled) -> None:
    """A late record of an older version replaces nothing; one of a newer fold does once it is as far (DESIGN §5)."""
    await filled.registered("spring")
    stands = []
    for requested, version, fold_version in ((5, 10, 1), (3, 7, 1), (8, 2, 2), (9, 10, 2), (6, 10, 1), (7, 11, 1)):
        await filled.numbers("spring", requested, version=version, fold_version=fold_version)
        stands.append((await filled.get("/v1/campaigns/spring")).json["counts"]["requested"])
    assert stands == [5, 5, 5, 9, 9, 7]


async def test_orders_show_in_the_state(filled: Filled) -> None:
    """A pause and a cancel are told with who, why and since when."""
    await filled.registered("spring")
    await filled.numbers("spring", 5)
    await filled.ordered(CampaignPaused(campaign_id="spring", by="token:ops", reason="typo in the text"))
    found = (await filled.get("/v1/campaigns/spring")).json
    assert (found["state"], found["state_reason"], found["state_by"]) == ("paused", "typo in the text", "token:ops")
    await filled.ordered(CampaignCancelled(campaign_id="spring", by="token:ops"))
    assert (await filled.get("/v1/campaigns/spring")).json["state"] == "cancelled"


async def test_the_list_is_paged_with_the_latest_first(filled: Filled) -> None:
    """Cursors lead through all campaigns once, reserved names left out."""
    names = [f"c{n}" for n in range(7)]
    await filled.registered(*names)
    await filled.numbers("_none", 1)
    found: list[str] = []
    path = "/v1/campaigns?limit=3"
    sizes = []
    while path:
        page = (await filled.get(path)).json
        sizes.append(len(page["items"]))
        found += [item["campaign_id"] for item in page["items"]]
        path = f"/v1/campaigns?limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert sizes == [3, 3, 1]
    assert found == names[::-1]


async def test_a_new_campaign_does_not_shift_the_pages(filled: Filled) -> None:
    """A campaign that is registered between two pages neither repeats nor hides another."""
    await filled.registered("a", "b", "c", "d")
    first = (await filled.get("/v1/campaigns?limit=2")).json
    await filled.registered("e")
    second = (await filled.get(f"/v1/campaigns?limit=2&cursor={first['next_cursor']}")).json
    assert [item["campaign_id"] for item in first["items"] + second["items"]] == ["d", "c", "b", "a"]


async def test_messages_by_bucket_are_masked(filled: Filled) -> None:
    """Messages of a bucket come with the last three digits of their numbers and nothing more (P7)."""
    await filled.registered("spring")
    await filled.messages("a", "b", bucket="rejected", error_code="E110")
    await filled.messages("c")
    page = (await filled.get("/v1/campaigns/spring/messages?bucket=rejected")).json
    assert [(item["message_id"], item["to"], item["error_code"]) for item in page["items"]] == [
        ("a", "***888", "E110"),
        ("b", "***888", "E110"),
    ]
    assert page["next_cursor"] is None


async def test_messages_by_reason(filled: Filled) -> None:
    """Error code, detail of a receipt, or reason of a doubt: what the campaign's numbers name can be looked at."""
    await filled.registered("spring")
    await filled.messages("a", "c", bucket="rejected", error_code="E110")
    await filled.messages("b", bucket="undelivered", detail="expired")
    await filled.messages("d", bucket="in_doubt", final=False, doubt_reason="timeout")
    await filled.messages("e", error_code="E110")  # delivered: an earlier call's code is not why it is there
    path = "/v1/campaigns/spring/messages?reason="
    found = {}
    for query in ("E110", "expired", "timeout", "E110&bucket=undelivered", "E999"):
        found[query] = "".join(item["message_id"] for item in (await filled.get(path + query)).json["items"])
    assert found == {"E110": "ac", "expired": "b", "timeout": "d", "E110&bucket=undelivered": "", "E999": ""}
    first = (await filled.get(f"{path}E110&limit=1")).json
    second = (await filled.get(f"{path}E110&limit=1&cursor={first['next_cursor']}")).json
    assert [page["items"][0]["message_id"] for page in (first, second)] == ["a", "c"]
    assert (await filled.get(f"{path}E110&policy=last-final")).status == 422


async def test_messages_are_paged(filled: Filled) -> None:
    """Cursors lead through all messages once."""
    await filled.registered("spring")
    await filled.messages(*"abcde")
    first = (await filled.get("/v1/campaigns/spring/messages?limit=3")).json
    second = (await filled.get(f"/v1/campaigns/spring/messages?limit=3&cursor={first['next_cursor']}")).json
    assert [item["message_id"] for item in first["items"] + second["items"]] == list("abcde")
    assert second["next_cursor"] is None


async def test_an_unknown_bucket_is_refused(filled: Filled) -> None:
    """A misspelt bucket is an error, not an empty list."""
    await filled.registered("spring")
    assert (await filled.get("/v1/campaigns/spring/messages?bucket=deliverd")).status == 422


async def test_an_export_holds_every_message_once(filled: Filled) -> None:
    """CSV and NDJSON hold the same messages, masked; nothing in a cell starts a spreadsheet's formula."""
    await filled.registered("spring")
    await filled.messages("a", detail="=cmd|' /C calc'!A0", tracking_id="-1+1")
    await filled.messages(*(f"b{n:04d}" for n in range(2_500)))
    as_csv = await filled.get("/v1/campaigns/spring/export")
    rows = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
    as_lines = await filled.get("/v1/campaigns/spring/export?format=ndjson")
    lines = [json.loads(line) for line in as_lines.body.splitlines()]
    assert [row["message_id"] for row in rows] == [line["message_id"] for line in lines]
    assert len({row["message_id"] for row in rows}) == 2_501
    assert rows[0]["detail"].startswith("'=")
    assert rows[0]["tracking_id"] == "'-1+1"
    assert {row["to"] for row in rows} == {"***888"}
    assert as_csv.headers["content-disposition"] == 'attachment; filename="messages.csv"'


async def test_an_export_of_a_bucket(filled: Filled) -> None:
    """Only what was asked for is exported; of a campaign without messages the header alone."""
    await filled.registered("spring", "autumn")
    await filled.messages("a", bucket="in_doubt")
    await filled.messages("b")
    assert (await filled.get("/v1/campaigns/spring/export?bucket=in_doubt")).body.count(b"\r\n") == 2
    assert (await filled.get("/v1/campaigns/autumn/export")).body.count(b"\r\n") == 1


async def test_the_audit_tells_who_did_what(filled: Filled) -> None:
    """Orders and decisions, the latest first, with person and reason; of one campaign if asked."""
    await filled.registered("spring", "autumn")
    await filled.ordered(CampaignPaused(campaign_id="spring", by="token:ops", reason="typo"))
    decision = DoubtResolved(
        message_id="m", campaign_id="spring", recipient_id="r", attempt=1, resolution="sent", by="x"
    )
    await filled.ordered(decision, topic=DECISIONS)
    found = (await filled.get("/v1/audit?campaign=spring")).json["items"]
    assert [(entry["what"], entry["by"]) for entry in found] == [
        ("doubt-resolved", "x"),
        ("campaign-paused", "token:ops"),
        ("campaign-registered", "token:test"),
    ]
    assert found[1]["reason"] == "typo"
    first = (await filled.get("/v1/audit?limit=3")).json
    rest = (await filled.get(f"/v1/audit?limit=3&cursor={first['next_cursor']}")).json
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 1, None)


async def test_suppressions_are_listed_masked_and_lifted_by_a_tombstone(filled: Filled) -> None:
    """The list shows ids and last digits; a tombstone on the log takes an entry away."""
    for name in "abc":
        data = RecipientSuppressed(recipient_id=name, by="token:ops", reason="asked", to_last3="888")
        await filled.ordered(data, topic=SUPPRESSIONS, key=name)
    await filled.raw(SUPPRESSIONS, None, "b")
    found = (await filled.get("/v1/suppressions?limit=1")).json
    assert [(item["recipient_id"], item["to"], item["reason"]) for item in found["items"]] == [("a", "***888", "asked")]
    rest = (await filled.get(f"/v1/suppressions?limit=1&cursor={found['next_cursor']}")).json
    assert ([item["recipient_id"] for item in rest["items"]], rest["next_cursor"]) == (["c"], None)


@pytest.mark.parametrize("topic", [CAMPAIGNS, CAMPAIGN_STATE, SUPPRESSIONS, RECEIVERS, DECISIONS])
@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[]", b'{"type": "sendledger.other.v1"}'])
async def test_an_unreadable_record_stops_nothing(filled: Filled, topic: str, value: bytes) -> None:
    """Bytes that nobody can read are passed over; what comes after them is read."""
    await filled.raw(topic, value, "x")
    await filled.registered("spring")
    assert (await filled.get("/v1/campaigns/spring")).status == 200


async def test_an_unreadable_message_state_stops_nothing(filled: Filled) -> None:
    """As above, for the states of messages, in the same fetch."""
    records = [
        Record(MESSAGE_STATE, 0, b"\xff"),
        Record(MESSAGE_STATE, 1, b"{}"),
        Record(MESSAGE_STATE, 2, message_state("a").model_dump_json().encode()),
        Record(MESSAGE_STATE, 3, None, b"gone"),
    ]
    await filled.bench.desk.view.apply_states(records)
    assert filled.bench.desk.view.index.get("a") is not None


async def test_only_a_doubt_can_be_resolved(filled: Filled) -> None:
    """A message that is not in doubt is told so, and nothing is written."""
    await filled.messages("a")
    body, headers = b'{"as": "resend"}', {"content-type": "application/json"}
    answer = await ask(filled.bench.app, "POST", "/v1/messages/a/resolve", token=ADMIN, body=body, headers=headers)
    assert (answer.status, answer.kind) == (409, "not-in-doubt")


async def test_what_is_in_doubt_is_listed_with_since_when_and_why(filled: Filled) -> None:
    """Pages and exports have both, beside the masked number and the id that `resolve` takes."""
    await filled.registered("spring")
    await filled.messages("a", bucket="in_doubt", final=False, doubt_reason="timeout", doubt_since=NOW)
    await filled.messages("b")
    (item,) = (await filled.get("/v1/campaigns/spring/messages?bucket=in_doubt")).json["items"]
    assert (item["message_id"], item["to"], item["doubt_reason"]) == ("a", "***888", "timeout")
    assert datetime.fromisoformat(item["doubt_since"]) == NOW
    head, row, _ = (await filled.get("/v1/campaigns/spring/export?bucket=in_doubt")).body.decode().split("\r\n")
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert cells["doubt_reason"] == "timeout"
    assert datetime.fromisoformat(cells["doubt_since"]) == NOW


async def test_a_cancelled_campaign_takes_no_order_but_cancel(filled: Filled) -> None:
    """Cancelled is final: pause and resume are refused, a second cancel is the same as the first."""
    await filled.registered("spring")
    await filled.ordered(CampaignCancelled(campaign_id="spring", by="token:ops"))
    for order, status in (("pause", 409), ("resume", 409), ("cancel", 200)):
        answer = await ask(filled.bench.app, "POST", f"/v1/campaigns/spring/{order}", token=ADMIN)
        assert answer.status == status, order
