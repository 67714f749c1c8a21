"""Halts campaigns whose failure share is too high, by the answers that all senders have written (DESIGN §6).

Each sender reads the whole of `sms.api-responses.v1`, not only its own partitions: so minimum and share are those of
the campaign, however many senders there are, and a rebalance or the death of one of them changes nothing. That costs a
second look at each answer, and only where `SENDLEDGER_HALT_FAILURE_SHARE` is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_pauses import Pause, pause_by_itself
from sendledger.domain.failure_share import FailureShares, Kind, Tally
from sendledger.edges.clocks import wall_micros
from sendledger.edges.log_scan import since
from sendledger_schemas.responses import SendAccepted, SendRejected
from sendledger_schemas.topics import API_RESPONSES

LOOK_BACK = 600
"""Seconds of answers that count from before a sender's start: a sender that dies again and again halts all the same."""

_POLL_MS = 200
_AT_ONCE = 1_000

Raw = Any  # aiokafka has no types that a checker could read; a record has offset, timestamp, key, value


class _Data(msgspec.Struct):
    campaign_id: str
    error_class: str = "unknown"


class _Answer(msgspec.Struct):
    """Of a response only what counts here."""

    type: str
    data: _Data


_answer = msgspec.json.Decoder(_Answer)


class FailureWatch:
    """`consumer`: of its own, started, in no group."""

    def __init__(self, kit: Kit, consumer: AIOKafkaConsumer, share: float) -> None:
        self._kit = kit
        self._consumer = consumer
        self._shares = FailureShares(share, kit.settings.halt_min_answers)

    async def run(self) -> None:
        """Count and halt until cancelled; errors end it."""
        await self._kit.control.caught_up.wait()
        places = [TopicPartition(API_RESPONSES, number) for number in range(self._kit.settings.partitions)]
        self._consumer.assign(places)
        for place, offset in (await since(self._consumer, places, wall_micros() // 1_000 - LOOK_BACK * 1_000)).items():
            self._consumer.seek(place, offset)
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            touched: set[str] = set()
            for records in fetched.values():
                touched |= self._count(records)
            for campaign_id in touched:
                await self._judge(campaign_id)

    def _count(self, records: Sequence[Raw]) -> set[str]:
        """Count these answers; the campaigns that they are about."""
        touched: set[str] = set()
        for record in records:
            try:
                answer = _answer.decode(record.value or b"")
            except msgspec.DecodeError:
                continue  # the fold reads the same record and gives it to the dead letters
            if (kind := _kind(answer)) is not None:
                campaign_id = answer.data.campaign_id
                resumed_at = self._kit.control.resumed_at(campaign_id)
                self._shares.answered(campaign_id, kind, record.timestamp, resumed_at)
                touched.add(campaign_id)
        return touched

    async def _judge(self, campaign_id: str) -> None:
        control = self._kit.control
        tally = self._shares.exceeded(campaign_id, control.resumed_at(campaign_id))
        if tally is None or control.is_halting(campaign_id) or control.standing(campaign_id) == "cancelled":
            return
        seen = control.control.campaign(campaign_id).last_resume
        await pause_by_itself(self._kit, Pause(campaign_id, _reason(tally, self._shares.share), seen))


def _kind(answer: _Answer) -> Kind | None:
    if answer.type == SendAccepted.TYPE:
        return "accepted"
    if answer.type == SendRejected.TYPE and answer.data.error_class != "account":
        return "failed"
    return None


def _reason(tally: Tally, share: float) -> str:
    since = " since the last resume" if tally.since >= 0 else ""
    return f"{tally.failures} of {tally.answers} answers{since} are failures, more than a share of {share:g}"
