from __future__ import annotations

from typing import Any

import pytest

from sendledger.simulator.desk import Call, Decision, Desk, Rules
from sendledger.simulator.profile import CALM, Misbehaviour, Profile
from sendledger.wire.codes import ERROR_CODES
from sendledger.wire.provider_side import RequestFault
from sendledger.wire.sendsms import Accepted, Failed, SendSms, Throttled, decode_response
from tests.support.simulation import TO, request


def desk(profile: Profile = CALM, **rules: Any) -> Desk:
    """A desk with these rules."""
    return Desk(Rules(**rules), profile, 0.0)


def ask(it: Desk, call: SendSms | RequestFault | None = None, mono: float = 1.0) -> Decision:
    """One call."""
    return it.decide(Call(call or request(), "POST", "/", mono, 1_700_000_000.0))


@pytest.mark.parametrize(
    ("call", "rules", "code"),
    [
        (RequestFault("E108"), {}, "E108"),
        (RequestFault("E102", TO), {}, "E102"),
        (RequestFault("E201"), {}, "E201"),
        (RequestFault("E712", TO), {}, "E712"),
        (request(key="other"), {"api_key": "key"}, "E104"),
        (request("123456"), {}, "E110"),
        (request("1234567890123456"), {}, "E110"),
        (request("01234567890"), {}, "E110"),
        (request(), {"senders": frozenset({"12345"})}, "E111"),
        (SendSms("key", TO, "6 08", "Hello"), {}, "E111"),
        (request(), {"unsupported_prefixes": ("999", "1555")}, "E628"),
        (request(), {"credit": 0}, "E713"),
    ],
)
def test_refusals(call: SendSms | RequestFault, rules: dict[str, Any], code: str) -> None:
    """Each thing that the provider checks is answered with its ERRORCODE and no message is taken."""
    decision = ask(desk(**rules), call)
    assert (decision.submission.outcome, decision.submission.code) == ("rejected", code)
    assert decision.submission.tracking_id is None
    answer = decode_response(decision.body, decision.submission.to or "")
    assert isinstance(answer, Failed)
    assert answer.error_code == code
    assert answer.error_code in ERROR_CODES


def test_the_right_key_from_and_operator_pass() -> None:
    """What the rules allow is taken."""
    it = desk(api_key="key", senders=frozenset({"60856"}), unsupported_prefixes=("999",), credit=1)
    assert ask(it).submission.outcome == "accepted"


def test_tracking_ids_are_handed_out_one_after_the_other() -> None:
    """SMS_1, SMS_2, …: only messages that are taken use one up."""
    it = desk(credit=2)
    calls = [ask(it, one) for one in (request(), request("1"), request("15550000001"), request())]
    assert [call.submission.tracking_id for call in calls] == ["SMS_1", None, "SMS_2", None]
    assert [call.submission.code for call in calls] == [None, "E110", None, "E713"]
    assert [call.submission.seq for call in calls] == [1, 2, 3, 4]
    assert decode_response(calls[2].body, "15550000001") == Accepted("SMS_2")


def test_credit_is_used_up_by_messages_only() -> None:
    """With credit for one message the second gets E713."""
    it = desk(credit=1)
    assert [ask(it).submission.outcome for _ in range(2)] == ["accepted", "rejected"]


def test_the_throttle_refuses_provably_and_does_not_count() -> None:
    """A call beyond the rate gets the throttle code, and its number among the TO's calls is not used up."""
    it = desk(Profile(rate=1, throttle_code="E106"))
    first, second, third = ask(it, mono=1.0), ask(it, mono=1.1), ask(it, mono=2.5)
    assert [call.submission.n for call in (first, second, third)] == [1, 0, 2]
    assert (second.submission.outcome, second.submission.code) == ("throttled", "E106")
    assert decode_response(second.body, TO) == Throttled("E106")


def test_the_fate_does_not_depend_on_the_throttle() -> None:
    """However often a call was throttled before, its fate is the same: runs repeat whatever their timing."""
    profile = Profile(errors={"E110": 0.3, "E120": 0.3})
    free, tight = desk(profile), desk(Profile(errors={"E110": 0.3, "E120": 0.3}, rate=1))
    for number in range(50):
        call = request(f"1555000{number:04}")
        expected = ask(free, call).submission
        refused = ask(tight, call, mono=number + 0.5).submission
        passed = refused if refused.n else ask(tight, call, mono=number + 1.0).submission
        assert (passed.outcome, passed.code, passed.n) == (expected.outcome, expected.code, expected.n)


def test_submissions_are_counted_for_each_message() -> None:
    """`n` counts the calls with the same TO, text and CAMPAIGNREF."""
    it = desk()
    calls = (request(), request(text="Bye"), request(ref="8"), request(ref=None), request(), request("15550000001"))
    assert [ask(it, call).submission.n for call in calls] == [1, 1, 1, 1, 2, 1]


def test_a_switch_holds_from_the_next_call() -> None:
    """After a switch the account is refused; after the next it is not."""
    it = desk()
    it.switch(Profile(errors={"E713": 1}), 1.0)
    assert ask(it).submission.code == "E713"
    it.switch(CALM, 2.0)
    assert ask(it).submission.outcome == "accepted"


def test_a_switch_that_keeps_the_rate_keeps_the_bucket() -> None:
    """Switching something else is no way around the throttle."""
    it = desk(Profile(rate=1))
    assert ask(it).submission.outcome == "accepted"
    it.switch(Profile(rate=1, early=0.5), 1.0)
    assert ask(it).submission.outcome == "throttled"


@pytest.mark.parametrize(
    ("kind", "outcome", "code"),
    [
        (Misbehaviour.HTTP_429, "throttled", "429"),
        (Misbehaviour.UNKNOWN_CODE, "rejected", "E999"),
        (Misbehaviour.HANG_BEFORE, "dropped", None),
        (Misbehaviour.RESET_BEFORE, "dropped", None),
        (Misbehaviour.HANG_AFTER, "accepted", None),
        (Misbehaviour.OTHER_TO, "accepted", None),
    ],
)
def test_misbehaviour_in_the_ledger(kind: Misbehaviour, outcome: str, code: str | None) -> None:
    """The ledger names the misbehaviour, and says whether the provider has the message."""
    decision = ask(desk(Profile(misbehave={kind: 1})))
    line = decision.submission
    assert (line.outcome, line.answer, line.code) == (outcome, kind.value, code)
    assert bool(decision.deliveries) is (outcome == "accepted") is (line.tracking_id is not None)


def test_an_operator_that_the_request_names_is_told_again() -> None:
    """SPID of the request comes back in the postbacks of the flat forms."""
    call = SendSms("key", TO, "60856", "Hello", operator_id="31337", campaign_ref=None)
    decision = ask(desk(Profile(form="1.3")), call)
    assert all(b"<SPID>31337</SPID>" in delivery.body for delivery in decision.deliveries)


def test_postbacks_are_numbered_across_messages() -> None:
    """No two postbacks of a run have one number."""
    it = desk()
    numbers = [delivery.entry.postback for _ in range(3) for delivery in ask(it).deliveries]
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_no_key_in_repr() -> None:
    """The rules and the call do not show the key, the number or the text."""
    shown = repr(Rules(api_key="canary-key")) + repr(Call(request(key="canary-key"), "POST", "/", 0, 0))
    assert "canary-key" not in shown
    assert TO not in shown
