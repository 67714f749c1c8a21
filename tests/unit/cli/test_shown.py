from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from sendledger.cli import shown
from sendledger.cli.numbers import Numbers
from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.parts import billed
from sendledger.edges.under_way import Flight, Flights, Unread
from sendledger_schemas.campaigns import CampaignPaused, CampaignRegistered, CampaignResumed
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.states import CampaignState, MessageState
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS
from tests.support.states import message_state
from tests.support.story import at


class Record:
    """A record as a consumer hands it over."""

    def __init__(self, topic: str, offset: int, value: bytes | None, key: bytes = b"spring") -> None:
        self.topic, self.offset, self.value, self.key, self.partition = topic, offset, value, key, 0


def registered(offset: int = 0) -> Record:
    """The campaign's registration."""
    data = CampaignRegistered(campaign_id="spring", by="user:ann")
    return Record(CAMPAIGNS, offset, encode(event(data, id="e1", source="test", time=at(0))))


def state(version: int, delivered: int) -> Record:
    """The campaign's numbers."""
    counters = {"requested": 10, "b:delivered": delivered, "b:queued": 10 - delivered, "e:E110": 2}
    made = CampaignState(campaign_id="spring", as_of=at(1), counters=counters, series={}, orphans=0, to={},
                         version=version, fold_version=1)  # fmt: skip
    return Record(CAMPAIGN_STATE, version, made.model_dump_json().encode())


def rendered(thing: Any, width: int = 100) -> str:
    """What a terminal would show."""
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def test_what_is_unknown_stands_behind_the_buckets() -> None:
    """Where a message is open beyond its deadline, as on the page; else there is no such column."""
    counters = {"requested": 4, "b:sent": 4}
    hour = int(at(0).timestamp()) // 3600
    made = CampaignState(campaign_id="spring", as_of=at(1), counters=counters, orphans=0, to={}, version=1,
                         fold_version=1, series={"2026-03-01": {f"2026-03-01/open:{hour}": 3}})  # fmt: skip
    for hours, wanted in ((72, False), (73, True)):
        view = campaign_view("spring", made, Control(), [], at(hours * 3600 + 3599))
        told = rendered(shown.campaigns([view]))
        assert ("of these unknown" in told) is wanted
        assert told.split()[-1] == ("3" if wanted else "4")


@pytest.fixture
async def numbers() -> Numbers:
    """A campaign that was registered, paused, and has numbers."""
    made = Numbers()
    paused = CampaignPaused(campaign_id="spring", by="user:ann", reason="wrong link")
    pause = Record(CAMPAIGNS, 1, encode(event(paused, id="e2", source="test", time=at(2))))
    await made.apply([registered(), pause, state(2, 4)])
    return made


async def test_a_campaign_is_known_from_its_registration_on() -> None:
    """A campaign without numbers yet is shown with noughts, and one that nobody registered is not known."""
    numbers = Numbers()
    assert not numbers.knows("spring")
    await numbers.apply([registered()])
    assert numbers.knows("spring")
    (campaign,) = numbers.snapshot(at(5))
    assert campaign["counts"]["requested"] == 0


async def test_a_lesser_version_never_replaces_a_greater_one(numbers: Numbers) -> None:
    """Whatever order the records come in, the most complete numbers stand; what cannot be read changes nothing."""
    await numbers.apply([state(1, 1), Record(CAMPAIGN_STATE, 9, b"{")])
    assert numbers.snapshot(at(5), "spring")[0]["counts"]["delivered"] == 4
    await numbers.apply([state(3, 5)])
    assert numbers.snapshot(at(5), "spring")[0]["counts"]["delivered"] == 5


async def test_a_snapshot_is_what_the_api_shows(numbers: Numbers) -> None:
    """The verb and the API have one source: the same view of the same facts."""
    control = numbers.campaigns.control
    assert numbers.snapshot(at(5)) == [campaign_view("spring", numbers.states["spring"], control, [], at(5))]


async def test_who_watches_sees_only_what_is_new(numbers: Numbers) -> None:
    """Time alone gives the same snapshot, also of a campaign without numbers; a record, an order or old age another."""
    bare = Numbers()
    await bare.apply([registered()])
    assert bare.snapshot(at(5)) == bare.snapshot(at(50))
    before = numbers.snapshot(at(5))
    assert numbers.snapshot(at(50)) == before
    resumed = CampaignResumed(campaign_id="spring", by="user:ann")
    await numbers.apply([Record(CAMPAIGNS, 2, encode(event(resumed, id="e3", source="test", time=at(3))))])
    after = numbers.snapshot(at(51))
    assert [each["state"] for each in (*before, *after)] == ["paused", "running"]
    await numbers.apply([state(3, 5)])
    assert numbers.snapshot(at(52)) != after


async def test_the_table_has_only_buckets_in_use(numbers: Numbers) -> None:
    """One line a campaign fits an ordinary terminal."""
    text = rendered(shown.campaigns(numbers.snapshot(at(5))), width=80)
    for part in ("spring", "paused", "10", "queued", "delivered"):
        assert part in text
    assert "in doubt" not in text
    assert "…" not in text


async def test_an_imbalance_is_loud(numbers: Numbers) -> None:
    """P6: where the buckets do not add up a line of its own says so; where they do, the balance says 0."""
    assert shown.imbalances(numbers.snapshot(at(5))) == []
    assert "10 requested, 0 of them" in rendered(shown.one(numbers.snapshot(at(5))[0]))
    broken = state(9, 4)
    assert broken.value is not None
    await numbers.apply([Record(CAMPAIGN_STATE, 9, broken.value.replace(b'"b:queued":6', b'"b:queued":3'))])
    (line,) = shown.imbalances(numbers.snapshot(at(5)))
    assert "WRONG NUMBERS: of spring 10 messages" in line
    assert "add up to 7" in line
    assert "10 requested, 3 of them" in rendered(shown.one(numbers.snapshot(at(5))[0]))


