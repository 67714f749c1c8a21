"""P7 and P8 on the whole program: made-up numbers, texts and secrets that must appear only where they belong."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiokafka import TopicPartition
from rocksdict import Options, Rdict

from sendledger.config import KafkaSettings
from sendledger.edges.kafka import consumer
from sendledger.edges.running import find
from sendledger.edges.topics import registered
from sendledger_schemas.topics import POSTBACKS, SEND_REQUESTS, dlq
from tests.support.canaries import Found, files
from tests.support.instance import Api, environment, running, sendledger
from tests.support.processes import descendants, until

NUMBERS = ("15559170001", "15559170002", "15559170003", "15559170004", "15559170005", "4915559170006")
TEXTS = ("quartz-heron-4711", "velvet-otter-4712", "copper-lynx-4713")
KEY, PEPPER = "provider-key-canary-81723", "recipient-pepper-canary-55102"
POSTBACK_TOKEN, ADMIN, READER = "postback-token-canary-90210", "admin-token-canary-13579", "reader-token-canary-24680"
PERSONAL, SECRETS = (*NUMBERS, *TEXTS), (KEY, PEPPER, POSTBACK_TOKEN, ADMIN, READER)
ALLOWED = {SEND_REQUESTS, POSTBACKS, dlq(SEND_REQUESTS), dlq(POSTBACKS)}

PEOPLE = f"""to,text
{NUMBERS[0]},
{NUMBERS[1]},{TEXTS[1]}
+{NUMBERS[5]}x,{TEXTS[2]}
{NUMBERS[0]},
{NUMBERS[2]},{TEXTS[2] * 20}
"""
POSTED = f"""<NOTIFICATION ID="1" CREATED="2026-07-26 10:22:26.975911-04"><ORIGIN>SMS_MT</ORIGIN><CODE>N201</CODE><BODY>
<HISTORYID>9</HISTORYID><TO>{NUMBERS[3]}</TO><TRACKINGID>SMS_999</TRACKINGID>
<TIMESTAMP>2026-07-26 10:22:25.262743-04</TIMESTAMP></BODY></NOTIFICATION>"""
BROKEN = f"<NOTIFICATION><ORIGIN>SMS_MT</ORIGIN><TO>{NUMBERS[4]}</TO><TEXT>{TEXTS[0]}"
INCOMING = POSTED.replace("SMS_MT", "SMS_MO").replace(NUMBERS[3], NUMBERS[4])


@asynccontextmanager
async def played(directory: Path) -> AsyncIterator[tuple[dict[str, str], dict[str, bytes]]]:
    """An instance that was used in every way, still running; its environment and what it answered."""
    key_file, address = directory / "key", directory / "simulator.url"
    key_file.write_text(KEY)
    options = ("--ledger", "ledger.jsonl", "--address-file", str(address), "--api-key-file", str(key_file))
    noise = ("--error", "E110=0.2", "--no-receipt", "0.2", "--time-scale", "0.01", "--preset", "mixed")
    plain = environment(directory / "unused")
    async with running("simulator", "simulator", *options, *noise, env=plain, directory=directory):
        await until(address.exists, "the simulator listens")
        env = environment(
            directory / "data",
            PROVIDER_URL=address.read_text().strip(),
            PROVIDER_API_KEY_FILE=str(key_file),
            RECIPIENT_PEPPER=PEPPER,
            POSTBACK_TOKENS=POSTBACK_TOKEN,
            API_TOKENS=f"admin:{ADMIN},read:{READER}",
            LOG_LEVEL="DEBUG",
        )
        async with running("up", "up", env=env, directory=directory) as up:
            api = Api(env, ADMIN)
            await api.ready()
            answers = await used(api, env, directory)
            answers["command lines"] = command_lines(up.process.pid)
            yield env, answers


async def used(api: Api, env: dict[str, str], directory: Path) -> dict[str, bytes]:
    """Use everything there is, rightly and wrongly; what was answered, by the place that answered."""
    (directory / "people.csv").write_text(PEOPLE)
    answers: dict[str, bytes] = {}

    async def verb(*arguments: str) -> None:
        ended = await sendledger(*arguments, env=env, directory=directory)
        answers[f"verb {arguments[0]} {len(answers)}"] = (ended.out + ended.err).encode()

    async def call(method: str, route: str, **options: object) -> None:
        status, body = await api.call(method, route, **options)
        answers[f"{method} {route} {len(answers)}"] = f"{status} {body}".encode()

    await verb("send", "c1", "--sender", "60856", "--text", TEXTS[0], "--recipients", "people.csv")
    recipients = [NUMBERS[2], "0" + NUMBERS[5]]
    await call("POST", "/v1/campaigns/c1/messages", json={"sender": "1", "text": TEXTS[2], "recipients": recipients})
    await call("POST", "/v1/campaigns/c1/messages", json={"sender": "60856", "text": TEXTS[2], NUMBERS[3]: TEXTS[1]})
    await call("POST", "/v1/campaigns/c1/messages", data=f'{{"to": {NUMBERS[3]} "{TEXTS[1]}"')
    await post_back(env, POSTBACK_TOKEN, POSTED, BROKEN, INCOMING)
    await post_back(env, "wrong-token-of-somebody-else", POSTED)
    await api.until_counts("c1", requested=3, queued=0, attempting=0)
    await call("POST", "/v1/suppressions", json={"to": NUMBERS[3], "reason": f"asked by {NUMBERS[3]}"})
    await call("POST", "/v1/campaigns/c1/pause", json={"reason": f"call {NUMBERS[4]}"})
    routes = ("campaigns", "campaigns/c1", "campaigns/c1/messages", "campaigns/c1/export", "suppressions", "audit")
    for route in (*routes, f"messages/{NUMBERS[0]}"):
        await call("GET", f"/v1/{route}")
    for message in (await api.get("/v1/campaigns/c1/messages"))["items"]:
        await call("GET", f"/v1/messages/{message['message_id']}")
        await verb("message", message["message_id"])
    suppress = ("suppress", "add", NUMBERS[4], "--reason", NUMBERS[4])
    letters = (("dead-letters", "list"), ("dead-letters", "show", f"{POSTBACKS}:0"))
    for arguments in (("status", "c1"), *letters, ("suppress", "list"), ("config",), suppress):
        await verb(*arguments)
    answers |= await metrics(env)
    return answers


async def post_back(env: dict[str, str], token: str, *bodies: str) -> None:
    """Post to the receiver as the provider would."""
    url = f"http://127.0.0.1:{env['SENDLEDGER_RECEIVER_PORT']}/postbacks/{token}"
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            async with session.post(url, data=body.encode()) as answer:
                assert answer.status == (200 if token == POSTBACK_TOKEN else 404)


async def metrics(env: dict[str, str]) -> dict[str, bytes]:
    """What every role tells of itself."""
    first = int(env["SENDLEDGER_METRICS_PORT"])
    ports = [*range(first, first + 5), int(env["SENDLEDGER_API_PORT"])]
    found: dict[str, bytes] = {}
    async with aiohttp.ClientSession() as session:
        for port in ports:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == 200
                found[f"metrics {port - first}"] = await answer.read()
    return found


def command_lines(pid: int) -> bytes:
    """The command lines of a process and all below it, as `ps` shows them to everybody."""
    family = {pid, *descendants(pid)}
    return b"\n".join(Path(f"/proc/{each}/cmdline").read_bytes() for each in family)


async def topics(data_dir: Path) -> dict[str, bytes]:
    """Every record of every topic: keys, values and headers."""
    instance = find(data_dir)
    assert instance is not None
    found = {topic.name: b"" for topic in registered()}
    async with consumer(KafkaSettings(bootstrap_servers=instance.bootstrap_servers), group_id=None) as reader:
        await reader.topics()
        places = [
            TopicPartition(name, partition)
            for name in found
            for partition in (await reader._client.fetch_all_metadata()).partitions_for_topic(name)
        ]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        while any([await reader.position(place) < ends[place] for place in places]):
            for place, records in (await reader.getmany(timeout_ms=200)).items():
                for record in records:
                    headers = b"".join(name.encode() + value for name, value in record.headers)
                    found[place.topic] += (record.key or b"") + (record.value or b"") + headers
    return found


async def test_personal_data_and_secrets_stay_in_their_place(tmp_path: Path) -> None:
    """P7, P8: no number, text, key or token is in another topic, store, file, metric, log, answer or command line."""
    async with played(tmp_path) as (env, answers):
        data_dir = Path(env["SENDLEDGER_DATA_DIR"])
        logs = await topics(data_dir)
    assert all(logs[name] for name in ALLOWED - {dlq(SEND_REQUESTS)}), "the canaries never flew"
    kept = files(data_dir)
    assert any("(store)" in place for place in kept)
    output = {name: (tmp_path / name).read_bytes() for name in ("up.out", "up.err")}
    assert output["up.err"], "the roles log"
    found = Found({**logs, **kept, **output, **answers})
    # The spool is a place of theirs, and `dead-letters show` shows a letter to who asks for it, numbers masked.
    spool = {place for place in found.texts if place.startswith("spool/")}
    letter = {place for place in found.texts if place.startswith("verb dead-letters")}
    for canary in PERSONAL:
        places = found.places_of(canary) - (letter if canary in TEXTS else set())
        assert places - ALLOWED - spool == set(), canary
    for canary in SECRETS:
        assert found.places_of(canary) - {"secrets.json"} == set(), canary
    for number in NUMBERS[:5]:
        assert found.places_of(number), f"{number} is nowhere: the test looks at nothing"


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The search itself is not blind: a canary in a store, a database or a file is found."""
    store = Rdict(str(tmp_path / "store"), options=Options(raw_mode=True))
    store[b"key"] = NUMBERS[0].encode()
    store.close()
    with sqlite3.connect(tmp_path / "view.sqlite3") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (NUMBERS[1],))
    found = Found(files(tmp_path))
    assert "store (store)" in found.places_of(NUMBERS[0])
    assert found.places_of(NUMBERS[1]) == {"view.sqlite3"}
