from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.simulator.behaviour import Plan, claim_of, plan
from sendledger.simulator.profile import HOSTILE, MIXED, Misbehaviour, Profile

MANY = 2_000
NOISY = msgspec.structs.replace(HOSTILE, stray=0.1, errors={}, misbehave={})
numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
texts = st.text(max_size=160)
seeds = st.integers(0, 2**32)
profiles = st.sampled_from([HOSTILE, MIXED, NOISY])


def fate(profile: Profile, number: int = 0, **over: Any) -> Plan:
    """The plan of one of many messages."""
    given_: dict[str, Any] = {"to": f"1555{number:07}", "text": "Hello", "campaign_ref": "7", "n": 1} | over
    return plan(profile, 7, **given_)


def fates(profile: Profile) -> list[Plan]:
    """The plans of many messages."""
    return [fate(profile, number) for number in range(MANY)]


@given(profiles, seeds, numbers, texts, st.integers(1, 5))
def test_the_same_submission_has_the_same_fate(profile: Profile, seed: int, to: str, text: str, n: int) -> None:
    """Seed, TO, text, CAMPAIGNREF and the count decide everything: a run is repeatable whatever its timing."""
    first = plan(profile, seed, to=to, text=text, campaign_ref=None, n=n)
    for other in range(3):
        fate(profile, other)
    assert plan(profile, seed, to=to, text=text, campaign_ref=None, n=n) == first


@pytest.mark.parametrize(
    "over", [{"to": "15559999999"}, {"text": "Bye"}, {"campaign_ref": "8"}, {"n": 2}], ids=lambda over: next(iter(over))
)
def test_each_part_of_a_submission_matters(over: dict[str, Any]) -> None:
    """Another TO, text, CAMPAIGNREF or count is another draw."""
    assert fate(MIXED).latency != fate(MIXED, **over).latency


@given(profiles, seeds, numbers)
def test_a_plan_makes_sense(profile: Profile, seed: int, to: str) -> None:
    """Only what was taken is notified, times are not negative, and each kind of notice comes at most once."""
    planned = plan(profile, seed, to=to, text="x", campaign_ref=None, n=1)
    low, high = profile.latency_ms
    assert low <= planned.latency * 1000 <= high
    assert planned.taken or not planned.postbacks
    assert (planned.code is None) or not planned.taken
    assert all(post.happens >= 0 and post.due >= 0 for post in planned.postbacks)
    notices = [post for post in planned.postbacks if post.why == "notice"]
    assert sorted(post.about for post in notices) == list(range(len(notices)))
    assert all(post.why == "notice" for post in planned.postbacks if post.early)


@given(profiles, seeds, numbers)
def test_events_happen_in_their_order_however_they_are_posted(profile: Profile, seed: int, to: str) -> None:
    """CREATED rises from notice to notice, also where the posting is shuffled."""
    planned = plan(profile, seed, to=to, text="x", campaign_ref=None, n=1)
    happens = [p.happens for p in sorted(planned.postbacks, key=lambda p: p.about) if p.why == "notice"]
    assert all(earlier < later for earlier, later in pairwise(happens))


def test_error_shares_come_true() -> None:
    """Each ERRORCODE gets its share, and such a call is never taken."""
    planned = fates(Profile(errors={"E110": 0.2, "E120": 0.1}))
    codes = Counter(one.code for one in planned)
    assert abs(codes["E110"] - 0.2 * MANY) < 0.05 * MANY
    assert abs(codes["E120"] - 0.1 * MANY) < 0.05 * MANY
    assert codes[None] == sum(one.taken for one in planned)


@pytest.mark.parametrize("kind", Misbehaviour)
def test_misbehaviours_take_the_message_as_their_name_says(kind: Misbehaviour) -> None:
    """`…_before`, 429 and an unknown code never take it, broken answers by chance, the rest always."""
    taken = {one.taken for one in fates(Profile(misbehave={kind: 1}))}
    never = {"hang_before", "reset_before", "http_429", "unknown_code"}
    by_chance = {"http_500", "http_502", "http_503", "http_301", "html", "broken", "empty"}
    assert taken == ({False} if kind in never else {True, False} if kind in by_chance else {True})


