"""What verify keeps on disk, what it can prove of a cut log, and what it tells of itself."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sendledger.cli import verifying
from sendledger.domain.plain import Seen
from sendledger.domain.published import Published
from sendledger.domain.verification import Difference, Report, Unproved
from sendledger.edges.verify.proof import Proof
from sendledger.edges.verify.result import LastVerification, keep_result, last_result
from sendledger.edges.verify.snapshot import Snapshot
from sendledger.edges.verify.spill import Spill
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import POSTBACKS, SEND_REQUESTS
from tests.support import story

NUMBER = "15551234888"


def seen() -> list[Seen]:
    """Facts of forty recipients."""
    log = story.Log()
    for number in range(40):
        log.add(story.requested(f"m{number}", f"r{number}", to=NUMBER), number)
        log.add(story.started(f"m{number}", f"r{number}"), number)
    return [Seen(topic, offset, offset, fact) for topic, offset, fact in log.in_order()]


@pytest.mark.parametrize("memory", [10_000_000, 500, 0])
def test_what_is_put_aside_comes_back_by_recipient(memory: int) -> None:
    """In memory, on disk, or some of each: every recipient's facts in one bucket, in their order, the last states."""
    with Spill(80, memory=memory, bucket=20) as spill:
        for one in seen():
            spill.fact(one)
        for text in (b"old", b"new"):
            spill.state("r7", "m7", text)
        buckets = list(spill.buckets())
    assert len(buckets) == 5
    facts = {recipient: found for bucket, _ in buckets for recipient, found in bucket.items()}
    assert sum(len(bucket) for bucket, _ in buckets) == len(facts) == 40
    assert [(one.topic, one.offset) for one in facts["r9"]] == [(0, 9), (1, 9)]
    assert [states for _, states in buckets if states] == [{"r7": {"m7": b"new"}}]


def test_no_number_is_put_aside_and_nobody_else_may_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The files hold the last three digits at most, in a directory of mode 0700 that is gone afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spill(80, memory=0) as spill:
        for one in seen():
            spill.fact(one)
        (directory,) = tmp_path.iterdir()
        assert directory.stat().st_mode & 0o777 == 0o700
        content = b"".join(file.read_bytes() for file in directory.iterdir())
    assert b"m39" in content
    assert NUMBER[:-3].encode() not in content
    assert list(tmp_path.iterdir()) == []


class Known:
    """Of a snapshot what a proof asks for."""

    def __init__(self, registered: dict[str, int], *partials: dict[str, Any]) -> None:
        self.registered, self.published = registered, Published({})
        for number, partial in enumerate(partials):
            record = {"partition": 0, "slot": 0, "counters": {}, "version": 0, "fold_version": FOLD_VERSION}
            whole = {**record, "topic_ids": {}, "to": {}, **partial}
            self.published.partial(str(number).encode(), msgspec.json.encode(whole), 0)


def proof(known: Known, firsts: tuple[int, int, int, int, int], oldest: dict[str, int], days: float | None) -> Proof:
    """Of partition 0."""
    return Proof(0, firsts, oldest, cast("Snapshot", known), days)


CUT = (7, 0, 0, 0, 0)


def test_a_log_that_begins_at_its_beginning_proves_everything() -> None:
    """Registered or not, with a partial or without."""
    whole = proof(Known({}), (0, 0, 0, 0, 0), {}, None)
    assert whole.proved("c")
    assert whole.proved("_none")


def test_a_cut_log_proves_what_was_registered_after_the_cut() -> None:
    """The first record that is left is younger than all that is gone, and older than the campaign."""
    cut = proof(Known({"old": 99, "new": 100}), CUT, {SEND_REQUESTS: 100, POSTBACKS: 5}, None)
    assert [cut.proved(campaign) for campaign in ("old", "new", "unknown", "_none")] == [False, True, False, False]


def test_a_cut_log_proves_numbers_that_begin_where_it_begins() -> None:
    """A fold that began anew on the cut log counted the same facts; an archived campaign stays unproved."""
    begins = {"from": dict.fromkeys(("sms.send-attempts.v1", "sms.api-responses.v1", POSTBACKS, "sms.decisions.v1"), 0)}
    begins["from"][SEND_REQUESTS] = 7
    known = Known({}, {"campaign_id": "c", **begins}, {"campaign_id": "kept", **begins, "archived": True})
    assert proof(known, CUT, {}, None).proved("c")
    assert not proof(known, CUT, {}, None).proved("kept")


def test_a_topic_that_is_cut_to_its_end_is_as_old_as_retention_says() -> None:
    """Without a record left only the setting tells how old the deleted ones are; without one nothing is proved."""
    now = datetime.now(UTC)
    registered = {"new": int(now.timestamp() * 1000), "old": int((now - timedelta(days=9)).timestamp() * 1000)}
    assert not proof(Known(registered), CUT, {}, None).proved("new")
    week = proof(Known(registered), CUT, {}, 7.0)
    assert week.proved("new")
    assert not week.proved("old")


def test_the_last_run_is_told_as_metrics(tmp_path: Path) -> None:
    """Before the first run there is no sample; then the divergence and the time of the last whole run."""
    registry = CollectorRegistry()
    registry.register(LastVerification(tmp_path))
    assert generate_latest(registry) == b""
    keep_result(tmp_path, divergence=3, unproved=1, seconds=0.5)
    told = generate_latest(registry).decode()
    assert "sendledger_verify_divergence 3.0" in told
    assert "sendledger_verify_last_run_timestamp_seconds" in told
    (tmp_path / "verify.json").write_text("{", encoding="utf-8")
    assert last_result(tmp_path) is None


def report() -> Report:
    """Two differences, and a campaign that cannot be proved."""
    partial = Difference("partial", "wrong", "spring", "b:delivered", 7, 6, 3, None, ("m1", "m2"), 4)
    message = Difference("message", "behind", "spring", "version", None, 9, 3, None, ("m1",))
    unproved = [Unproved("winter", (0, 3))]
    under = {"spring": {"b:delivered": (7, 8)}}
    return Report(2, 120, 40, 200, [partial, message], unproved, under)


def test_a_report_in_words_names_numbers_and_messages() -> None:
    """Each difference in a line with both numbers, the messages below; then what cannot be proved, and the sum."""
    assert verifying.lines(report(), 1.0) == [
        "spring: partial, partition 3: b:delivered: 7 published, 6 in the log",
        "  messages: m1, m2 and 4 more",
        "spring: message m1: version: nothing published, 9 in the log (behind the log)",
        "winter: cannot be proved any more, the log was cut (partitions 0, 3)",
        "spring: b:delivered: 7 published, 8 under the policy",
        "verify: 120 numbers of 2 campaigns and 40 message states: 2 differences (200 records in 1.0 s)",
    ]


def test_a_report_as_json_says_the_same() -> None:
    """Machines get every difference, and the counts."""
    document = json.loads(json.dumps(verifying.document(report(), 1.0)))
    assert [d["name"] for d in document["differences"]] == ["b:delivered", "version"]
    assert document["differences"][0]["messages"] == ["m1", "m2"]
    assert document["unproved"] == [{"campaign_id": "winter", "partitions": [0, 3]}]
    assert document["policy"] == {"spring": {"b:delivered": {"published": 7, "policy": 8}}}
    assert (document["campaigns"], document["numbers"], document["messages"]) == (2, 120, 40)
