"""The wire's reader and the simulator's own tables are independent: here they must agree."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.simulator.behaviour import plan
from sendledger.simulator.notices import Delivery, Taken, deliveries
from sendledger.simulator.profile import HOSTILE, Form, Profile
from sendledger.wire.postbacks import Notification, Undecodable, decode_postback
from sendledger_schemas.ids import body_id
from tests.support.simulation import request

FORMS: tuple[Form, ...] = ("page", "1.3", "v2")
WALL, MONO = 1_700_000_000.0, 500.0


def made(profile: Profile, seed: int = 1, *, scale: float = 1) -> list[Delivery]:
    """The deliveries of one message."""
    call = request()
    fate = plan(profile, seed, to=call.to, text=call.text, campaign_ref=call.campaign_ref, n=1)
    taken = Taken(request=call, tracking_id="SMS_5", history_id="9", first_id=100, mono=MONO, wall=WALL, scale=scale)
    return list(deliveries(fate, taken))


def read(delivery: Delivery) -> Notification:
    """The body as the receiver reads it."""
    said = decode_postback(delivery.body)
    assert isinstance(said, Notification), said
    return said


@given(st.sampled_from(FORMS), st.integers(0, 255), st.integers(0, 2**32))
def test_a_reader_finds_in_the_body_what_the_ledger_says(form: Form, status: int, seed: int) -> None:
    """Claim, detail, TRACKINGID and TO of every notice in every form are what the ledger has for it."""
    for delivery in made(Profile(form=form, receipts={status: 1.0}, submit_failed=0.2), seed):
        said, entry = read(delivery), delivery.entry
        assert (said.form, said.claim, said.tracking_id, said.to) == (form, entry.claim, "SMS_5", "15551234888")
        if entry.claim in {"undelivered", "submit_failed"}:
            assert said.detail == entry.detail


@given(st.sampled_from(FORMS), st.integers(0, 2**32))
def test_the_provider_time_is_the_ledgers(form: Form, seed: int) -> None:
    """What the reader takes for the provider's time is `created`, to the microsecond."""
    for delivery in made(Profile(form=form, shuffle=0.5, late=0.5), seed):
        assert read(delivery).provider_time == datetime.fromtimestamp(delivery.entry.created, UTC)


@pytest.mark.parametrize("form", FORMS)
def test_created_rises_even_if_no_time_passes(form: Form) -> None:
    """At a time scale of 0 the notices of a message still have different times, so that first and last are defined."""
    created = [delivery.entry.created for delivery in made(Profile(form=form, conflict=1), scale=0)]
    assert len(created) == 3
    assert created == sorted(set(created))


def test_a_repeat_is_the_same_bytes() -> None:
    """A repeated postback has the body, and so the event id, of the first."""
    sent, receipt, sent_again, receipt_again = made(Profile(repeat=1))
    assert (sent.body, receipt.body) == (sent_again.body, receipt_again.body)
    assert sent.entry.body_id == sent_again.entry.body_id == body_id(sent.body)
    assert sent.body != receipt.body


def test_the_page_shows_two_notifications_with_one_timestamp() -> None:
    """On the page both notices share TIMESTAMP and code; the receipt has STATUS, lower-case names and blanks."""
    sent, receipt = made(Profile())
    assert read(sent).provider_timestamp == read(receipt).provider_timestamp
    assert (read(sent).code, read(receipt).code) == ("N201", "N201")
    assert b' ID="100" CREATED="' in sent.body
    assert b' id=" 101" created=" ' in receipt.body
    assert b'<STATUS PROTOCOL="4" STATUS="0"/>' in receipt.body


def test_the_scale_shortens_the_providers_delays() -> None:
    """A hundredth of the time scale is a hundredth of the delay, and nothing else changes."""
    slow, fast = made(Profile(latency_ms=(0, 0))), made(Profile(latency_ms=(0, 0)), scale=0.01)
    for one, other in zip(slow, fast, strict=True):
        assert other.entry.due - MONO == pytest.approx((one.entry.due - MONO) / 100)


def test_noise_is_what_it_says() -> None:
    """A stray has another TRACKINGID, a foreign one another origin, and a garbled one cannot be read."""
    noise = {one.entry.why: one for one in made(Profile(stray=1, foreign=1, garbled=1))}
    assert read(noise["stray"]).tracking_id == "STRAY_SMS_5" == noise["stray"].entry.tracking_id
    assert read(noise["foreign"]).origin == "MMS_MT"
    assert read(noise["foreign"]).claim is None
    assert isinstance(decode_postback(noise["garbled"].body), Undecodable)


@given(st.integers(0, 2**32))
def test_every_body_of_a_hostile_run_has_its_own_number(seed: int) -> None:
    """Postbacks are numbered one after the other, whatever they are."""
    calm_answers = msgspec.structs.replace(HOSTILE, errors={}, misbehave={}, stray=0.5)
    numbers = [delivery.entry.postback for delivery in made(calm_answers, seed)]
    assert numbers == list(range(100, 100 + len(numbers)))


def test_bodies_are_not_shown() -> None:
    """`repr` of a delivery has no body in it."""
    assert "NOTIFICATION" not in repr(made(Profile())[0])