def test_a_carrier_without_receipts_never_gives_one() -> None:
    """Whether receipts come is a matter of the recipient, not of the message."""
    profile = Profile(no_receipt=0.3)
    for number in range(200):
        kinds = {tuple(p.claim for p in fate(profile, number, n=n, text=str(n)).postbacks) for n in range(1, 5)}
        assert kinds in ({("sent",)}, {("sent", "delivered")})


def test_receipts_by_status_number() -> None:
    """Each STATUS number gets its share; what is still trying comes to its end; the rest is delivered."""
    planned = fates(Profile(receipts={70: 0.2, 48: 0.1}))
    finals = Counter(one.postbacks[-1].status for one in planned)
    trying = [one for one in planned if len(one.postbacks) == 3]
    assert abs(finals[70] - 0.2 * MANY) < 0.05 * MANY
    assert abs(len(trying) - 0.1 * MANY) < 0.05 * MANY
    assert {tuple(p.claim for p in one.postbacks) for one in trying} == {("sent", "trying", "delivered")}


@pytest.mark.parametrize(
    ("status", "claim"),
    [
        (0, "delivered"),
        (0x1F, "delivered"),
        (0x20, "trying"),
        (0x3F, "trying"),
        (0x40, "undelivered"),
        (0x7F, "undelivered"),
        (0xFF, "undelivered"),
    ],
)
def test_status_numbers_follow_gsm_0340(status: int, claim: str) -> None:
    """The limits of the STATUS ranges are those of GSM 03.40."""
    assert claim_of(status) == claim


def test_submit_failed_is_all_that_is_said() -> None:
    """A message that fails before the carrier has that one notice."""
    assert {tuple(p.claim for p in one.postbacks) for one in fates(Profile(submit_failed=1))} == {("submit_failed",)}


def test_never_notified_means_nothing_at_all() -> None:
    """No postback, not even noise, for a message that is never notified."""
    assert not any(one.postbacks for one in fates(Profile(never_notified=1, repeat=1, foreign=1)))


def test_early_is_the_first_postback_only() -> None:
    """One postback, the first in line, is delivered before the answer."""
    for one in fates(Profile(early=1, shuffle=0.5)):
        assert [post.early for post in one.postbacks] == [True, False]


def test_shuffled_postbacks_come_in_the_opposite_order() -> None:
    """A shuffled receipt is due before the notice that the message was sent."""
    for one in fates(Profile(shuffle=1)):
        first, second = sorted(one.postbacks, key=lambda post: post.due)
        assert (first.claim, second.claim) == ("delivered", "sent")
        assert first.happens > second.happens


def test_late_moves_the_posting_and_not_the_event() -> None:
    """A late receipt happened in time."""
    for one in fates(Profile(late=1, late_after=(100, 200))):
        sent, receipt = one.postbacks
        assert 100 <= receipt.due - receipt.happens <= 200
        assert sent.due == sent.happens


def test_a_repeat_is_the_same_notice_later() -> None:
    """Each notice comes again, after its first time."""
    for one in fates(Profile(repeat=1, early=0.5)):
        firsts, repeats = one.postbacks[:2], one.postbacks[2:]
        assert [(post.about, post.happens) for post in firsts] == [(post.about, post.happens) for post in repeats]
        assert all(later.due > first.due for first, later in zip(firsts, repeats, strict=True))
        assert not any(post.early for post in repeats)


def test_a_conflict_is_a_second_receipt_that_says_the_opposite() -> None:
    """Two final receipts, one delivered and one not."""
    planned = fates(Profile(conflict=1, receipts={64: 0.5}))
    assert {tuple(p.claim for p in one.postbacks) for one in planned} == {
        ("sent", "delivered", "undelivered"),
        ("sent", "undelivered", "delivered"),
    }


def test_the_flat_forms_have_texts_instead_of_numbers() -> None:
    """The same STATUS number becomes `tp_0x46` on the page and `expired` in the flat forms."""
    receipts = {70: 1.0}
    assert fate(Profile(receipts=receipts)).postbacks[-1].detail == "tp_0x46"
    assert fate(Profile(receipts=receipts, form="v2")).postbacks[-1].detail == "expired"
    assert [p.claim for p in fate(Profile(receipts={48: 1.0}, form="1.3")).postbacks] == ["sent", "delivered"]


def test_mixed_uses_every_form() -> None:
    """Under `mixed` each message has one of the three forms."""
    assert {one.form for one in fates(Profile(form="mixed"))} == {"page", "1.3", "v2"}
