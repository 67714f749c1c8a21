"""Messages for a state that grows: numbered, so that any of them can be told of again, and written fast.

Message n goes to a recipient drawn from all that there are by then (0.6 a message), so that a batch touches documents
of every age. Five events each; with every fourth message comes a repeated receipt of an older one, drawn likewise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger_schemas.envelope import HEADERS
from sendledger_schemas.topics import POSTBACKS
from tests.bench.event_bytes import Sms
from tests.bench.stream import life

CAMPAIGNS = 10
HEAVY = 9_999_999
"""The recipient that gets many messages."""
_RECIPIENTS_A_MESSAGE = 0.6
_SCATTER = 2_654_435_761  # Knuth's multiplier: neighbours land far apart
_AT_ONCE = 1_000
_BETWEEN = 10_000  # µs from one request to the next
_REPEATED = 4


@dataclass(frozen=True)
class Mix:
    """Which messages: `heavy`: every so many goes to one recipient (0: none); `campaigns`: over how many."""

    heavy: int = 0
    campaigns: int = CAMPAIGNS


USUAL = Mix()


def recipient(number: int) -> int:
    """The recipient of a message."""
    return number * _SCATTER % max(1, int(number * _RECIPIENTS_A_MESSAGE))


def message(number: int, partitions: int, mix: Mix = USUAL) -> Sms:
    """Message `number`."""
    to = HEAVY if mix.heavy and number % mix.heavy == 0 else recipient(number)
    return Sms(number, to, f"growth-{number % mix.campaigns}", partitions)


def records(first: int, last: int, known: int, partitions: int, mix: Mix = USUAL) -> Iterator[Outgoing]:
    """The events of messages first … last − 1. The first `known` messages are on the log, and of the usual mix."""
    for number in range(first, last):
        sms = message(number, partitions, mix)
        for topic, value in life(sms, _BETWEEN * number):
            yield Outgoing(topic, sms.partition, sms.key, value, HEADERS)
        if number % _REPEATED == 0 and known:
            old = message(number * _SCATTER % known, partitions)
            again = old.heard(_BETWEEN * old.number + 1_000_000, "delivered", _BETWEEN * old.number)
            yield Outgoing(POSTBACKS, old.partition, old.key, again, HEADERS)


async def write(settings: Settings, first: int, last: int, known: int, mix: Mix = USUAL) -> int:
    """Put messages first … last − 1 on the log, `known` as for `records`; returns the number of events."""
    count = 0
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        for start in range(first, last, _AT_ONCE):
            some = list(records(start, min(start + _AT_ONCE, last), known, settings.partitions, mix))
            count += len(some)
            await publish(out, some)
            await asyncio.sleep(0)
    return count
