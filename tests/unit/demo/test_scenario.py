from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.demo.client import csv_of
from sendledger.demo.scenario import MAX_TEXT, scenario
from sendledger.domain.csv_rows import rows_of
from sendledger.domain.intake import Checked, check
from sendledger.domain.submission import Faults, Order, Submission
from sendledger_schemas.fields import format_instant
from tests.support.story import at


@given(messages=st.integers(1, 400), campaigns=st.integers(1, 7), seed=st.integers(0, 2**32))
def test_a_scenario_has_as_many_messages_as_were_asked_for(messages: int, campaigns: int, seed: int) -> None:
    """The messages are spread evenly, no campaign has a number twice, and no text is too long."""
    story = scenario(messages=messages, campaigns=campaigns, seed=seed)
    assert story.messages == messages
    sizes = [len(campaign.recipients) for campaign in story.campaigns]
    assert max(sizes) - min(sizes) <= 1
    for campaign in story.campaigns:
        numbers = [recipient.to for recipient in campaign.recipients]
        assert len(set(numbers)) == len(numbers)
        assert all(len(recipient.text) <= MAX_TEXT for recipient in campaign.recipients)


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same scenario, another seed another one."""
    first, again, other = (scenario(messages=50, campaigns=3, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_some_recipients_get_messages_of_two_campaigns() -> None:
    """A tenth of each list is in the list before: facts about one recipient meet across campaigns."""
    story = scenario(messages=300, campaigns=3, seed=1)
    for one, two in itertools.pairwise(story.campaigns):
        shared = {r.to for r in one.recipients} & {r.to for r in two.recipients}
        assert len(shared) == 10


def test_campaigns_have_names_and_references_of_their_own() -> None:
    """However many campaigns there are, the ledger can tell them apart by CAMPAIGNREF."""
    story = scenario(messages=100, campaigns=12, seed=1)
    assert len({campaign.campaign_id for campaign in story.campaigns}) == 12
    assert len({campaign.campaign_ref for campaign in story.campaigns}) == 12


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_unusable_rows_are_refused_and_no_others(seed: int) -> None:
    """The program's own check refuses exactly the rows that the scenario says are unusable."""
    (campaign,) = scenario(messages=40, campaigns=1, seed=seed).campaigns
    rows = rows_of(csv_of(campaign).encode())
    assert not isinstance(rows, Faults)
    checked = check(Submission("c", Order(sender=campaign.sender), rows), region=None, now=at(0))
    assert isinstance(checked, Checked)
    assert len(checked.accepted) == 40
    assert len(checked.refused) == len(campaign.unusable)


def test_the_file_is_one_that_a_spreadsheet_could_have_written() -> None:
    """The CSV reads back as it was meant, commas in texts included."""
    (campaign,) = scenario(messages=3, campaigns=1, seed=1).campaigns
    read = list(csv.DictReader(io.StringIO(csv_of(campaign))))
    assert [row["to"] for row in read[:3]] == [recipient.to for recipient in campaign.recipients]
    assert [row["text"] for row in read[:3]] == [recipient.text for recipient in campaign.recipients]
    assert format_instant(at(0)).endswith("Z")
