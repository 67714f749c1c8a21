"""What a log comes to, worked out at once from all of its facts: the slow truth that the fold is held against.

Written from DESIGN §4 and §5 and nothing else: no batch, no difference, no document, no code of `sendledger.domain` but
the decoded facts. One partition.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sendledger.domain import facts as f
from sendledger.domain.facts import Fact
from sendledger_schemas.topics import FOLD_SOURCES
from tests.support.oracle_counts import FINAL, KINDS, attempts, bucket, hour, marked, minutes, policies, receipts

Read = tuple[int, int, Fact]
NONE = [-1] * len(FOLD_SOURCES)
POSTBACKS = FOLD_SOURCES.index("sms.postbacks.v1")


@dataclass
class Told:
    """A fact and where it stands; `topic` and `offset` order facts of one kind."""

    topic: int
    offset: int
    fact: Any


@dataclass
class Life:
    """All that is known of one message, of several values for one fact the one with the lowest offset."""

    name: str
    campaign: str
    recipient: str
    told: list[Told] = field(default_factory=list)

    def first(self, *kinds: Any, attempt: int | None = None) -> Told | None:
        """The fact of these kinds that stands."""
        found = [
            t for t in self.told if isinstance(t.fact, kinds) and attempt in (None, getattr(t.fact.data, "attempt", 0))
        ]
        return min(found, key=lambda t: t.offset, default=None)

    @property
    def numbers(self) -> list[int]:
        """Its attempts; those that a SendWithheld overruled before their claim are left out."""
        withheld = self.first(f.Withheld)
        numbers = sorted({t.fact.data.attempt for t in self.told if hasattr(t.fact.data, "attempt")})
        return [n for n in numbers if not self._overruled(n, withheld)]

    def _overruled(self, number: int, withheld: Told | None) -> bool:
        claim = self.first(f.Started, attempt=number)
        if withheld is None or claim is None or self.answer(number) is not None:
            return False
        return claim.offset > withheld.offset

    def answer(self, number: int) -> Told | None:
        """The real response of an attempt."""
        return self.first(*KINDS, attempt=number)

    def end(self, number: int) -> str:
        """How one attempt stands: a settling answer, a decision, another answer, doubt; in this order."""
        answer, decision = self.answer(number), self.first(f.Resolved, attempt=number)
        kind = None if answer is None else KINDS[type(answer.fact)]
        if kind in ("accepted", "rejected"):
            return str(kind)
        said = None if decision is None else decision.fact.data.resolution
        if said in ("sent", "withhold"):
            return str(said)
        if kind is not None:
            return kind
        if said == "resend":
            return "resend"
        return "open" if self.first(f.Unanswered, attempt=number) is None else "in_doubt"

    @property
    def claims(self) -> list[tuple[int, datetime]]:
        """(attempt, when it was claimed)."""
        found = [(n, self.first(f.Started, attempt=n)) for n in self.numbers]
        return [(n, claim.fact.time) for n, claim in found if claim is not None]

    @property
    def began(self) -> datetime:
        """When the attempt that the provider took, or else the last one, began."""
        claims = dict(self.claims)
        for number in self.numbers:
            if self.end(number) == "accepted":
                if number in claims:
                    return claims[number]
                break
        request = self.first(f.Requested)
        assert request is not None
        return list(claims.values())[-1] if claims else request.fact.time


@dataclass
class Postbacks:
    """What came under one TRACKINGID of one recipient."""

    told: list[Told] = field(default_factory=list)

    @property
    def deliveries(self) -> int:
        """How often something arrived: what was received at one moment is one delivery, however often it is logged."""
        return len({(t.fact.id, t.fact.data.received_at) for t in self.told})

    @property
    def notices(self) -> list[Any]:
        """Each distinct one, by the provider's time."""
        unique = {t.fact.id: t.fact for t in sorted(self.told, key=lambda t: t.fact.data.received_at, reverse=True)}
        return sorted(unique.values(), key=lambda p: (p.data.provider_time or p.data.received_at, p.id))


