"""The first registration of an idempotency key wins, whoever wrote it (DESIGN §6)."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.batches import Batch, Batches
from sendledger_schemas.campaigns import BatchRegistered, CampaignPaused
from sendledger_schemas.envelope import Event, event

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def registered(batch: str, digest: str) -> Event:
    """A registration by someone."""
    data = BatchRegistered(campaign_id="spring", batch=batch, body_sha256=digest, rows=3, by="someone")
    return event(data, id=f"{batch}{digest}", source="test", time=NOW)


def test_the_first_in_log_order_wins() -> None:
    """Given two registrations of one key with different contents, the one with the lower offset stands."""
    batches = Batches()
    batches.evolve(7, registered("b", "one"))
    batches.evolve(8, registered("b", "two"))
    assert batches.first == {"b": Batch("spring", "one", 3, NOW, 7)}


def test_the_region_is_the_first_ones() -> None:
    """The numbers of a batch are read as they were when it was registered; events of before do not tell how."""
    batches = Batches()
    for offset, region in enumerate((None, "DE", "")):
        data = BatchRegistered(campaign_id="c", batch=f"b{region}", body_sha256="x", rows=1, by="b", region=region)
        for late in (data, data.model_copy(update={"region": "AT"})):
            batches.evolve(offset, event(late, id="e", source="test", time=NOW))
    assert [batches.first[key].region for key in ("bNone", "bDE", "b")] == [None, "DE", ""]


def test_other_events_are_none_of_its_business() -> None:
    """A pause between registrations changes nothing."""
    batches = Batches()
    batches.evolve(1, event(CampaignPaused(campaign_id="spring", by="x"), id="p", source="test", time=NOW))
    assert batches.first == {}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=20))
def test_everyone_who_reads_the_log_finds_the_same_winner(log: list[tuple[str, str]]) -> None:
    """Whoever reads on from any place of the same log, and twice what it had read, has the same winners."""
    once, twice = Batches(), Batches()
    for offset, (batch, digest) in enumerate(log):
        once.evolve(offset, registered(batch, digest))
    for _ in range(2):
        for offset, (batch, digest) in enumerate(log):
            twice.evolve(offset, registered(batch, digest))
    assert once == twice
