"""The campaigns' numbers as one file over HTTP (DESIGN §8)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.exports import rows
from tests.unit.api.filled import Filled


async def test_the_campaigns_are_exported_in_every_format(filled: Filled) -> None:
    """A row a campaign that has numbers, by id, the same in each format; what no list shows is in none."""
    await filled.registered("autumn", "=spring", "winter")
    counters = {"requested": 4, "b:delivered": 3, "b:undelivered": 1, "carrier": 4, "receipt": 4, "accepted_ever": 4}
    await filled.numbers("autumn", 4, counters={**counters, "y:failure-wins:-:b:delivered": 1})
    for number in range(450):
        await filled.numbers(f"c{number:03d}", number)
    await filled.numbers("=spring", 2, archived=True)
    await filled.numbers("_none", 9)
    lines = await filled.get("/v1/export/campaigns?format=ndjson")
    told = [json.loads(line) for line in lines.body.splitlines()]
    assert [row["campaign_id"] for row in told] == ["=spring", "autumn", *(f"c{n:03d}" for n in range(450))]
    assert (told[1]["delivered"], told[1]["delivery_confirmed"], told[0]["archived"]) == (3, 0.75, True)
    as_csv = await filled.get("/v1/export/campaigns")
    assert as_csv.headers["content-disposition"] == 'attachment; filename="campaigns.csv"'
    cells = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
    assert list(cells[0]) == list(told[0])
    assert [row["requested"] for row in cells] == [str(row["requested"]) for row in told]
    assert (cells[0]["campaign_id"], cells[0]["archived"], cells[0]["acceptance"]) == ("'=spring", "true", "")


async def test_an_export_of_campaigns_is_of_those_that_the_list_shows(filled: Filled, tmp_path: Path) -> None:
    """By state and search, under a policy; Parquet keeps the types; of none at all the header alone."""
    await filled.registered("autumn", "spring")
    await filled.numbers("autumn", 5)
    counters = {
        "requested": 4,
        "b:delivered": 4,
        "y:failure-wins:-:b:delivered": 1,
        "y:failure-wins:+:b:undelivered": 1,
    }
    await filled.numbers("spring", 4, counters=counters)
    for asked, wanted in (("state=closed", ["spring"]), ("q=UTU", ["autumn"]), ("q=x", [])):
        answer = await filled.get(f"/v1/export/campaigns?{asked}")
        assert [row["campaign_id"] for row in csv.DictReader(io.StringIO(answer.body.decode()))] == wanted
    answer = await filled.get("/v1/export/campaigns?format=parquet&policy=failure-wins&state=closed")
    (tmp_path / "campaigns.parquet").write_bytes(answer.body)
    (row,) = rows(tmp_path / "campaigns.parquet")
    assert (row["campaign_id"], row["delivered"], row["undelivered"], row["archived"]) == ("spring", 3, 1, False)
    assert (await filled.get("/v1/export/campaigns?format=xlsx")).status == 422
    assert (await filled.get("/v1/export/campaigns?state=done")).status == 422


async def test_what_is_unknown_is_the_same_everywhere(filled: Filled) -> None:
    """The list, the campaign, both exports and the messages: two of three open ones are older than 72 hours."""
    now = datetime.now(UTC)
    await filled.registered("spring")
    ages = {"a": 75, "b": 100, "c": 70}
    since = {name: now - timedelta(hours=hours) for name, hours in ages.items()}
    hours = Counter(int(at.timestamp()) // 3600 for at in since.values())
    series = {"2026-01-01": {f"2026-01-01/open:{hour}": count for hour, count in hours.items()}}
    await filled.numbers("spring", 4, counters={"requested": 4, "b:sent": 3, "b:delivered": 1}, series=series)
    for name, at in since.items():
        await filled.messages(name, bucket="sent", final=False, open_since=at)
    await filled.messages("d")
    (listed,) = (await filled.get("/v1/campaigns")).json["items"]
    shown = (await filled.get("/v1/campaigns/spring")).json
    (row,) = csv.DictReader(io.StringIO((await filled.get("/v1/export/campaigns")).body.decode()))
    assert listed["counts"]["unknown"] == shown["counts"]["unknown"] == int(row["unknown"]) == 2
    messages = (await filled.get("/v1/campaigns/spring/export")).body.decode()
    told = {each["message_id"]: each["unknown"] for each in csv.DictReader(io.StringIO(messages))}
    assert told == {"a": "true", "b": "true", "c": "false", "d": "false"}
    items = (await filled.get("/v1/campaigns/spring/messages")).json["items"]
    assert {item["message_id"]: item["open_since"] is not None for item in items} == {
        **dict.fromkeys("abc", True),
        "d": False,
    }
