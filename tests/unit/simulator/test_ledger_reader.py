from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sendledger.simulator.entries import Entry, Postback, Started, Submission, Switched, Try, Undelivered, to_line
from sendledger.simulator.ledger_reader import Truth, read_ledger
from sendledger.simulator.truth import Message
from tests.support.simulation import TO

START = Started(mono=0, wall=0, seed=1, profile={})


def call(outcome: str = "accepted", **over: Any) -> Submission:
    """A submission's line."""
    given: dict[str, Any] = {
        "mono": 1,
        "wall": 1,
        "seq": 1,
        "n": 1,
        "to": TO,
        "sender": "60856",
        "campaign_ref": "7",
        "operator_id": None,
        "text_sha256": "hello",
        "method": "POST",
        "path": "/",
        "outcome": outcome,
        "answer": "success" if outcome == "accepted" else "failure",
    }
    return Submission(**(given | over))


def post(number: int, claim: str | None = "sent", **over: Any) -> Postback:
    """A postback's line."""
    given: dict[str, Any] = {
        "mono": 1,
        "wall": 1,
        "postback": number,
        "tracking_id": "SMS_1",
        "to": TO,
        "why": "notice",
        "claim": claim,
        "detail": None,
        "status": None,
        "form": "page",
        "body_id": f"body{number}",
        "created": float(number),
        "due": 1.0,
        "early": False,
    }
    return Postback(**(given | over))


def tried(number: int, status: int | None = 200) -> Try:
    """One delivery's line."""
    return Try(mono=2, wall=2, postback=number, attempt=1, http_status=status, error=None if status else "timeout")


def truth_of(tmp_path: Path, *entries: Entry) -> Truth:
    """The truth of a ledger with these lines."""
    path = tmp_path / "ledger"
    path.write_bytes(b"".join(map(to_line, (START, *entries))))
    return read_ledger(path)


def only(truth: Truth) -> Message:
    """The one message of a truth."""
    (message,) = truth.messages
    return message


@pytest.mark.parametrize(
    ("entries", "bucket"),
    [
        ([call("throttled", code="E120")], "queued"),
        ([call("throttled", code="E120"), call("rejected", code="E110")], "rejected"),
        ([call("dropped", answer="reset_before")], "in_doubt"),
        ([call(answer="hang_after")], "in_doubt"),
        ([call()], "accepted"),
        ([call(), post(1)], "accepted"),
        ([call(), post(1), tried(1, 503)], "accepted"),
        ([call(), post(1), tried(1)], "sent"),
        ([call(), post(1, "trying"), tried(1)], "sent"),
        ([call(answer="hang_after"), post(1), tried(1)], "sent"),
        ([call(), post(1), post(2, "delivered"), tried(1)], "sent"),
        ([call(), post(1), post(2, "delivered"), tried(2)], "delivered"),
        ([call(), post(1), post(2, "undelivered"), tried(2)], "undelivered"),
        ([call(), post(1, "submit_failed"), tried(1)], "undelivered"),
        ([call(), post(1, why="stray"), tried(1)], "accepted"),
        ([call(), post(1, None, why="foreign"), tried(1)], "accepted"),
        ([call(), post(1, None, why="garbled"), tried(1)], "accepted"),
    ],
)
def test_the_bucket_of_a_message(tmp_path: Path, entries: list[Entry], bucket: str) -> None:
    """Only what somebody confirmed with a 200 counts, final before sent before the answer to the call."""
    assert only(truth_of(tmp_path, *entries)).bucket == bucket


def test_the_first_final_notice_by_the_providers_time_counts(tmp_path: Path) -> None:
    """Of two that contradict each other the earlier one settles it, whichever was written or confirmed first."""
    entries = [post(2, "delivered", created=9.0), post(3, "undelivered", created=5.0, detail="tp_0x46")]
    message = only(truth_of(tmp_path, call(), *entries, tried(2), tried(3)))
    assert (message.bucket, message.conflicted) == ("undelivered", True)
    assert message.final == entries[1]


def test_calls_of_one_message_belong_together(tmp_path: Path) -> None:
    """The same TO, CAMPAIGNREF and text are one message; another text, campaign or number is another one."""
    others = [call(text_sha256="bye"), call(campaign_ref="8"), call(campaign_ref=None), call(to="15550000001")]
    truth = truth_of(tmp_path, call("throttled", code="E120"), call(), *others)
    assert len(truth.messages) == 5
    assert truth.campaign_refs == ["7", "8", None]
    assert [len(message.submissions) for message in truth.of(TO, "7")] == [2, 1]


