from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendledger.simulator.draws import Draws

subjects = st.lists(st.one_of(st.text(max_size=5), st.integers(0, 9)), min_size=1, max_size=4)


@given(subjects, st.text(max_size=5))
def test_the_same_subject_and_name_give_the_same_draw(subject: list[str | int], name: str) -> None:
    """A draw depends on nothing but its subject and its name."""
    assert Draws(*subject).unit(name) == Draws(*subject).unit(name)


@given(subjects, subjects)
def test_other_subjects_draw_differently(one: list[str | int], other: list[str | int]) -> None:
    """Two subjects meet only if they are equal, however their parts are cut."""
    assert (Draws(*one).unit("x") == Draws(*other).unit("x")) is (one == other)


@given(subjects, st.floats(0, 1), st.floats(0, 1))
def test_draws_stay_in_their_range(subject: list[str | int], low: float, width: float) -> None:
    """`between` never leaves the range that was asked for."""
    drawn = Draws(*subject).between("x", low, low + width)
    assert low <= drawn <= low + width


def test_shares_come_true() -> None:
    """Over many subjects each key has about its share, and the rest gets nothing."""
    shares = {"a": 0.2, "b": 0.3}
    drawn = [Draws("subject", number).one_of("fate", shares) for number in range(10_000)]
    assert abs(drawn.count("a") - 2_000) < 200
    assert abs(drawn.count("b") - 3_000) < 200
    assert drawn.count(None) == 10_000 - drawn.count("a") - drawn.count("b")


def test_the_order_of_shares_does_not_matter() -> None:
    """The same shares in another order give the same keys."""
    one, other = {"a": 0.2, "b": 0.3}, {"b": 0.3, "a": 0.2}
    assert all(Draws(n).one_of("x", one) == Draws(n).one_of("x", other) for n in range(500))


def test_nothing_and_everything() -> None:
    """A share of 0 never happens and a share of 1 always does."""
    assert not any(Draws(n).happens("x", 0) for n in range(500))
    assert all(Draws(n).happens("x", 1) for n in range(500))
    assert all(Draws(n).one_of("x", {"only": 1.0}) == "only" for n in range(500))
