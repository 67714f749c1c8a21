"""`unknown`: the page, the API and the exports count the same messages, at any moment (DESIGN §4, §8)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.numbers import overdue
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.rows import campaign_row, message_row
from sendledger.edges.exports.database import Database
from sendledger.edges.exports.scan import Reading
from sendledger_schemas.states import CampaignState, MessageState
from tests.support import story
from tests.support.exports import Log, asked
from tests.support.states import campaign_state
from tests.support.story import Folded
from tests.unit.promises.logs import events, log_of

HOUR = timedelta(hours=1)


def folded(seed: int) -> tuple[list[CampaignState], list[MessageState]]:
    """What fold and merge publish of a random log."""
    result = Folded()
    result.batch(log_of(events(seed)).in_order())
    parts = [msgspec.json.decode(value) for value in result.published.values()]
    campaigns = []
    for campaign_id in sorted({part["campaign_id"] for part in parts} - {NO_CAMPAIGN}):
        mine = [part for part in parts if part["campaign_id"] == campaign_id]
        main = sum((Counter(part["counters"]) for part in mine if part["day"] is None), Counter())
        series = {part["day"]: part["counters"] for part in mine if part["day"] is not None}
        state = campaign_state(campaign_id, counters=dict(main), series=series)
        campaigns.append(state)
    return campaigns, [MessageState.model_validate_json(value) for value in result.states.values()]


def exported(made: Database, seed: int, now: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Campaign → unknown, by the exported campaigns and by the exported messages."""
    campaigns, messages = folded(seed)
    log = Log(Reading(made, ("messages", "campaigns"), now=now))
    for campaign in campaigns:
        log.campaign(campaign)
    for message in messages:
        log.message(message)
    made.settle("messages", "campaigns")
    counted = asked(made, "SELECT campaign_id, count(*) FILTER (WHERE unknown) FROM messages GROUP BY ALL")
    return dict(asked(made, "SELECT campaign_id, unknown FROM campaigns")), dict(counted)


@given(st.integers(0, 2**32), st.floats(-2, 400, allow_nan=False))
def test_page_and_rows_agree_about_any_log_at_any_moment(seed: int, hours: float) -> None:
    """The campaign's count, as shown and as exported, is the number of its messages whose rows say so."""
    now = story.START + hours * HOUR
    campaigns, messages = folded(seed)
    counted = Counter(m.campaign_id for m in messages if message_row(m, now=now)["unknown"])
    for campaign in campaigns:
        shown = campaign_view(campaign.campaign_id, campaign, Control(), [], now)["counts"]["unknown"]
        assert shown == counted[campaign.campaign_id] == campaign_row(campaign, now=now)["unknown"]


def test_the_log_has_messages_that_become_unknown() -> None:
    """The test above is not blind: some messages do, not all of them, and only accepted and sent ones are open."""
    _, messages = folded(7)
    later = [m for seed in range(40) for m in folded(seed)[1]]
    unknown = [m for m in later if message_row(m, now=story.START + 400 * HOUR)["unknown"]]
    assert 0 < len(unknown) < len(later)
    assert {m.bucket for m in later if m.open_since is not None} == {"accepted", "sent"}
    assert not [m for m in later if (m.open_since is None) == (m.bucket in {"accepted", "sent"})]
    assert messages


@pytest.mark.parametrize(("minutes", "wanted"), [(0, False), (72 * 60, False), (72 * 60 + 59, False), (73 * 60, True)])
def test_whole_hours_count(minutes: int, wanted: bool) -> None:  # noqa: FBT001 — a table of cases
    """From the first full hour that begins 72 hours after its own: what was sent at 10:00 is unknown from 11:00 on."""
    sent = story.START.replace(minute=0, second=0, microsecond=0)
    assert overdue(sent, sent + timedelta(minutes=minutes)) is wanted
    assert overdue(sent + timedelta(minutes=59), sent + timedelta(minutes=minutes)) is wanted


def test_an_export_counts_as_the_page_does(made: Database) -> None:
    """Through DuckDB, into the columns that files and SQL have."""
    seed = max(range(40), key=lambda seed: sum(campaign_row(c, now=later())["unknown"] for c in folded(seed)[0]))
    shown = {c.campaign_id: campaign_view(c.campaign_id, c, Control(), [], later()) for c in folded(seed)[0]}
    by_campaign, by_message = exported(made, seed, later())
    assert any(by_campaign.values())
    assert by_campaign == {name: campaign["counts"]["unknown"] for name, campaign in shown.items()}
    assert {name: by_message.get(name, 0) for name in by_campaign} == by_campaign


def later() -> datetime:
    """When everything that is open is overdue."""
    return story.START + 400 * HOUR
