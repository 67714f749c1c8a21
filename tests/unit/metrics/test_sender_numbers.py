"""What the sender tells of orders, pace and answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.agents.sender_partition import JOURNAL
from sendledger.domain.call_ends import NeverBegan, NoAnswer, Refused, Taken, TooFast
from sendledger.edges.log_reader import LogReader
from sendledger_schemas.campaigns import CampaignPaused, CampaignResumed
from sendledger_schemas.topics import API_RESPONSES, DECISIONS, SEND_ATTEMPTS
from tests.support.partition import log_of
from tests.support.sender_parts import running


async def test_a_stop_is_told_from_whoever_it_comes(tmp_path: Path) -> None:
    """The account by an operator, a campaign by the sender before its pause is on the log; until it is lifted."""
    async with running(tmp_path, log_of(1)) as parts:
        metrics, pace = parts.kit.metrics, parts.kit.pace
        claims = cast("Any", SimpleNamespace(partitions={3: parts.it.partition}))
        housekeeping = Housekeeping(parts.kit, claims, parts.calls)

        def told() -> tuple[float, float]:
            housekeeping._tell()
            return metrics.stopped._value.get(), metrics.paused._value.get()

        assert told() == (0, 0)
        parts.order(CampaignPaused(campaign_id="*", by="ann", reason="lunch"))
        parts.order(CampaignPaused(campaign_id="c1", by="ann", reason="lunch"))
        assert told() == (1, 1)
        parts.order(CampaignResumed(campaign_id="*", by="ann", reason="fed"))
        parts.order(CampaignResumed(campaign_id="c1", by="ann", reason="fed"))
        assert told() == (0, 0)
        parts.control.halt("c1")
        assert told() == (0, 1)
        parts.control.halt("*")
        assert told() == (1, 1)
        pace.set_share(1, 4)
        told()
        assert (metrics.limit._value.get(), metrics.pace._value.get()) == (1_000, 250)


async def test_the_journals_lag_is_that_of_all_partitions(tmp_path: Path) -> None:
    """Ends of the log less the cursors, by topic, and the age of the oldest that waits; 0 where nothing waits.

    An age that could not be read in time is absent, not 0.
    """
    async with running(tmp_path, log_of(1)) as parts:
        cursors = parts.it.partition.cursors

        async def ends(places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
            return {place: cursors[place.topic] + (5 if place.topic in late else 0) for place in places}

        async def ages(places: Iterable[TopicPartition]) -> dict[TopicPartition, float]:
            return {place: 7.5 for place in places if place.topic == SEND_ATTEMPTS}

        def told() -> list[dict[str, float]]:
            gauges = parts.kit.metrics.journal, parts.kit.metrics.journal_age
            return [{s.labels["topic"]: s.value for f in gauge.collect() for s in f.samples} for gauge in gauges]

        late = {SEND_ATTEMPTS, DECISIONS}
        lookups = LogReader(cast("Any", None))  # asks nobody: both of its questions are answered here
        cast("Any", lookups).ends, cast("Any", lookups).ages = ends, ages
        cast("Any", parts.kit).lookups = lookups
        keep = Housekeeping(parts.kit, cast("Any", SimpleNamespace(partitions={3: parts.it.partition})), parts.calls)
        await keep._look_for_progress()
        assert told() == [{SEND_ATTEMPTS: 5, API_RESPONSES: 0, DECISIONS: 5}, {SEND_ATTEMPTS: 7.5, API_RESPONSES: 0}]
        late.clear()
        await keep._look_for_progress()
        assert told() == [dict.fromkeys(JOURNAL, 0)] * 2


def test_answers_are_counted_by_what_they_are_about() -> None:
    """Each end of a call once, refusals by class, doubts by reason; a code of the provider becomes no label."""
    registry = CollectorRegistry()
    metrics = SenderMetrics(registry)
    ends = (Taken("T1"), Refused("E713", "billing of 15559170001", "account"), Refused("E999", "", "unknown"))
    for outcome in (*ends, TooFast("E120"), NeverBegan("refused"), NoAnswer("timeout")):
        metrics.ended(outcome)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"sendledger_sender_{name}_total", labels)

    ended = {w: value("calls", outcome=w) for w in ("accepted", "rejected", "throttled", "not_sent", "unanswered")}
    assert ended == {"accepted": 1, "rejected": 2, "throttled": 1, "not_sent": 1, "unanswered": 1}
    assert [value("refusals", error_class=name) for name in ("account", "unknown", "message")] == [1, 1, 0]
    assert [value("doubts", reason=name) for name in ("timeout", "reset")] == [1, 0]
    labels = {text for family in registry.collect() for sample in family.samples for text in sample.labels.values()}
    assert not [text for text in labels if "E7" in text or "E9" in text or "1555" in text]
