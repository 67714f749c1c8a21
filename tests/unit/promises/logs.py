"""Random logs for the promises: likely lives beside facts that make no sense together, with repeats."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec

from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.registry import Data
from sendledger_schemas.requests import SendRequested
from tests.support import story
from tests.support.story import Folded, Log
from tests.unit.fold.test_properties import a_life, a_postback

Told = tuple[Data, float]


def events(seed: int) -> list[Told]:
    """Facts of two recipients, three messages each in two campaigns, in a random order, each once."""
    chance = random.Random(seed)
    told: list[Told] = []
    for recipient in ("r1", "r2"):
        trackings = [f"T{n}" for n in range(4)]
        for number in range(chance.randint(1, 3)):
            told += a_life(chance, (f"{recipient}m{number}", recipient, chance.choice(("c1", "c2"))), trackings)
        told += [(a_postback(chance, recipient, chance.choice(trackings)), 0) for _ in range(chance.randint(0, 5))]
    chance.shuffle(told)
    unique = {repr(data): (_coloured(chance, data), when) for data, when in told}
    return list(unique.values())


def _coloured(chance: random.Random, data: Data) -> Data:
    """What the plain stories leave out: carriers, and messages for later."""
    match data:
        case SendRequested():
            later = story.at(chance.randint(0, 10**6)) if chance.random() < 0.3 else None
            return data.model_copy(update={"operator_id": chance.choice((None, "op1")), "not_before": later})
        case PostbackReceived():
            received = data.received_at + timedelta(hours=chance.choice((0, 0, 6.5, 72)))
            said = received - timedelta(seconds=chance.randint(0, 5000))
            operator = chance.choice((None, "op2", "op/3"))
            update = {"operator_id": operator, "received_at": received, "provider_time": said}
            return data.model_copy(update=update)
        case _:
            return data


def log_of(told: list[Told]) -> Log:
    """The events on a log, in this order; the id of an event follows from what it says, not from when it arrived."""
    log = Log()
    for data, when in told:
        said = data.model_copy(update={"received_at": None}) if isinstance(data, PostbackReceived) else data
        log.add(data, when, event_id=f"{data.TYPE}{said!r}{when}")
    return log


def delivered_again(told: list[Told], chance: random.Random) -> list[Told]:
    """The same events, and some postbacks delivered once more at another time: the same body, so the same event."""
    postbacks = [data for data, _ in told if isinstance(data, PostbackReceived)]
    more = [
        data.model_copy(update={"received_at": data.received_at + timedelta(minutes=chance.randint(1, 2))})
        for data in chance.sample(postbacks, chance.randint(0, len(postbacks)))
    ]
    return told + [(data, 0) for data in more]


def repeated(told: list[Told], chance: random.Random) -> list[Told]:
    """The same events, some of them on the log again, at any later place."""
    again = list(told)
    for event in chance.sample(told, chance.randint(0, len(told))):
        first = next(place for place, known in enumerate(again) if known is event)
        again.insert(chance.randint(first + 1, len(again)), event)
    return again


def counters(result: Folded) -> dict[str, dict[str, int]]:
    """Campaign → counters, main and series together, as they were published last."""
    found: dict[str, dict[str, int]] = {}
    for value in result.published.values():
        record = msgspec.json.decode(value)
        found.setdefault(record["campaign_id"], {}).update(record["counters"])
    return {campaign: names for campaign, names in found.items() if names}
