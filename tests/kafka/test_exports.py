"""`export`, `sql` and the export over HTTP on a real Kafka: what is written is what the topics say, and no more."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import subprocess
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.edges.publisher import Outgoing
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.topics import API_RESPONSES, CAMPAIGN_STATE, CAMPAIGNS, MESSAGE_STATE, POSTBACKS, SEND_ATTEMPTS
from sendledger_schemas.topics import SEND_REQUESTS as REQUESTS
from tests.support.api import ADMIN, READ, running_api
from tests.support.exports import rows
from tests.support.folding import agrees, lives, outgoing, read, role, totals, write
from tests.support.instance import COMMAND, Ended, environment, sendledger
from tests.support.kafka import PEPPER, eventually
from tests.support.states import NOW, message_state

TOMBSTONE: Any = None
_MEGABYTE = 1024  # of kilobytes, as ru_maxrss counts


def env_of(settings: Settings) -> dict[str, str]:
    """The environment of a verb, in a zone whose days are not those of UTC."""
    given = environment(settings.data_dir / "cli", RECIPIENT_PEPPER=PEPPER)
    return {**given, "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "", "TZ": "America/New_York"}


async def verb(settings: Settings, *arguments: str, code: int = 0) -> Ended:
    """One verb to its end."""
    ended = await sendledger(*arguments, env=env_of(settings), directory=settings.data_dir)
    assert ended.code == code, ended.err
    return ended


async def a_folded_log(settings: Settings, messages: int) -> None:
    """Events, and what fold and merge make of them; both have stopped then."""
    registered = [CampaignRegistered(campaign_id=f"c{number}", by="test") for number in range(3)]
    known = [encode(event(data, id=f"r{data.campaign_id}", source="test", time=NOW)) for data in registered]
    await write(
        settings, [Outgoing(CAMPAIGNS, 0, d.campaign_id.encode(), v) for d, v in zip(registered, known, strict=True)]
    )
    await write(settings, outgoing(lives(messages), settings.partitions))
    async with role(fold.serve, settings), role(merge.serve, settings):
        wanted = totals(await agrees(settings))

        async def equal() -> bool:
            found = await read(settings, CAMPAIGN_STATE)
            return {r.key.decode(): json.loads(r.value)["counters"] for r in found} == wanted

        await eventually(equal, what="the campaign states are those of the log")


async def states(settings: Settings) -> dict[str, dict[str, Any]]:
    """What stands on the topic of message states, read without the program: message → its last record."""
    found = {r.key.decode(): r.value for r in await read(settings, MESSAGE_STATE)}
    return {key: json.loads(value) for key, value in found.items() if value is not None}


async def test_what_is_exported_is_what_the_log_says(shared_kafka: Settings) -> None:
    """Every message once, by campaign and day, masked, or with its number; SQL and HTTP say the same."""
    await a_folded_log(shared_kafka, 120)
    truth, directory = await states(shared_kafka), shared_kafka.data_dir
    to = {v["data"]["message_id"]: v["data"]["to"] for v in values(await read(shared_kafka, REQUESTS))}
    await verb(shared_kafka, "export", "messages")
    found = [row for file in (directory / "messages").rglob("*.parquet") for row in in_its_folder(file)]
    assert {row["message_id"] for row in found} == truth.keys()
    assert len(found) == len(truth)
    for row in found:
        value = truth[row["message_id"]]
        for name in ("bucket", "detail", "tracking_id", "attempts", "version", "recipient_id"):
            assert row[name] == value[name]
        assert row["to"] == f"***{to[row['message_id']][-3:]}"
    told = await verb(shared_kafka, "export", "messages", "--numbers", "--format", "csv", "-o", "with.csv")
    written = list(csv.DictReader((directory / "with.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["message_id"]: row["to"] for row in written} == to
    assert (directory / "with.csv").stat().st_mode & 0o777 == 0o600
    assert f"{len(truth)} messages in with.csv" in told.err
    async with running_api(shared_kafka) as api:
        for kind, parse in (("csv", from_csv), ("ndjson", from_ndjson), ("parquet", from_parquet)):
            for numbers in ("masked", "full"):
                path = f"/v1/campaigns/c1/export?format={kind}&numbers={numbers}"
                answer = await api.get(path)
                shown = {m: n if numbers == "full" else f"***{n[-3:]}" for m, n in to.items()}
                assert parse(answer.body) == {m: shown[m] for m, v in truth.items() if v["campaign_id"] == "c1"}
                if numbers == "full":
                    assert (await api.get(path, token=READ)).status == 403
        assert (await api.get("/v1/campaigns/c9/export?format=parquet", token=ADMIN)).status == 404
        numbers_of_api = {c: (await api.get(f"/v1/campaigns/{c}")).json["counts"] for c in ("c0", "c1", "c2")}
        over_http = (await api.get("/v1/export/campaigns?format=ndjson")).body.decode()
        as_parquet = parquet((await api.get("/v1/export/campaigns?format=parquet")).body)
    told = await verb(shared_kafka, "export", "campaigns", "--format", "ndjson", "-o", "-")
    assert [json.loads(line) for line in over_http.splitlines()] == [json.loads(line) for line in told.out.splitlines()]
    await verb(shared_kafka, "export", "campaigns")
    assert as_parquet == rows(directory / "campaigns.parquet")
    for campaign in map(json.loads, told.out.splitlines()):
        counts = numbers_of_api[campaign["campaign_id"]]
        assert {name: campaign[name] for name in counts} == counts
    await compare_logs(shared_kafka, truth)


async def compare_logs(settings: Settings, truth: dict[str, dict[str, Any]]) -> None:
    """`attempts` and `postbacks` hold each claim, its end and each notification, and nothing personal."""
    query = "SELECT (SELECT count(*) FROM attempts WHERE started_at IS NOT NULL), (SELECT count(*) FROM attempts WHERE \"end\" = 'accepted'), (SELECT sum(deliveries) FROM postbacks), (SELECT count(*) FROM postbacks WHERE message_id IS NULL), (SELECT count(*) FROM messages)"  # noqa: E501
    told = await verb(settings, "sql", query, "--format", "csv")
    claims = {v["data"]["message_id"] for v in values(await read(settings, SEND_ATTEMPTS))}
    accepted = {v["data"]["message_id"] for v in values(await read(settings, API_RESPONSES)) if "accepted" in v["type"]}
    notices = values(await read(settings, POSTBACKS))
    whose = {(value["recipient_id"], value["tracking_id"]) for value in truth.values()}
    strays = {n["id"] for n in notices if (n["data"]["recipient_id"], n["data"].get("tracking_id")) not in whose}
    wanted = [len(claims), len(accepted), len(notices), len(strays), len(truth)]
    assert [int(cell) for cell in told.out.splitlines()[1].split(",")] == wanted
    everything = await verb(settings, "sql", "SELECT * FROM postbacks, attempts LIMIT 500", "--format", "json")
    assert not re.search(r"1555\d{7}|canary|<TO>", everything.out)


def values(records: list[Any]) -> list[dict[str, Any]]:
    """The events of records, each id once a topic and message where it was written twice."""
    return [json.loads(record.value) for record in records]


def in_its_folder(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, which all belong where it is."""
    campaign, day = (unquote(part.partition("=")[2]) for part in file.parts[-3:-1])
    found = rows(file)
    assert {(row["campaign_id"], row["day"].isoformat()) for row in found} == {(campaign, day)}
    assert {row["requested_at"].strftime("%Y-%m-%d") for row in found} == {day}
    return found