async def test_a_campaign_of_then_names_its_moment(numbers: Numbers) -> None:
    """Numbers of an earlier moment, or under another policy, are never mistaken for those of now."""
    (now,) = numbers.snapshot(at(5), policy="last-final")
    assert "settled by last-final" in rendered(shown.one(now))
    assert "as it was known then" in rendered(shown.one({**now, "clock": "log"}))
    assert "what had happened by then" in rendered(shown.one({**now, "clock": "provider"}))


async def test_one_campaign_tells_why_it_stands(numbers: Numbers) -> None:
    """Who paused it and why, its errors and when the numbers are from."""
    text = rendered(shown.one(numbers.snapshot(at(5))[0]))
    for part in ("paused by user:ann: wrong link", "E110 2", "as of"):
        assert part in text


def doubt(number: int) -> MessageState:
    """A message in doubt."""
    since = at(number)
    return message_state(f"{number:026}", bucket="in_doubt", final=False, doubt_reason="timeout", doubt_since=since)


def test_doubts_are_listed_with_since_when_why_and_how_to_settle_them() -> None:
    """Whole ids, masked numbers; ten at most, and how many more there are, on a narrow terminal too."""
    text = rendered(shown.doubts([doubt(number) for number in range(12)]), width=80)
    for part in (
        f"{0:026}",
        f"{9:026}",
        "***888",
        "timeout",
        "2026-03-01T12:00:09",
        "12 in doubt",
        "and 2 more",
        "sendledger resolve MESSAGE",
    ):
        assert part in text
    assert f"{10:026}" not in text
    assert "more" not in rendered(shown.doubts([doubt(0)]))
    assert rendered(shown.doubts([])) == ""


def test_flights_are_named_up_to_a_limit() -> None:
    """Whoever cancels reads which calls had begun, or that none had."""
    flight = Flight(f"{1:026}", "***888", 2, at(3), "open")
    text = rendered(shown.flights(Flights(5, [flight], open=5, seconds=100)), width=80)
    for part in ("5 in flight", f"{1:026}", "***888", "open", "and 4 more"):
        assert part in text
    none = Flights(0, [], open=0, seconds=100)
    assert rendered(shown.flights(none)).strip() == "nothing of the last 100 s was in flight"
    older = rendered(shown.flights(none.beside(3)), width=300).splitlines()
    assert older[0] == "nothing of the last 100 s was in flight"
    assert older[1].startswith("the numbers count 3 more as attempting")
    assert "k (TimeoutError)" in rendered(shown.flights(Unread("k (TimeoutError)")))


async def test_the_list_says_what_is_halted_since_when_by_whom_and_why() -> None:
    """A campaign that the sender halted by itself, and the account's halt, which is everybody's."""
    numbers = Numbers()
    why = "60 of 100 answers are failures, more than a share of 0.5"
    halt = CampaignPaused(campaign_id="spring", by="sender", reason=why, automatic=True)
    await numbers.apply(
        [registered(), Record(CAMPAIGNS, 1, encode(event(halt, id="e2", source="t", time=at(2)))), state(2, 4)]
    )
    snapshot = numbers.snapshot(at(5))
    assert snapshot[0]["state"] == "halted"
    assert shown.standing(snapshot) == [f"spring is halted by sender: {why} (since 2026-03-01T12:00:02+00:00)"]
    assert "halted" in rendered(shown.campaigns(snapshot))
    assert why in rendered(shown.one(snapshot[0]), width=200)


PARTS = [
    # texts, the line before they are sent
    (["Hello"], "GSM-7, 1 part a message, 1 in all"),
    (["Hello"] * 950, "GSM-7, 1 part a message, 950 in all"),
    (["x" * 161] * 2, "GSM-7, 2 parts a message, 4 in all"),
    (
        ["zażółć " * 11] * 3,
        (
            "UCS-2, 2 parts a message, 6 in all; not in GSM-7: ż (U+017C LATIN SMALL LETTER Z WITH DOT ABOVE), "
            "ó (U+00F3 LATIN SMALL LETTER O WITH ACUTE), ł (U+0142 LATIN SMALL LETTER L WITH STROKE), "
            "ć (U+0107 LATIN SMALL LETTER C WITH ACUTE)"
        ),
    ),
    (
        ["Hello", "a\tb", "x" * 161],
        "GSM-7 and UCS-2, 1 to 2 parts a message (1: 2, 2: 1), 4 in all; not in GSM-7: U+0009 control character",
    ),
]


@pytest.mark.parametrize(("texts", "line"), PARTS)
def test_parts_on_one_line(texts: list[str], line: str) -> None:
    """Encoding, parts a message, parts in all, and why it is UCS-2, without a raw control character."""
    bill = billed(texts)
    assert bill is not None
    assert shown.parts(bill) == line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2026-03-01T14:31:00+00:00", "receiver away 14:02–14:31: receipts may be missing (r-1, 2026-03-01, UTC)"),
        ("2026-03-02T03:00:00+00:00", "receiver away 14:02–2026-03-02 03:00: receipts may be missing"),
    ],
)
def test_a_receiver_s_absence_is_one_line(until: str, said: str) -> None:
    """From when to when, in UTC, and what it may mean."""
    assert shown._gap({"from": "2026-03-01T15:02:00+01:00", "to": until, "receiver": "r-1"}).startswith(said)
