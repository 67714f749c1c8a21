"""What a cancel tells of the calls in flight, read from the journal: those that nobody can take back any more."""

from __future__ import annotations

from sendledger.config import Settings
from sendledger.edges.under_way import Flights, watching
from sendledger_schemas.attempts import RequestPosition
from sendledger_schemas.ids import partition_of
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.sender import write


async def claimed(settings: Settings, *names: str, campaign: str = "c1") -> list[Data]:
    """Requests on the log, of these messages and recipients; a claim of each that is not yet there."""
    asked = [story.requested(name, name, campaign) for name in names]
    offsets = await write(settings, SEND_REQUESTS, *asked)
    places = [
        RequestPosition(partition=partition_of(name, settings.partitions), offset=offset)
        for name, offset in zip(names, offsets, strict=True)
    ]
    return [
        story.started(name, name, campaign).model_copy(update={"request": place})
        for name, place in zip(names, places, strict=True)
    ]


async def test_calls_that_end_behind_the_order_are_told_with_their_end(shared_kafka: Settings) -> None:
    """Behind the order: the end of a call, a claim that was called, one that was given back. Before it: an end.

    Of one campaign, and of all of them, as `cancel '*'` asks.
    """
    claims = await claimed(shared_kafka, "still", "ends", "back", "over", "late", "later")
    others = await claimed(shared_kafka, "other", campaign="c2")
    await write(shared_kafka, SEND_ATTEMPTS, *claims[:4], *others)
    await write(shared_kafka, API_RESPONSES, story.accepted("T0", "over", "over"))
    async with watching(shared_kafka) as watch, watching(shared_kafka) as watch_all:
        await write(shared_kafka, SEND_ATTEMPTS, *claims[4:])
        await write(
            shared_kafka,
            API_RESPONSES,
            story.accepted("T1", "ends", "ends"),
            story.unanswered("late", "late"),
            *(story.not_sent(name, name) for name in ("back", "later")),
        )
        flights, everybodys = await watch.in_flight("c1"), await watch_all.in_flight(None)
    assert isinstance(flights, Flights)
    assert isinstance(everybodys, Flights)
    expected = {"still": "open", "ends": "accepted", "late": "unanswered"}
    assert {flight.message_id: flight.became for flight in flights.items} == expected
    assert {flight.to for flight in flights.items} == {"***888"}
    assert flights.count == len(expected)
    assert {flight.message_id: flight.became for flight in everybodys.items} == {**expected, "other": "open"}