def test_two_accepted_calls_are_a_message_sent_twice(tmp_path: Path) -> None:
    """What must never happen is seen."""
    truth = truth_of(tmp_path, call(), call(n=2, tracking_id="SMS_2"), call(to="15550000001"))
    assert truth.summary("7").double == 1
    assert len(truth.of(TO, "7")[0].accepted) == 2


def test_the_summary_counts(tmp_path: Path) -> None:
    """Each number of a campaign's summary, once."""
    truth = truth_of(
        tmp_path,
        call(to="1", tracking_id="SMS_1"),
        post(1),
        post(2, "undelivered", detail="tp_0x46"),
        post(3, why="repeat", body_id="body1"),
        post(4, why="stray"),
        call("rejected", to="2", code="E110"),
        call("throttled", to="3", code="E120"),
        call("dropped", to="4", answer="html"),
        call(to="5"),
        post(5),
        call(to="6", campaign_ref="8"),
        *(tried(number) for number in (1, 2, 3, 4)),
        tried(5, None),
        Undelivered(mono=9, wall=9, postback=5, tries=1, reason="given_up"),
        Switched(mono=9, wall=9, profile={}),
    )
    summary = truth.summary("7")
    assert (summary.messages, summary.submissions, summary.accepted) == (5, 5, 2)
    assert (summary.throttled, summary.dropped, summary.rejected) == (1, 1, {"E110": 1})
    assert summary.buckets == {"undelivered": 1, "rejected": 1, "queued": 1, "in_doubt": 1, "accepted": 1}
    assert summary.details == {"tp_0x46": 1}
    assert (summary.never_notified, summary.double, summary.conflicted) == (1, 0, 0)
    assert (summary.repeats, summary.orphans, summary.uncertain) == (1, 1, 1)
    assert sum(summary.buckets.values()) == summary.messages


def test_an_answer_that_was_not_read_is_in_doubt_until_a_notice_settles_it(tmp_path: Path) -> None:
    """A sender that was killed cannot know of the answer; a confirmed notice tells it all the same."""
    truth = truth_of(tmp_path, call(to="1"), call(to="2"), post(1), tried(1), call("rejected", to="3", code="E110"))
    assert truth.summary("7").buckets == {"accepted": 1, "sent": 1, "rejected": 1}
    assert truth.summary("7", in_doubt={"1", "2", "3"}).buckets == {"in_doubt": 2, "sent": 1}


def test_a_postback_that_was_confirmed_late_is_certain(tmp_path: Path) -> None:
    """A failed first try followed by a 200 leaves no uncertainty; no try at all leaves none either."""
    truth = truth_of(tmp_path, call(), post(1), post(2, "delivered"), tried(1, None), tried(1))
    assert not only(truth).uncertain
    assert only(truth).postbacks[0].arrivals == (1, 2)


def test_runs_in_one_file_are_kept_apart(tmp_path: Path) -> None:
    """A second run begins its TRACKINGIDs and postbacks anew, and does not mix with the first."""
    truth = truth_of(tmp_path, call(), post(1), tried(1), START, call(), post(1, "delivered"))
    assert [message.bucket for message in truth.messages] == ["sent", "accepted"]


def test_torn_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    """A crash of the simulator costs the torn line and no other."""
    path = tmp_path / "ledger"
    path.write_bytes(to_line(START) + to_line(call()) + b'{"kind":"tr\n' + to_line(call(to="2")) + b'{"ki')
    truth = read_ledger(path)
    assert (truth.torn, len(truth.messages)) == (2, 2)


def test_calls_that_could_not_be_read_belong_to_no_message(tmp_path: Path) -> None:
    """A call without TO or text is kept, but not as a message."""
    truth = truth_of(tmp_path, call("rejected", to=None, text_sha256=None, code="E108"))
    assert (len(truth.messages), [line.code for line in truth.anonymous]) == (0, ["E108"])


def test_numbers_are_not_shown(tmp_path: Path) -> None:
    """`repr` of a truth and of a message has no phone number in it: assertion messages are logs, too."""
    truth = truth_of(tmp_path, call(), post(1))
    assert TO not in repr(truth) + repr(only(truth)) + repr(only(truth).postbacks)