class Oracle:
    """`counters`: campaign → name → count; `buckets`, `to`: by message."""

    def __init__(self, reads: Iterable[Read]) -> None:
        self.lives: dict[str, Life] = {}
        self.postbacks: dict[str, dict[str, Postbacks]] = defaultdict(lambda: defaultdict(Postbacks))
        self.owners: dict[tuple[str, str], tuple[int, str]] = {}
        self.all_of: dict[str, list[Told]] = defaultdict(list)
        for topic, offset, fact in reads:
            self._hear(Told(topic, offset, fact))
        self.adopted = dict(filter(None, map(self._adoption, self.all_of)))
        self.counters: dict[str, Counter[str]] = defaultdict(Counter)
        self.buckets: dict[str, str] = {}
        self.to: dict[str, dict[str, int]] = {}
        for life in self.lives.values():
            if life.first(f.Requested) is not None:
                self._count(life)
        for recipient in self.all_of:
            self._orphans(recipient)

    def _hear(self, told: Told) -> None:
        data = told.fact.data
        if isinstance(told.fact, f.Postback):
            if data.claim is not None:
                self.postbacks[data.recipient_id][data.tracking_id or ""].told.append(told)
                self.all_of[data.recipient_id].append(told)
            return
        self.all_of[data.recipient_id].append(told)
        new = Life(data.message_id, data.campaign_id, data.recipient_id)
        self.lives.setdefault(data.message_id, new).told.append(told)
        if isinstance(told.fact, f.Accepted):
            place = data.recipient_id, data.tracking_id
            mine = told.offset, data.message_id
            self.owners[place] = min(self.owners.get(place, mine), mine)

    def _unmatched(self, recipient: str) -> dict[str, Postbacks]:
        return {name: came for name, came in self.postbacks[recipient].items() if (recipient, name) not in self.owners}

    def _adoption(self, recipient: str) -> tuple[str, tuple[str, str]] | None:
        """Message → (recipient, TRACKINGID), where one unmatched TRACKINGID settles the one candidate attempt."""
        candidates = [
            (life, n)
            for life in self.lives.values()
            for n in life.numbers
            if life.recipient == recipient
            and life.answer(n) is None
            and life.first(f.Started, f.Unanswered, attempt=n) is not None
        ]
        names = [name for name in self._unmatched(recipient) if name]
        if len(candidates) != 1 or len(names) != 1:
            return None
        (life, number), (name,) = candidates[0], names
        silence = life.first(f.Unanswered, attempt=number)
        if silence is None:
            return None
        began = (life.first(f.Started, attempt=number) or silence).fact.time
        arrived = min(p.data.received_at for p in self.postbacks[recipient][name].notices)
        fits = -timedelta(minutes=5) <= arrived - began <= timedelta(hours=72)
        return (life.name, (recipient, name)) if fits else None

    def _mine(self, life: Life, *, adopted: bool = True) -> list[Postbacks]:
        found = []
        for number in life.numbers:
            answer = life.answer(number)
            if answer is not None and isinstance(answer.fact, f.Accepted):
                place = life.recipient, answer.fact.data.tracking_id
                if self.owners[place][1] == life.name:
                    found.append(self.postbacks[place[0]][place[1]])
        if adopted and life.name in self.adopted:
            recipient, name = self.adopted[life.name]
            found.append(self.postbacks[recipient][name])
        return list({id(came): came for came in found if came.told}.values())

    def _count(self, life: Life) -> None:
        mine = self._mine(life)
        notices = sorted(
            (n for came in mine for n in came.notices), key=lambda p: (p.data.provider_time or p.data.received_at, p.id)
        )
        finals = [n for n in notices if n.data.claim in FINAL]
        self.buckets[life.name] = bucket(life, notices, finals[:1])
        self.to[life.name] = self._to(life)
        names = Counter(self._names(life, mine, notices, finals, finals[:1]))
        self.counters[life.campaign].update(names)
        for policy, counts in policies(finals).items():
            other = Counter(self._names(life, mine, notices, finals, [counts]))
            for sign, changes in (("+", other - names), ("-", names - other)):
                told = {marked(f"y:{policy}:{sign}:", name): count for name, count in changes.items()}
                self.counters[life.campaign].update(told)

    def _names(
        self, life: Life, mine: list[Postbacks], notices: list[Any], finals: list[Any], counts: list[Any]
    ) -> list[str]:
        """What the message counts if of its final claims this one counts."""
        where = bucket(life, notices, counts)
        names = ["requested", f"b:{where}", *attempts(life)]
        request = life.first(f.Requested)
        assert request is not None
        operators = [n.data.operator_id for n in notices] + [request.fact.data.operator_id]
        names += [f"o:{operator}:{where}" for operator in list(filter(None, operators))[:1]]
        names += ["repeat"] * sum(came.deliveries - len(came.notices) for came in mine)
        if notices:
            names += receipts(life, request.fact.time, notices, finals, counts)
        elif where == "accepted":
            names += ["accepted_ever", hour("open", life.began)]
        elif where == "in_doubt":
            number = [n for n in life.numbers if life.end(n) == "in_doubt"][-1]
            silence = life.first(f.Unanswered, attempt=number)
            assert silence is not None
            names.append(f"q:{silence.fact.data.reason}")
        elif where == "queued" and request.fact.data.not_before is not None:
            names.append(f"s:{minutes(request.fact.data.not_before)}")
        return names

    def _to(self, life: Life) -> dict[str, int]:
        told = life.told + [t for came in self._mine(life, adopted=False) for t in came.told]
        if life.first(f.Unanswered) is not None:
            told = self.all_of[life.recipient]
        to = list(NONE)
        for each in told:
            to[each.topic] = max(to[each.topic], each.offset)
        return dict(zip(FOLD_SOURCES, to, strict=True))

    def _orphans(self, recipient: str) -> None:
        adopted = {place[1] for place in self.adopted.values() if place[0] == recipient}
        count = sum(len(came.notices) for name, came in self._unmatched(recipient).items() if name not in adopted)
        lives = [life for life in self.lives.values() if life.recipient == recipient]
        campaigns = {life.campaign for life in lives if life.first(f.Requested) is not None}
        self.counters["_none"].update({"orphans": count, **{f"orphans:{name}": count for name in campaigns}})

    def told(self) -> dict[str, dict[str, int]]:
        """Campaign → counters that are not 0."""
        counted = {campaign: {n: c for n, c in names.items() if c} for campaign, names in self.counters.items()}
        return {campaign: names for campaign, names in counted.items() if names}
