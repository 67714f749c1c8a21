from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendledger.simulator.throttle import Bucket


def test_no_rate_lets_everything_through() -> None:
    """Without a rate nothing is refused."""
    bucket = Bucket(None, 1, 0.0)
    assert all(bucket.take(0.0) for _ in range(1000))


def test_the_burst_passes_and_then_the_rate_holds() -> None:
    """Three calls at once pass, the fourth does not, and half a second at 2/s lets one more through."""
    bucket = Bucket(2, 3, 10.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]


@given(
    st.lists(st.floats(0, 2), min_size=1, max_size=100),
    st.floats(0.5, 100),
    st.floats(1, 10),
)
def test_never_more_than_rate_and_burst(gaps: list[float], rate: float, burst: float) -> None:
    """Whenever calls come, no more pass than the burst and what the rate gave since."""
    now, passed = 0.0, 0
    bucket = Bucket(rate, burst, now)
    for gap in gaps:
        now += gap
        passed += bucket.take(now)
        assert passed <= burst + rate * now + 1e-6


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """Time that runs backwards fills no bucket."""
    bucket = Bucket(1, 1, 100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(50.5)
