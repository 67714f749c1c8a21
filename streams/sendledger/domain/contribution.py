"""What one message adds to its campaign's numbers: a pure function of its facts, as a bag of counter names.

A partial is the sum of these bags, so a partial changes by `contribution(after) − contribution(before)`, and numbers
are a function of the set of states, never `+= 1` a record (DESIGN §5). Names, each counting messages unless said:

    requested, b:<bucket>           the buckets; `requested` is their sum (P6)
    e:<code>  t:<code>  q:<reason>  rejected by code; attempts throttled by code; in doubt by reason
    d:<detail>                      undelivered by detail
    o:<operator>:<bucket>           by carrier
    l:<stage>:<n>                   latency histogram, bin n (see `latency_bin`)
    accepted_ever, carrier, receipt accepted at any time; sent to the carrier; with a final receipt
    s:<minute>                      queued, and not to be sent before that minute (epoch minutes)
    conflicted, late, repeat        two different finals; receipt after the deadline; postbacks seen again
    <day>/m:<minute>:<what>         series: accepted, delivered, failed; `h:<hour>` after the message's first 6 hours
    <day>/open:<hour>  <day>/carrier:<hour>  <day>/delivered:<hour>   by the hour of sending (epoch hours)
    y:<policy>:<+ or ->:<counter>   what would be more or less under another policy (domain/policies.py)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import lru_cache

from sendledger.domain.policies import DEFAULT, OTHERS, dated, differences
from sendledger.domain.postbacks import Notice, conflicted, detail_of, means
from sendledger.domain.settled import Facts, Policy, bucket, counting

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY_HOURS = 24

RECEIPT_DEADLINE = 72 * HOUR
FINE_SERIES = 6 * HOUR

STAGES = ("queue_wait", "api", "carrier", "handset", "end_to_end", "receipt_lag")
_FINEST = 1_000  # µs: everything up to a millisecond is bin 0
_BINS_PER_OCTAVE = 4


_UPPER_ENDS = [_FINEST * 2 ** (number / _BINS_PER_OCTAVE) for number in range(40 * _BINS_PER_OCTAVE)]


def latency_bin(duration: int) -> int:
    """µs → bin of the histogram: 4 bins an octave above 1 ms (each ± 9 %); negative durations (clocks) are 0."""
    return bisect_left(_UPPER_ENDS, duration)


def bin_seconds(number: int) -> float:
    """The upper end of a bin, in seconds."""
    return float(_FINEST * 2 ** (number / _BINS_PER_OCTAVE) / SECOND)


@lru_cache(maxsize=4096)
def _day(hour: int) -> str:
    days = hour // DAY_HOURS
    # Civil date from days since 1970 (proleptic Gregorian; era arithmetic): the core has no clock to ask.
    z = days + 719468
    era, doe = divmod(z, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9  # noqa: PLR2004 — March is month 0 of this calendar
    year = yoe + era * 400 + (month <= 2)  # noqa: PLR2004 — January and February belong to the year before
    return f"{year:04d}-{month:02d}-{doy - (153 * mp + 2) // 5 + 1:02d}"


@lru_cache(maxsize=65536)
def _minute_counter(minute: int, what: str) -> str:
    return f"{_day(minute // 60)}/m:{minute}:{what}"


@lru_cache(maxsize=4096)
def _hour_counter(hour: int, what: str) -> str:
    return f"{_day(hour)}/{what}:{hour}"


@lru_cache(maxsize=4096)
def _coarse_counter(hour: int, what: str) -> str:
    return f"{_day(hour)}/h:{hour}:{what}"


_LATENCY_COUNTERS = {stage: [f"l:{stage}:{number}" for number in range(len(_UPPER_ENDS) + 1)] for stage in STAGES}


@lru_cache(maxsize=4096)
def _named(prefix: str, name: str) -> str:
    return f"{prefix}:{name}"


@lru_cache(maxsize=4096)
def _carried(operator_id: str, where: str) -> str:
    return f"o:{operator_id}:{where}"


def day_at(at: int) -> str:
    """µs → YYYY-MM-DD, UTC."""
    return _day(at // HOUR)


def day_of(counter: str) -> str | None:
    """The day of a series counter; None for one of the campaign's main record."""
    return counter[:10] if dated(counter) else None


