"""When a campaign is halted for its failures: answers in, a verdict out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.failure_share import FailureShares, Kind, Tally

NEVER = -1


def shares(share: float = 0.5, minimum: int = 10) -> FailureShares:
    """Above one half of at least ten answers."""
    return FailureShares(share, minimum)


def answered(made: FailureShares, accepted: int, failed: int, *, at: int = 1, resumed_at: int = NEVER) -> None:
    """So many answers of campaign c."""
    told: dict[Kind, int] = {"accepted": accepted, "failed": failed}
    for kind, count in told.items():
        for _ in range(count):
            made.answered("c", kind, at, resumed_at)


def test_below_the_minimum_nothing_is_judged() -> None:
    """Nine failures of nine are no reason; the tenth is."""
    made = shares()
    answered(made, 0, 9)
    assert made.exceeded("c", NEVER) is None
    answered(made, 0, 1)
    assert made.exceeded("c", NEVER) == Tally(NEVER, 10, 10)


def test_only_above_the_share() -> None:
    """Five of ten are not above one half, six of eleven are."""
    made = shares()
    answered(made, 5, 5)
    assert made.exceeded("c", NEVER) is None
    answered(made, 0, 1)
    assert made.exceeded("c", NEVER) == Tally(NEVER, 11, 6)


def test_campaigns_are_judged_apart() -> None:
    """What fails in one is no reason to halt another."""
    made = shares()
    answered(made, 0, 50)
    for _ in range(50):
        made.answered("d", "accepted", 1, NEVER)
    assert made.exceeded("d", NEVER) is None
    assert made.exceeded("unknown", NEVER) is None


def test_after_a_resume_the_count_starts_anew() -> None:
    """Who resumes has seen the old failures: they count no more, also those that are read only afterwards."""
    made = shares()
    answered(made, 0, 50, at=100)
    assert made.exceeded("c", NEVER) is not None
    assert made.exceeded("c", 200) is None
    answered(made, 0, 50, at=150, resumed_at=200)
    answered(made, 0, 50, at=200, resumed_at=200)
    assert made.exceeded("c", 200) is None
    answered(made, 0, 10, at=201, resumed_at=200)
    assert made.exceeded("c", 200) == Tally(200, 10, 10)


@given(st.lists(st.booleans(), max_size=60), st.floats(0.05, 0.95), st.integers(1, 30))
def test_the_verdict_is_the_definition(failures: list[bool], share: float, minimum: int) -> None:
    """Failures above the share of the answers, and enough answers: nothing else halts, in whatever order they come."""
    made = FailureShares(share, minimum)
    for failed in failures:
        made.answered("c", "failed" if failed else "accepted", 1, NEVER)
    wanted = len(failures) >= minimum and sum(failures) > share * len(failures)
    assert (made.exceeded("c", NEVER) is not None) == wanted
