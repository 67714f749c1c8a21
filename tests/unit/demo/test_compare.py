from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sendledger.demo.compare import Compared, Numbers, compare, document, ours, theirs
from sendledger.simulator.entries import Entry, Postback, Started, Submission, Try, to_line
from sendledger.simulator.ledger_reader import Truth, read_ledger
from sendledger_schemas.states import BUCKETS

REF = "70001"
CLOCKS: dict[str, Any] = {"mono": 1.0, "wall": 1.0}


def call(seq: int, to: str, outcome: str = "accepted", *, code: str | None = None, ref: str = REF) -> Submission:
    """One call in the ledger."""
    return Submission(
        **CLOCKS,
        seq=seq,
        n=1,
        to=to,
        sender="60856",
        campaign_ref=ref,
        operator_id=None,
        text_sha256="t" + to,
        method="POST",
        path="/",
        outcome=outcome,  # type: ignore[arg-type]
        answer="success" if outcome == "accepted" else "failure",
        code=code,
        tracking_id=f"SMS_{seq}",
    )


def post(number: int, to: str, claim: str, tries: Iterable[int | None] = (200,), *, why: str = "notice") -> list[Entry]:
    """One postback and how its deliveries ended."""
    postback = Postback(
        **CLOCKS,
        postback=number,
        tracking_id="SMS",
        to=to,
        why=why,  # type: ignore[arg-type]
        claim=claim,  # type: ignore[arg-type]
        detail="failed" if claim == "undelivered" else None,
        status=None,
        form="page",
        body_id=f"b{number}",
        created=float(number),
        due=1.0,
        early=False,
    )
    ends = [Try(**CLOCKS, postback=number, attempt=n, http_status=status, error=None) for n, status in enumerate(tries)]
    return [postback, *ends]


LEDGER: list[Entry] = [
    Started(**CLOCKS, seed=1, profile={}),
    call(1, "100", "throttled", code="E120"),
    call(2, "100"),
    *post(1, "100", "sent"),
    *post(2, "100", "delivered"),
    call(3, "200", "rejected", code="E110"),
    call(4, "300"),
    *post(3, "300", "undelivered", (None, 200)),
    call(5, "400"),
    call(6, "500"),
    *post(4, "500", "sent"),
    *post(5, "500", "sent", why="stray"),
]
NUMBERS: Numbers = {
    "requested": 5,
    **dict.fromkeys(map(str, BUCKETS), 0),
    "delivered": 1,
    "rejected": 1,
    "undelivered": 1,
    "accepted": 1,
    "sent": 1,
    "error E110": 1,
    "detail failed": 1,
    "conflicted": 0,
    "orphans": 1,
    "duplicates": 0,
    "sent twice": 0,
}


def truth(directory: Path, entries: Iterable[Entry] = tuple(LEDGER)) -> Truth:
    """The ledger with these lines, as it is read from a file."""
    file = directory / "ledger.jsonl"
    file.write_bytes(b"".join(map(to_line, entries)))
    return read_ledger(file)


def test_the_ledger_gives_the_same_numbers_as_the_program(tmp_path: Path) -> None:
    """Every number that the API shows has its counterpart in the ledger, under the same name."""
    assert theirs(truth(tmp_path), REF) == NUMBERS


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_each_number_counts(tmp_path: Path, name: str) -> None:
    """A number that is wrong by one, whichever it is, is a disagreement and is named."""
    wrong = {**NUMBERS, name: NUMBERS[name] + 2}
    compared = compare("c", wrong, truth(tmp_path), REF, ())
    assert not compared.agrees
    assert compared.differing == [name]


def test_a_number_that_only_one_side_has_counts(tmp_path: Path) -> None:
    """An error code or detail that the other side never saw is a disagreement, not an omission."""
    assert compare("c", {**NUMBERS, "error E999": 1}, truth(tmp_path), REF, ()).differing == ["error E999"]
    less = {name: number for name, number in NUMBERS.items() if name != "detail failed"}
    assert compare("c", less, truth(tmp_path), REF, ()).differing == ["detail failed"]


def test_another_campaigns_messages_do_not_count(tmp_path: Path) -> None:
    """The ledger's campaigns are told apart by CAMPAIGNREF."""
    assert theirs(truth(tmp_path, [*LEDGER, call(9, "900", ref="70002")]), REF) == NUMBERS


def test_a_doubt_is_believed_only_where_nothing_settled_it(tmp_path: Path) -> None:
    """A message that the program shows in doubt counts so in the ledger, unless a confirmed notice knows better."""
    found = theirs(truth(tmp_path), REF, in_doubt=["200", "400", "100"])
    assert found["in_doubt"] == 2
    assert found["accepted"] == found["rejected"] == 0
    assert "error E110" not in found
    assert found["delivered"] == 1


def test_a_doubt_about_a_call_that_never_came(tmp_path: Path) -> None:
    """A claim whose call never reached the provider is in doubt on both sides."""
    found = theirs(truth(tmp_path), REF, in_doubt=["999"])
    assert found["in_doubt"] == 1
    assert found["requested"] == 6


def test_a_message_sent_twice_is_seen(tmp_path: Path) -> None:
    """Two accepted calls for one message are a disagreement, whatever else is right."""
    found = theirs(truth(tmp_path, [*LEDGER, call(10, "400")]), REF)
    assert found["sent twice"] == 1


def test_duplicates_between_what_is_possible_are_left_out(tmp_path: Path) -> None:
    """A try without an answer may have arrived: one duplicate more than confirmed is possible, two are wrong."""
    one, two = ({**NUMBERS, "duplicates": number} for number in (1, 2))
    possible = compare("c", one, truth(tmp_path), REF, ())
    assert possible.agrees
    assert "duplicates" not in possible.ours
    assert "duplicates" not in possible.ledger
    assert compare("c", two, truth(tmp_path), REF, ()).differing == ["duplicates"]


def test_an_orphan_counts_in_each_campaign_of_its_recipient(tmp_path: Path) -> None:
    """A postback that nobody was told of has no campaign: it counts where its recipient has messages."""
    both = truth(tmp_path, [*LEDGER, replace_to(call(11, "500", ref="70002"), "other text")])
    assert theirs(both, REF)["orphans"] == theirs(both, "70002")["orphans"] == 1


def replace_to(submission: Submission, text: str) -> Submission:
    """The same call with another text."""
    fields = {name: getattr(submission, name) for name in submission.__struct_fields__}
    return Submission(**{**fields, "text_sha256": text})


def test_ours_takes_what_the_api_shows() -> None:
    """Counts, codes, details and quality of the API's answer, under the names of the comparison."""
    answer = {
        "counts": {"requested": 3, **dict.fromkeys(map(str, BUCKETS), 0), "sent": 3, "unknown": 0},
        "quality": {"duplicates": 1, "orphans": 2, "conflicted": 3, "late": 4},
        "error_codes": {"E110": 5},
        "details": {"failed": 6},
    }
    found = ours(answer)
    assert found["sent"] == found["requested"] == 3
    assert (found["duplicates"], found["orphans"], found["conflicted"]) == (1, 2, 3)
    assert found["error E110"] == 5
    assert found["detail failed"] == 6


def test_the_document_agrees_only_if_all_campaigns_do() -> None:
    """`agrees` is about everything; each campaign has both its columns."""
    good = Compared("a", {"requested": 1}, {"requested": 1})
    bad = replace(good, campaign_id="b", ours={"requested": 2})
    assert document([good]) == {
        "agrees": True,
        "campaigns": {"a": {"ours": {"requested": 1}, "ledger": {"requested": 1}}},
    }
    assert document([good, bad])["agrees"] is False
