"""Until when the partitions are surely ours."""

from __future__ import annotations

from sendledger.agents.lease import KEPT, Lease


def test_nothing_is_ours_before_the_group_has_said_so() -> None:
    """A process that was never confirmed may not call."""
    assert not Lease(6.0).holds(0.0)


def test_it_ends_before_the_broker_may_give_the_partitions_away() -> None:
    """Counted from before the question was sent, and shorter than the session."""
    lease = Lease(6.0)
    lease.renewed(100.0)
    assert lease.holds(100.0 + 6.0 * KEPT - 0.01)
    assert not lease.holds(100.0 + 6.0 * KEPT)
    assert KEPT < 1


def test_a_late_word_takes_nothing_back() -> None:
    """Answers may be told in another order than they were asked for."""
    lease = Lease(6.0)
    lease.renewed(100.0)
    lease.renewed(90.0)
    assert lease.holds(105.0)


def test_two_heartbeats_may_be_lost() -> None:
    """The group is asked three times a session: a single lost answer stops nobody."""
    lease = Lease(6.0)
    lease.renewed(0.0)
    assert lease.holds(2 * 6.0 / 3 + 1.0)
