"""The event set of the benchmarks is what the product writes, and comes to what it was made to come to."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sendledger.domain.facts import decode_fact
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.publisher import Outgoing
from sendledger_schemas import envelope, ids
from sendledger_schemas.attempts import AttemptStarted
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.states import BUCKETS
from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS, SEND_ATTEMPTS, TOPICS
from tests.bench.bench_peers import check
from tests.bench.event_bytes import PEPPER
from tests.bench.events import DEAL, EVENTS_A_MESSAGE, OUTCOMES, Plan
from tests.bench.peers import recipient
from tests.bench.peers.counted import added
from tests.support.oracle import Oracle, Read

PLAN = Plan(DEAL, partitions=32)  # small ones: the oracle takes the square of what a partition holds


@pytest.fixture(scope="module")
def records() -> list[Outgoing]:
    """All events of the plan, in their order."""
    return list(PLAN.records())


def test_five_events_a_message(records: list[Outgoing]) -> None:
    """Each deal of outcomes is 1,000 messages and 5,000 events, and a plan has as many events as it says."""
    assert sum(count for count, _, _ in OUTCOMES.values()) == DEAL
    assert sum(count * events for count, events, _ in OUTCOMES.values()) == DEAL * EVENTS_A_MESSAGE
    assert len(records) == PLAN.events
    assert Plan.of(1_000_000).events == 1_000_000
    assert Plan.of(1_000_001).events > 1_000_000


def test_same_bytes_as_the_models(records: list[Outgoing]) -> None:
    """Every kind of event decodes by the pydantic models and is encoded by them to the same bytes."""
    kinds = {record.value.split(b'"type":"')[1].split(b'"')[0]: record for record in records}
    for record in (*random.Random(4).sample(records, 400), *kinds.values()):
        happened = envelope.decode(record.value)
        assert envelope.encode(happened) == record.value
        assert type(happened.data) in TOPICS[record.topic].events


def test_same_bytes_as_the_receiver(records: list[Outgoing]) -> None:
    """A postback event is what our receiver makes of the provider's document in it, to the byte."""
    receiver = PostbackRecords(PEPPER, PLAN.partitions, "receiver")
    claims = set()
    for record in (record for record in records if record.topic == POSTBACKS):
        data = envelope.decode(record.value).data
        assert isinstance(data, PostbackReceived)
        kept = receiver.keep(data.raw.encode(), data.received_at)
        assert (kept.record.value, kept.record.key, kept.record.partition) == (
            record.value,
            record.key,
            record.partition,
        )
        claims.add(data.claim)
    assert claims == {"sent", "delivered", "undelivered", "submit_failed"}


def test_records_stand_where_the_product_puts_them(records: list[Outgoing]) -> None:
    """Key and partition are those of the recipient, and an attempt names the offset of its request."""
    offsets: Counter[int] = Counter()
    requests: dict[str, tuple[int, int]] = {}
    for record in records:
        assert record.partition == ids.partition_of(record.key.decode(), PLAN.partitions)
        if record.topic == FOLD_SOURCES[0]:
            subject = record.value.split(b'"subject":"')[1].split(b'"')[0].decode()
            requests[subject] = record.partition, offsets[record.partition]
            offsets[record.partition] += 1
        elif record.topic == SEND_ATTEMPTS and isinstance(data := envelope.decode(record.value).data, AttemptStarted):
            assert (data.request.partition, data.request.offset) == requests[data.message_id]


def test_a_repeated_receipt_is_the_same_event(records: list[Outgoing]) -> None:
    """A receipt that comes twice has one id; nothing else shares one."""
    names = Counter(record.value.split(b'"id":"')[1].split(b'"')[0] for record in records)
    twice = OUTCOMES["receipt twice"][0]
    assert Counter(names.values()) == {1: PLAN.events - 2 * twice, 2: twice}


def test_an_independent_model_counts_the_same(records: list[Outgoing]) -> None:
    """The oracle, which knows nothing of outcomes, finds in each partition what the plan expects in all."""
    found: Counter[tuple[str, str]] = Counter()
    for partition in range(PLAN.partitions):
        oracle = Oracle(_reads(records, partition))
        for campaign, counters in oracle.counters.items():
            for name in ("requested", *BUCKETS):
                found[campaign, name] += counters["requested" if name == "requested" else f"b:{name}"]
    assert +found == _flat(PLAN.expected())


def test_the_peers_fold_counts_the_same_in_any_order(records: list[Outgoing]) -> None:
    """The Python peers' fold comes to the expected counts, also with the events shuffled."""
    for order in (records, random.Random(5).sample(records, len(records))):
        documents: dict[bytes, recipient.Document] = {}
        found: Counter[tuple[str, str]] = Counter()
        for record in order:
            document = documents.setdefault(record.key, {"m": {}, "t": {}})
            change = recipient.apply(document, recipient.decode(record.value))
            if change is not None and change[1] != change[2]:
                found[change[0], change[1] or ""] -= 1
                found[change[0], change[2] or ""] += 1
                found[change[0], "requested"] += change[1] is None
        assert Counter({k: v for k, v in found.items() if v and k[1]}) == _flat(PLAN.expected())


def test_what_was_told_is_added_up() -> None:
    """Counts are summed over partitions, ours without their series, other counters and orphans."""
    assert added({"a/0": {"requested": 2, "sent": 2, "queued": 0}, "a/1": {"requested": 1, "sent": 1}}) == {
        "a": Counter(requested=3, sent=3)
    }
    ours = {"day": None, "counters": {"requested": 1, "b:sent": 1, "accepted_ever": 1}}
    series = {"day": "2026-03-01", "counters": {"m:1:accepted": 1}}
    none = {"day": None, "counters": {"orphans": 1}}
    assert added({"a/0/0": ours, "a/0/0/2026-03-01": series, "_none/0/0": none}) == {"a": Counter(requested=1, sent=1)}


def test_other_counts_are_an_error() -> None:
    """A peer that counts one message differently, or leaves out a campaign, ends the benchmark."""
    expected = {"a": Counter(requested=2, sent=2), "b": Counter(requested=1, sent=1)}
    check("peer", {"a": Counter(requested=2, sent=2), "b": Counter(requested=1, sent=1)}, expected)
    with pytest.raises(AssertionError, match="peer counts differently"):
        check("peer", {"a": Counter(requested=2, sent=1, queued=1), "b": Counter(requested=1, sent=1)}, expected)
    with pytest.raises(AssertionError, match="peer counts differently"):
        check("peer", {"a": Counter(requested=2, sent=2)}, expected)


def test_late_receipts_come_last(records: list[Outgoing]) -> None:
    """A receipt that is hours late stands behind everything that happened before it, in all topics."""
    times = [envelope.decode(record.value).time for record in records[-20:]]
    assert times == sorted(times)
    assert records[-1].topic == POSTBACKS


def _reads(records: list[Outgoing], partition: int) -> list[Read]:
    offsets: Counter[str] = Counter()
    reads = []
    for record in records:
        if record.partition == partition:
            reads.append((FOLD_SOURCES.index(record.topic), offsets[record.topic], decode_fact(record.value)))
            offsets[record.topic] += 1
    return reads


def _flat(counts: dict[str, Counter[str]]) -> Counter[tuple[str, str]]:
    return Counter({(campaign, name): count for campaign, names in counts.items() for name, count in names.items()})
