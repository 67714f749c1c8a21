"""Numbers as people read them, from counters only: counts, rates with denominators, percentiles, series (DESIGN §8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sendledger.domain.contribution import HOUR, RECEIPT_DEADLINE, STAGES, bin_seconds
from sendledger_schemas.states import BUCKETS

DEADLINE_HOURS = RECEIPT_DEADLINE // HOUR
MATURE_HOURS = 24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Counters = Mapping[str, int]
Json = dict[str, Any]


@dataclass(frozen=True)
class Numbers:
    """One campaign's counters: `main`, and `series` a day each, as the merge publishes them; `now` says what is old."""

    main: Counters
    series: Mapping[str, Counters]
    orphans: int
    now: datetime

    @property
    def _hour_now(self) -> int:
        return _hour(self.now)

    @cached_property
    def _hours(self) -> dict[str, dict[int, int]]:
        """What is counted by the hour of sending: `open`, `carrier`, `delivered` → epoch hour → messages."""
        found: dict[str, dict[int, int]] = {"open": {}, "carrier": {}, "delivered": {}}
        for counters in self.series.values():
            for name, count in counters.items():
                kind, _, hour = name.partition("/")[2].partition(":")
                if (hours := found.get(kind)) is not None:
                    hours[int(hour)] = hours.get(int(hour), 0) + count
        return found

    def _by_hour(self, what: str, older_than: int) -> int:
        """Messages sent more than `older_than` whole hours ago."""
        before = self._hour_now - older_than
        return sum(count for hour, count in self._hours[what].items() if hour < before)

    def stands_until(self) -> datetime | None:
        """When these numbers become others though nothing happens, as messages grow old; None: never."""
        ages = (("open", -1), ("open", DEADLINE_HOURS), ("carrier", MATURE_HOURS), ("delivered", MATURE_HOURS))
        turns = [hour + age + 1 for what, age in ages for hour in self._hours[what]]
        hour = min((turn for turn in turns if turn > self._hour_now), default=None)
        moments = [] if hour is None else [_EPOCH + timedelta(hours=hour)]
        start = self.next_start()
        return min([*moments, *([] if start is None else [start])], default=None)

    def counts(self) -> Json:
        """`requested`, each bucket, and `unknown`: the open messages that are older than the deadline."""
        buckets: dict[str, int] = {bucket: self.main.get(f"b:{bucket}", 0) for bucket in BUCKETS}
        unknown = self._by_hour("open", DEADLINE_HOURS)
        return {"requested": self.main.get("requested", 0), **buckets, "unknown": unknown}

    def imbalance(self) -> int:
        """`requested` less the sum of the buckets: 0, always (P6)."""
        return imbalance(self.main)

    def quality(self) -> Json:
        """How good the receipts are."""
        names = {"duplicates": "repeat", "conflicted": "conflicted", "late": "late"}
        return {**{name: self.main.get(counter, 0) for name, counter in names.items()}, "orphans": self.orphans}

    def named(self, prefix: str) -> dict[str, int]:
        """The counters `prefix:<name>` by name."""
        return {name[len(prefix) + 1 :]: n for name, n in sorted(self.main.items()) if name.startswith(f"{prefix}:")}

    def by_operator(self) -> dict[str, dict[str, int]]:
        """Counts by carrier: operator → bucket → messages."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for name, count in self.named("o").items():
            operator, _, bucket = name.rpartition(":")
            found[operator][bucket] = count
        return dict(found)

    def latency(self) -> Json:
        """Stage → p50, p95, p99 in seconds (upper end of the histogram's bin, ± 9 %) and count."""
        return {stage: percentiles(self.named(f"l:{stage}")) for stage in STAGES}

    def histograms(self) -> dict[str, list[tuple[float, int]]]:
        """Stage → (upper end in seconds, count) of its bins that are not empty, the quickest first."""
        found: dict[str, list[tuple[float, int]]] = {}
        for stage in STAGES:
            bins = sorted((int(number), count) for number, count in self.named(f"l:{stage}").items() if count)
            found[stage] = [(round(bin_seconds(number), 6), count) for number, count in bins]
        return found

    def rates(self) -> Json:
        """Each rate with its numerator and denominator; `value` is None where there is nothing to divide by."""
        get = self.main.get
        delivered, undelivered = get("b:delivered", 0), get("b:undelivered", 0)
        carrier, accepted = get("carrier", 0), get("accepted_ever", 0)
        waiting = get("b:sent", 0)
        return {
            "acceptance": _rate(accepted, accepted + get("b:rejected", 0)),
            "delivery_confirmed": _rate(delivered, carrier),
            "delivery_resolved": _rate(delivered, delivered + undelivered),
            "delivery_low": _rate(delivered, carrier),
            "delivery_high": _rate(min(delivered + waiting, carrier), carrier),
            "receipt_coverage": _rate(get("receipt", 0), carrier),
            "matured_24h": _rate(self._by_hour("delivered", MATURE_HOURS), self._by_hour("carrier", MATURE_HOURS)),
        }

    def points(self) -> list[Json]:
        """The series, oldest first: start and length of each step in seconds, accepted, delivered and failed in it."""
        found: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: {"accepted": 0, "delivered": 0, "failed": 0})
        for counters in self.series.values():
            for name, count in counters.items():
                kind, _, rest = name.partition("/")[2].partition(":")
                number, _, what = rest.partition(":")
                if kind in ("m", "h"):
                    seconds = 60 if kind == "m" else 3600
                    found[int(number) * seconds, seconds][what] += count
        return [
            {"at": (_EPOCH + timedelta(seconds=start)).isoformat(), "seconds": seconds, **values}
            for (start, seconds), values in sorted(found.items())
        ]

    def young_open(self) -> int:
        """Open messages that may still get their receipt in time."""
        return self._by_hour("open", -1) - self._by_hour("open", DEADLINE_HOURS)

    def next_start(self) -> datetime | None:
        """When the first message may go out, if all that is queued is scheduled for later."""
        minutes = {int(minute): n for minute, n in self.named("s").items()}
        if not minutes or sum(minutes.values()) < self.main.get("b:queued", 0):
            return None
        first = _EPOCH + timedelta(minutes=min(minutes))
        return first if first > self.now else None


def overdue(open_since: datetime, now: datetime) -> bool:
    """Whether a message that waits for its receipt since then is unknown: by whole hours, as the counters are."""
    return _hour(open_since) < _hour(now) - DEADLINE_HOURS


def _hour(moment: datetime) -> int:
    return int((moment - _EPOCH) // timedelta(hours=1))


def imbalance(counters: Counters) -> int:
    """Messages in no bucket, less those in more than one: 0, always (P6). What each process tells as its metric."""
    return counters.get("requested", 0) - sum(counters.get(f"b:{bucket}", 0) for bucket in BUCKETS)


def _rate(numerator: int, denominator: int) -> Json:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def percentiles(bins: Mapping[str, int]) -> Json:
    """Bin → count to p50, p95 and p99, in seconds."""
    ordered = sorted((int(number), count) for number, count in bins.items())
    total = sum(count for _, count in ordered)
    return {**{f"p{share}": _percentile(ordered, total, share) for share in (50, 95, 99)}, "count": total}


def _percentile(ordered: Sequence[tuple[int, int]], total: int, share: int) -> float | None:
    below = 0
    for number, count in ordered:
        below += count
        if below * 100 >= total * share:
            return round(bin_seconds(number), 6)
    return None