def _series(requested_at: int, at: int, what: str) -> str:
    if at - requested_at < FINE_SERIES:
        return _minute_counter(at // MINUTE, what)
    return _coarse_counter(at // HOUR, what)


def _latency(stage: str, start: int, end: int) -> str:
    return _LATENCY_COUNTERS[stage][bisect_left(_UPPER_ENDS, end - start)]


def contribution(facts: Facts, policy: Policy = "first-final") -> tuple[str, ...]:
    """The counters to which this message adds one each (a name may stand more than once). Without a request: none."""
    message = facts.message
    request = message.request
    if request is None:
        return ()
    where = bucket(facts, policy)
    bag = ["requested", _named("b", where)]
    if facts.operator_id is not None:
        bag.append(_carried(facts.operator_id, where))
    if facts.outline.attempts:
        _calls(facts, request.at, bag)
    if facts.notices:
        _receipts(facts, request.at, policy, bag)
    elif where == "accepted":
        bag.append("accepted_ever")
        bag.append(_hour_counter(facts.outline.began // HOUR, "open"))
    elif where == "in_doubt":
        bag.append(_named("q", facts.outline.doubt or "other"))
    elif where == "queued" and request.not_before is not None:
        bag.append(_named("s", str(request.not_before // MINUTE)))
    if facts.repeats:
        bag.extend(["repeat"] * facts.repeats)
    if len(facts.final) > 1 and policy == DEFAULT:
        bag.extend(_otherwise(facts, bag))
    return tuple(bag)


def _otherwise(facts: Facts, bag: list[str]) -> list[str]:
    """What would be different under the policies by which another of the final claims counts."""
    ours, names = Counter(bag), list[str]()
    for policy in OTHERS:
        if counting(facts.final, policy) is not facts.final[0]:
            theirs = Counter(contribution(facts, policy))
            names.extend(differences(policy, (theirs - ours).elements(), (ours - theirs).elements()))
    return names


def _calls(facts: Facts, requested_at: int, bag: list[str]) -> None:
    brief = facts.outline
    if brief.first_claim is not None:
        bag.append(_latency("queue_wait", requested_at, brief.first_claim))
    for claimed, response in brief.calls:
        kind = response.kind
        if kind == "throttled":
            bag.append(_named("t", response.code or "other"))
        elif kind != "not_sent":
            if claimed is not None:
                bag.append(_latency("api", claimed, response.at))
            if kind == "accepted":
                bag.append(_series(requested_at, response.at, "accepted"))
            else:
                bag.append(_named("e", response.code or "other"))
                bag.append(_series(requested_at, response.at, "failed"))


def _receipts(facts: Facts, requested_at: int, policy: Policy, bag: list[str]) -> None:
    brief, notices, final = facts.outline, facts.notices, facts.final
    hour = brief.began // HOUR
    sent = facts.sent
    bag.append("accepted_ever")
    if sent is not None or final:
        bag.append("carrier")
        bag.append(_hour_counter(hour, "carrier"))
    if sent is not None and brief.accepted is not None:
        bag.append(_latency("carrier", brief.accepted.at, sent.received_at))
    bag += [_latency("receipt_lag", n.provider_at, n.received_at) for n in notices if n.provider_at is not None]
    settled = counting(final, policy)
    if settled is None:
        bag.append(_hour_counter(hour, "open"))
        return
    bag.append("receipt")
    _settled(settled, sent, requested_at, bag)
    if means(settled) == "delivered":
        bag.append(_hour_counter(hour, "delivered"))
    if conflicted(final):
        bag.append("conflicted")
    if final[0].received_at - brief.began > RECEIPT_DEADLINE:
        bag.append("late")


def _settled(settled: Notice, sent: Notice | None, requested_at: int, bag: list[str]) -> None:
    delivered = means(settled) == "delivered"
    if not delivered:
        bag.append(_named("d", detail_of(settled)))
    bag.append(_series(requested_at, settled.received_at, "delivered" if delivered else "failed"))
    bag.append(_latency("end_to_end", requested_at, settled.received_at))
    if sent is not None and sent.provider_at is not None and settled.provider_at is not None:
        bag.append(_latency("handset", sent.provider_at, settled.provider_at))
