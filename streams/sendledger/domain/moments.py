"""A campaign at an earlier moment: what was known then, or what had happened by then (DESIGN §8: `at`, `clock`).

`log`: what stood on the log at that moment, folded: what everybody could know then, and it never changes again.
`provider`: what had happened by that moment, as far as is known now: postbacks by the provider's time, all else by the
time of its event.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from sendledger.domain import plain
from sendledger.domain.contribution import contribution, day_of
from sendledger.domain.facts import micros
from sendledger.domain.message import NOTHING_READ, Offsets, joined
from sendledger.domain.partial import bounded, offsets_by_topic, version_of
from sendledger.domain.plain import Account, Seen
from sendledger_schemas.states import FOLD_VERSION, CampaignState

Clock = Literal["log", "provider"]

_AGO = re.compile(r"-(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOST_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")  # a plus sign in an address means a blank


@dataclass(frozen=True)
class Wrong:
    """Why a text is no moment that can be asked for."""

    reason: str


def moment_of(text: str, now: datetime) -> datetime | Wrong:
    """`2026-05-01T09:00+02:00`, `2026-05-01T07:00` (UTC), `2026-05-01`, or `-90m`: so long ago (s, m, h, d, w)."""
    written = text.strip()
    if ago := _AGO.fullmatch(written):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return Wrong("so long ago nothing was written")
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", written))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return Wrong("not a time: write it like 2026-05-01T09:00+02:00 (without a zone it is UTC), or like -2h")
    return Wrong("this moment has yet to come") if moment > now else moment


@dataclass
class Remembered:
    """The numbers of one campaign at a moment, added up a recipient at a time."""

    campaign_id: str
    moment: datetime
    clock: Clock
    messages: int = 0
    _counters: Counter[str] = field(default_factory=Counter)
    _to: dict[int, Offsets] = field(default_factory=dict)
    _orphans: int = 0

    def add(self, partition: int, seen: Iterable[Seen]) -> None:
        """All facts about one recipient of the campaign; by the clock of the log, those up to the moment."""
        account = self._account(seen)
        mine = {name: each for name, each in account.messages.items() if each.message.campaign_id == self.campaign_id}
        for message_id, facts in mine.items():
            self._counters.update(contribution(facts))
            self._to[partition] = joined(self._to.get(partition, NOTHING_READ), account.to[message_id])
        if mine:
            self._orphans += account.orphans
        self.messages += len(mine)

    def _account(self, seen: Iterable[Seen]) -> Account:
        match self.clock:
            case "log":
                return plain.account(seen)
            case "provider":
                return plain.account_at(seen, micros(self.moment))
            case _:
                assert_never(self.clock)

    def state(self) -> CampaignState:
        """As the merge would have published it."""
        main: dict[str, int] = {}
        series: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, count in self._counters.items():
            day = day_of(name)
            (main if day is None else series[day])[name] = count
        return CampaignState(
            campaign_id=self.campaign_id,
            as_of=self.moment,
            counters=dict(sorted(bounded(main).items())),
            series=dict(sorted(series.items())),
            orphans=self._orphans,
            to={str(partition): offsets_by_topic(to) for partition, to in sorted(self._to.items())},
            version=sum(version_of(to) for to in self._to.values()),
            fold_version=FOLD_VERSION,
        )
