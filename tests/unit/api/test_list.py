"""The list of campaigns: what is searched, filtered and sorted, and that cursors meet everybody once (DESIGN §8)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import orjson
import pytest

from sendledger.domain.campaign_list import NUMBER
from sendledger.edges.api.board import Board
from sendledger_schemas.campaigns import ACCOUNT, CampaignCancelled, CampaignPaused, CampaignRegistered, CampaignResumed
from sendledger_schemas.states import CampaignState
from sendledger_schemas.topics import CAMPAIGN_STATE
from tests.support.states import campaign_state
from tests.unit.api.filled import Filled

HOUR = 3600


async def names(filled: Filled, query: str) -> list[str]:
    """The campaigns of one page."""
    answer = await filled.get(f"/v1/campaigns?{query}")
    assert answer.status == 200, answer
    return [item["campaign_id"] for item in answer.json["items"]]


async def pages(filled: Filled, query: str, meanwhile: list[str]) -> list[str]:
    """The campaigns of all pages, while others are registered between them."""
    found: list[str] = []
    cursor = ""
    while True:
        page = (await filled.get(f"/v1/campaigns?{query}{cursor}")).json
        found += [item["campaign_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
        if meanwhile:
            await filled.registered(meanwhile.pop())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sort", NUMBER)
async def test_cursors_meet_each_campaign_once_while_others_come(filled: Filled, sort: str, seed: int) -> None:
    """Whatever the sort: who was there before the first page and does not change is shown once, never twice."""
    chance = random.Random(seed)
    there = [f"{chance.randrange(10**6):06d}-{number}" for number in range(60)]
    await filled.registered(*there)
    for name in there[::2]:
        requested = chance.randrange(1, 4)
        await filled.numbers(name, requested, counters={"requested": requested, "b:rejected": requested})
    later = [f"{chance.randrange(10**6):06d}-later-{number}" for number in range(20)]
    found = await pages(filled, f"sort={sort}&limit=7", list(later))
    assert [name for name in sorted(found) if name in there] == sorted(there)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("sort", NUMBER)
async def test_pages_together_are_the_whole_list_in_order(filled: Filled, sort: str) -> None:
    """Nothing changes: pages of three are the one page of all, cut."""
    for number in range(10):
        await filled.registered(f"c{number}")
        counters = {"requested": 5, "b:delivered": number % 3, "b:queued": 5 - number % 3}
        await filled.numbers(f"c{number}", 5, counters=counters)
    assert await pages(filled, f"sort={sort}&limit=3", []) == await names(filled, f"sort={sort}")


async def test_each_sort_has_its_order(filled: Filled) -> None:
    """Counts with the greatest first, shares with the worst first and those without receipts last."""
    await filled.registered("b", "a", "c")
    await filled.numbers("a", 9, counters={"requested": 9, "b:queued": 2, "b:in_doubt": 5, "b:delivered": 2})
    await filled.numbers("b", 8, counters={"requested": 8, "b:queued": 5, "b:delivered": 1, "b:undelivered": 2})
    found = {sort: "".join(await names(filled, f"sort={sort}")) for sort in NUMBER}
    assert found == {
        "newest": "cab", "oldest": "bac", "name": "abc", "requested": "abc", "pending": "bac", "in_doubt": "abc",
        "failed": "bac", "delivery": "bac",
    }  # fmt: skip


async def test_the_list_is_searched_and_filtered(filled: Filled) -> None:
    """`q` finds parts of id, name and reference in any case; `state`, also several, is the state as it is shown."""
    await filled.ordered(CampaignRegistered(campaign_id="one", by="x", name="Spring SALE", campaign_ref="4711"))
    await filled.registered("two", "three", "springtime")
    await filled.ordered(CampaignPaused(campaign_id="two", by="x"), CampaignCancelled(campaign_id="three", by="x"))
    assert await names(filled, "q=spring") == await names(filled, "q=SPRING") == ["springtime", "one"]
    assert await names(filled, "q=sale&state=running") == ["one"]
    assert await names(filled, "q=471") == ["one"]
    assert await names(filled, f"q={quote('SALE 4')}") == []
    assert await names(filled, "state=paused&state=cancelled") == ["three", "two"]
    assert await names(filled, "state=halted") == []


async def test_what_concerns_the_account_concerns_every_card(filled: Filled) -> None:
    """A pause of the account shows in all campaigns of the list, its resume too."""
    await filled.registered("a", "b")
    assert await names(filled, "state=running") == ["b", "a"]
    assert (await filled.get("/v1/campaigns/a")).json["state"] == "running"
    await filled.ordered(CampaignPaused(campaign_id=ACCOUNT, by="x", reason="stop"))
    assert await names(filled, "state=paused") == ["b", "a"]
    assert (await filled.get("/v1/campaigns/a")).json["state"] == "paused"
    await filled.ordered(CampaignResumed(campaign_id=ACCOUNT, by="x"))
    assert await names(filled, "state=running") == ["b", "a"]


async def test_a_campaign_that_is_registered_after_its_numbers_is_there_once(filled: Filled) -> None:
    """The merge may be read before the campaigns log: the card moves to its place and stands nowhere else."""
    await filled.numbers("early", 3)
    await filled.registered("a")
    assert await names(filled, "") == ["a", "early"]
    await filled.registered("early")
    for sort, order in (("newest", ["early", "a"]), ("oldest", ["a", "early"]), ("name", ["a", "early"])):
        assert await names(filled, f"sort={sort}") == order
    await filled.raw(CAMPAIGN_STATE, None, "early")
    assert await names(filled, "") == ["early", "a"]
    await filled.numbers("_none", 1)
    assert "_none" not in await names(filled, "")


@pytest.mark.parametrize("seed", range(3))
async def test_a_card_is_what_the_campaign_itself_says(filled: Filled, seed: int) -> None:
    """The list and the single campaign never differ, after any change."""
    chance = random.Random(seed)
    await filled.registered("a", "b", "c")
    for name in "abc":
        await filled.numbers(name, 1)
    for version in range(2, 60):
        name = chance.choice("abc")
        if chance.random() < 0.6:
            sent = chance.randrange(20)
            counters = {"requested": 20, "b:sent": sent, "b:queued": 20 - sent}
            await filled.numbers(name, 20, version=version, counters=counters)
        else:
            await filled.ordered(chance.choice([CampaignPaused, CampaignResumed])(campaign_id=name, by="x"))
        for item in (await filled.get("/v1/campaigns")).json["items"]:
            whole = (await filled.get(f"/v1/campaigns/{item['campaign_id']}")).json
            assert item == {field: whole[field] for field in item}


def sent_then(hour: int) -> CampaignState:
    """Three messages that were sent in an hour (since 1970) and are still open."""
    day = datetime.fromtimestamp(hour * HOUR, UTC).date().isoformat()
    series = {day: {f"{day}/open:{hour}": 3, f"{day}/carrier:{hour}": 3}}
    return campaign_state("spring", 3, counters={"requested": 3, "b:sent": 3, "carrier": 3}, series=series)


async def test_messages_grow_old_without_any_record(filled: Filled) -> None:
    """Nothing is read for days, and yet finished becomes closed and open becomes unknown, in the list as elsewhere."""
    now = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    board = Board(filled.bench.desk.view, lambda: now)
    await filled.registered("spring")
    state = sent_then(int(now.timestamp()) // HOUR)
    await filled.raw(CAMPAIGN_STATE, state.model_dump_json().encode(), "spring")
    found = []
    for hours in (0, 1, 25, 72, 73):
        now = datetime(2026, 11, 20, 12, 30, tzinfo=UTC) + timedelta(hours=hours)
        card = board.cards()["spring"]
        shown, whole = orjson.loads(card.json), orjson.loads(board.whole("spring"))
        assert (shown["counts"], shown["rates"]) == (whole["counts"], whole["rates"])
        matured = whole["rates"]["matured_24h"]["denominator"]
        found.append((card.state, shown["counts"]["unknown"], matured))
    assert found == [
        ("finished", 0, 0),
        ("finished", 0, 0),
        ("finished", 0, 3),
        ("finished", 0, 3),
        ("closed", 3, 3),
    ]


async def test_numbers_that_cannot_be_shown_hide_no_other_campaign(filled: Filled) -> None:
    """A record that makes no sense leaves its campaign as it was, and the list goes on."""
    await filled.registered("spring", "autumn")
    await filled.numbers("spring", 1)
    assert await names(filled, "") == ["autumn", "spring"]
    await filled.numbers("spring", 2, version=2, series={"2026-03-01": {"2026-03-01/open:never": 1}})
    await filled.numbers("autumn", 3)
    items = (await filled.get("/v1/campaigns")).json["items"]
    assert [(item["campaign_id"], item["counts"]["requested"]) for item in items] == [("autumn", 3), ("spring", 1)]
    assert (await filled.get("/v1/campaigns/spring")).status == 500
    await filled.numbers("spring", 4, version=3)
    assert (await filled.get("/v1/campaigns/spring")).json["counts"]["requested"] == 4


async def test_a_page_costs_what_it_shows(filled: Filled) -> None:
    """A second reading makes nothing anew: the cards are the same objects until their campaign changes."""
    await filled.registered(*(f"c{number}" for number in range(50)))
    board = filled.bench.desk.board
    before = dict(board.cards())
    await filled.numbers("c7", 1)
    after = board.cards()
    assert [name for name in before if before[name] is not after[name]] == ["c7"]
