"""What one message counts, for the oracle: written from DESIGN §4 and §5, and from no code of `sendledger.domain`."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sendledger.domain import facts as f

if TYPE_CHECKING:
    from tests.support.oracle import Life

FINAL = {"delivered": "delivered", "undelivered": "undelivered", "submit_failed": "undelivered"}
KINDS: dict[Any, str] = {
    f.Accepted: "accepted",
    f.Rejected: "rejected",
    f.Throttled: "throttled",
    f.NotSent: "not_sent",
}


def policies(finals: list[Any]) -> dict[str, Any]:
    """By policy, the claim that counts; the first one where the policy knows no better."""
    if not finals:
        return {}
    good = [n for n in finals if FINAL[n.data.claim] == "delivered"]
    bad = [n for n in finals if FINAL[n.data.claim] != "delivered"]
    return {"last-final": finals[-1], "delivered-wins": (good or finals)[0], "failure-wins": (bad or finals)[0]}


def marked(mark: str, name: str) -> str:
    """The counter of a day keeps its day in front."""
    day, slash, rest = name.partition("/")
    return f"{day}/{mark}{rest}" if slash and day[:2] == "20" else mark + name


def bucket(life: Life, notices: list[Any], counts: list[Any]) -> str:
    """Where the message stands, by the first line of the table that holds."""
    if counts:
        return FINAL[counts[0].data.claim]
    if notices:
        return "sent"
    ends = [life.end(number) for number in life.numbers]
    for end, bucket in (("accepted", "accepted"), ("rejected", "rejected"), ("sent", "accepted"),
                        ("withhold", "cancelled"), ("in_doubt", "in_doubt"), ("open", "attempting")):  # fmt: skip
        if end in ends:
            return bucket
    withheld = life.first(f.Withheld)
    return "queued" if withheld is None else str(withheld.fact.data.reason)


def attempts(life: Life) -> list[str]:
    """What its attempts count."""
    request = life.first(f.Requested)
    assert request is not None
    names = []
    if life.claims:
        names.append(latency("queue_wait", request.fact.time, min(at for _, at in life.claims)))
    claims = dict(life.claims)
    for number in life.numbers:
        answer = life.answer(number)
        kind = "" if answer is None else KINDS[type(answer.fact)]
        if answer is None or kind == "not_sent":
            continue
        if kind == "throttled":
            names.append(f"t:{answer.fact.data.error_code}")
            continue
        if number in claims:
            names.append(latency("api", claims[number], answer.fact.time))
        if kind == "rejected":
            names.append(f"e:{answer.fact.data.error_code}")
        what = "accepted" if kind == "accepted" else "failed"
        names.append(series(request.fact.time, answer.fact.time, what))
    return names


def receipts(life: Life, asked: datetime, notices: list[Any], finals: list[Any], counted: list[Any]) -> list[str]:
    """What its postbacks count."""
    names = ["accepted_ever"]
    names += [latency("receipt_lag", n.data.provider_time, n.data.received_at) for n in notices if n.data.provider_time]
    sent = next((n for n in notices if n.data.claim == "sent"), None)
    accepted = [life.answer(n) for n in life.numbers if life.end(n) == "accepted"]
    if sent and accepted:
        assert accepted[0] is not None
        names.append(latency("carrier", accepted[0].fact.time, sent.data.received_at))
    if sent or finals:
        names += ["carrier", hour("carrier", life.began)]
    if not finals:
        return [*names, hour("open", life.began)]
    counts, delivered = counted[0], counted[0].data.claim == "delivered"
    names += ["receipt", latency("end_to_end", asked, counts.data.received_at)]
    names.append(series(asked, counts.data.received_at, "delivered" if delivered else "failed"))
    if delivered:
        names.append(hour("delivered", life.began))
    else:
        submit_failed = "submit_failed" if counts.data.claim == "submit_failed" else "other"
        names.append(f"d:{counts.data.detail or submit_failed}")
    if sent and sent.data.provider_time and counts.data.provider_time:
        names.append(latency("handset", sent.data.provider_time, counts.data.provider_time))
    if len({FINAL[n.data.claim] for n in finals}) > 1:
        names.append("conflicted")
    if finals[0].data.received_at - life.began > timedelta(hours=72):
        names.append("late")
    return names


def minutes(when: datetime) -> int:
    """Minutes since 1970."""
    return int(when.timestamp() // 60)


def hour(what: str, when: datetime) -> str:
    """By the hour of sending."""
    return f"{when.date().isoformat()}/{what}:{minutes(when) // 60}"


def series(asked: datetime, when: datetime, what: str) -> str:
    """A step of the series: minutes in the first six hours."""
    if when - asked < timedelta(hours=6):
        return f"{when.date().isoformat()}/m:{minutes(when)}:{what}"
    return f"{when.date().isoformat()}/h:{minutes(when) // 60}:{what}"


def latency(stage: str, start: datetime, end: datetime) -> str:
    """Four bins an octave above a millisecond; what took no time, or less, is in bin 0."""
    milliseconds = (end - start) / timedelta(milliseconds=1)
    return f"l:{stage}:{0 if milliseconds <= 1 else math.ceil(4 * math.log2(milliseconds) - 1e-9)}"