def from_csv(body: bytes) -> dict[str, str]:
    """Message → number."""
    return {row["message_id"]: row["to"] for row in csv.DictReader(io.StringIO(body.decode()))}


def from_ndjson(body: bytes) -> dict[str, str]:
    """As `from_csv`."""
    return {row["message_id"]: row["to"] for row in map(json.loads, body.splitlines())}


def from_parquet(body: bytes) -> dict[str, str]:
    """As `from_csv`."""
    return {row["message_id"]: row["to"] for row in parquet(body)}


def parquet(body: bytes) -> list[dict[str, Any]]:
    """The rows of a file that came over HTTP."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(body)
        file.flush()
        return rows(Path(file.name))


async def test_many_messages_take_no_more_memory(shared_kafka: Settings) -> None:
    """100,000 messages, each with an older record behind its newer one, at days around midnight: below 400 MB."""
    messages, midnight = 100_000, datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    template = message_state("m", version=1, detail="=cmd", tracking_id="-5").model_dump_json().encode()
    zones = ((midnight - timedelta(seconds=1)).isoformat(), midnight.isoformat())

    def records() -> list[Outgoing]:
        made = []
        for number in range(messages):
            name = b"m%026d" % number
            value = template.replace(b'"m"', b'"%s"' % name).replace(
                NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode(), zones[number % 2].encode()
            )
            made.append(Outgoing(MESSAGE_STATE, number % 8, name, value.replace(b'"version":1', b'"version":2')))
            if number % 10 == 0:
                made.append(Outgoing(MESSAGE_STATE, number % 8, name, value))
        return made

    await write(shared_kafka, records())
    await write(shared_kafka, [Outgoing(MESSAGE_STATE, 3, b"m%026d" % 3, TOMBSTONE)])
    peak = await asyncio.to_thread(exported, shared_kafka, "--format", "csv")
    assert peak < 400 * _MEGABYTE
    days: Counter[str] = Counter()
    for file in (shared_kafka.data_dir / "messages").rglob("*.csv"):
        with file.open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                assert (row["version"], row["detail"], row["tracking_id"]) == ("2", "'=cmd", "'-5")
                assert f"day={row['requested_at'][:10]}" == file.parts[-2]
                days[row["requested_at"][:10]] += 1
    assert days == {"2026-02-28": 50_000, "2026-03-01": 50_000 - 1}


def exported(settings: Settings, *arguments: str) -> int:
    """Run the export; its largest memory in KB."""
    command = [*COMMAND, "export", "messages", *arguments]
    process = subprocess.Popen(command, env=env_of(settings), cwd=settings.data_dir, stderr=subprocess.DEVNULL)
    # Not ru_maxrss: that begins with the memory of the process that forks.
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)
        peak = max(peak, int(found[1])) if found else peak  # a process that has just ended has none
        time.sleep(0.02)
    assert process.returncode == 0
    assert peak
    return peak


async def test_an_export_is_whole_or_not_there(shared_kafka: Settings) -> None:
    """What is there is not replaced unasked; what cannot be done leaves all as it was; a wrong question is one line."""
    directory = shared_kafka.data_dir
    await write(shared_kafka, [Outgoing(MESSAGE_STATE, 0, b"a", message_state("a").model_dump_json().encode())])
    await verb(shared_kafka, "export", "messages")
    assert "exists: --overwrite" in (await verb(shared_kafka, "export", "messages", code=2)).err
    told = await verb(shared_kafka, "export", "messages", "--overwrite", "--campaign", "x", code=2)
    assert "nothing is known of a campaign x" in told.err
    (row,) = rows(directory / "messages/campaign_id=spring/day=2026-11-22/messages.parquet")
    assert row["message_id"] == "a"
    told = await verb(shared_kafka, "sql", "SELECT nothing FROM messages", code=2)
    assert ("nothing" in told.err, "Traceback" in told.err) == (True, False)
    assert not [path for path in directory.iterdir() if "partial" in path.name or "old" in path.name]
