"""The messages of the benchmark of scale."""

from __future__ import annotations

from collections import Counter

import msgspec

from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS
from tests.bench.growth import HEAVY, Mix, message, records


class _Data(msgspec.Struct):
    recipient_id: str
    campaign_id: str = ""


class _Event(msgspec.Struct):
    data: _Data


def test_growth_has_five_events_a_message_and_repeats_of_older_ones() -> None:
    """What is repeated is a receipt of a message that is known, on its own partition."""
    some = list(records(1_000, 1_400, 1_000, 8))
    assert len(some) == 400 * 5 + 100
    assert {record.topic for record in some} <= set(FOLD_SOURCES)
    of_known = {(sms.key, sms.partition) for sms in (message(number, 8) for number in range(1_000))}
    places = [(record.key, record.partition) for record in some if record.topic == POSTBACKS]
    assert sum(place in of_known for place in places) >= 100


def test_growth_is_the_same_each_time() -> None:
    """A run can be repeated, and a message told of again later."""
    assert list(records(10, 60, 10, 8)) == list(records(10, 60, 10, 8))


def test_the_heavy_mix_gives_one_recipient_its_share() -> None:
    """Every so many messages go to one recipient, and with one campaign all are in it."""
    assert sum(message(number, 8, Mix(heavy=10)).to == message(0, 8, Mix(heavy=1)).to for number in range(1_000)) == 100
    assert message(0, 8, Mix(heavy=1)).to.endswith(str(HEAVY))
    campaigns = Counter(message(number, 8, Mix(campaigns=1)).campaign for number in range(100))
    assert len(campaigns) == 1
    keys = [record.key.decode() for record in records(0, 50, 0, 8)]
    named = [msgspec.json.decode(record.value, type=_Event).data.recipient_id for record in records(0, 50, 0, 8)]
    assert keys == named
