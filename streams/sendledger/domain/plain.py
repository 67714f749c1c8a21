"""The plain fold: all facts of one recipient at once → what its messages come to (DESIGN §4, §5).

The slow, obvious way, for whoever must not trust the fold's (`verify`) or asks about another moment (`status --at`):
no batches, no documents, no differences. It shares with the fold what one fact means (`evolve`, `received`), when a
lone TRACKINGID is adopted, and what a message counts (`contribution`); who owns what, which facts are there, and what
adds up to which number it works out for itself. Whoever wants less than all facts cuts them first: `up_to`,
`appended_by`, `happened_by`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sendledger.domain.adoption import adopts
from sendledger.domain.contribution import contribution
from sendledger.domain.facts import Accepted, Fact, Postback, micros
from sendledger.domain.message import NOTHING_READ, POSTBACKS, Message, Offsets, advanced, evolve, initial, standing
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.postbacks import NO_TRACKING, Tracking, received
from sendledger.domain.settled import Facts, Policy, known


class Seen(NamedTuple):
    """A fact and where it stands: number of its topic in `FOLD_SOURCES`, offset, time of appending (ms, broker's)."""

    topic: int
    offset: int
    appended_at: int
    fact: Fact


class Account(NamedTuple):
    """What the facts of one recipient come to.

    `messages`: those with a request, with the postbacks that are theirs, by id; `to`: of each of them the last offsets
    of the facts that it counts; `orphans`: distinct postbacks that are nobody's; `all_to`: last offsets of all facts.
    """

    messages: Mapping[str, Facts]
    to: Mapping[str, Offsets]
    orphans: int
    all_to: Offsets


def account(seen: Iterable[Seen]) -> Account:
    """Fold the facts of one recipient, in whatever order they are given."""
    counted = _sorted(seen)
    return _account(counted, counted)


def account_at(seen: Iterable[Seen], moment: int) -> Account:
    """What had happened by a moment (µs), as far as is known now.

    Whose a postback is may have become known later than it came: that is taken from all facts, also from later ones.
    """
    whole = _sorted(seen)
    return _account(happened_by(whole, moment), whole)


def _sorted(seen: Iterable[Seen]) -> list[Seen]:
    return sorted((one for one in seen if counts(one.fact)), key=lambda one: (one.topic, one.offset))


def _account(counted: Sequence[Seen], whole: Sequence[Seen]) -> Account:
    """`counted`: the facts that count; `whole`: those that say what belongs to what."""
    messages, trackings = _messages(counted), _trackings(counted)
    same = whole is counted
    known_messages, known_trackings = (messages, trackings) if same else (_messages(whole), _trackings(whole))
    owners = _owners(whole)
    unowned = {name: tracking for name, tracking in known_trackings.items() if name not in owners}
    adoption = _adoption(known_messages, unowned)
    all_to = _last(counted)
    facts, to = {}, {}
    for message_id, message in messages.items():
        if message.request is None:
            continue
        given = _given(known_messages[message_id])
        own = {name: trackings.get(name, NO_TRACKING) for name in given if owners[name] == message_id}
        adopted = [adoption[0]] if adoption and adoption[1] == message_id else []
        mine = own | {name: trackings.get(name, NO_TRACKING) for name in adopted}
        facts[message_id] = _known(message, mine)
        last = max((tracking.last for tracking in own.values()), default=-1)
        to[message_id] = all_to if _ever_unanswered(message) else advanced(message.to, POSTBACKS, last)
    orphans = sum(
        len(tracking.notices)
        for name, tracking in trackings.items()
        if name in unowned and (adoption is None or name != adoption[0])
    )
    return Account(facts, to, orphans, all_to)


def counters(account: Account, policy: Policy = "first-final") -> dict[str, Counter[str]]:
    """Campaign → its counters, those of all series among them (`contribution` names them); `_none` has the orphans."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for facts in account.messages.values():
        found[facts.message.campaign_id].update(contribution(facts, policy))
    if account.orphans:
        names = ("orphans", *(f"orphans:{campaign}" for campaign in list(found)))
        found[NO_CAMPAIGN].update(dict.fromkeys(names, account.orphans))
    return dict(found)


# ---------------------------------------------------------------------------------------- cuts
def up_to(seen: Sequence[Seen], to: Offsets) -> list[Seen]:
    """The facts that numbers with this `to` may count: of each topic those up to its offset."""
    return [one for one in seen if one.offset <= to[one.topic]]


def appended_by(seen: Sequence[Seen], moment: int) -> list[Seen]:
    """The facts that stood on the log at a moment (µs): what could be known then."""
    return [one for one in seen if one.appended_at * 1_000 <= moment]


def happened_by(seen: Sequence[Seen], moment: int) -> list[Seen]:
    """The facts that had happened by a moment (µs), whenever they became known: postbacks by the provider's clock."""
    return [one for one in seen if happened_at(one.fact) <= moment]


def happened_at(fact: Fact) -> int:
    """When it happened (µs): of a postback what the provider says, else when it arrived; of all others our own time."""
    if isinstance(fact, Postback):
        return micros(fact.data.provider_time or fact.data.received_at)
    return micros(fact.time)


def counts(fact: Fact) -> bool:
    """Postbacks of other origins, and with codes that nobody knows, are kept as events and mean nothing (PROVIDER)."""
    return not isinstance(fact, Postback) or fact.data.claim is not None


# ---------------------------------------------------------------------------------------- what belongs to what
def _messages(counted: Sequence[Seen]) -> dict[str, Message]:
    messages: dict[str, Message] = {}
    for _, offset, _, fact in counted:
        if not isinstance(fact, Postback):
            message_id = fact.data.message_id
            messages[message_id] = evolve(messages.get(message_id) or initial(fact), offset, fact)
    return messages


def _owners(counted: Sequence[Seen]) -> dict[str, str]:
    """TRACKINGID → the message to which the first response that named it belongs."""
    owners: dict[str, str] = {}
    for one in counted:
        if isinstance(one.fact, Accepted):
            owners.setdefault(one.fact.data.tracking_id, one.fact.data.message_id)
    return owners


def _trackings(counted: Sequence[Seen]) -> dict[str, Tracking]:
    """TRACKINGID ("" = none) → what came under it."""
    trackings: dict[str, Tracking] = {}
    for _, offset, _, fact in counted:
        if isinstance(fact, Postback) and fact.data.claim is not None:
            name = fact.data.tracking_id or ""
            trackings[name] = received(trackings.get(name, NO_TRACKING), offset, fact, fact.data.claim)
    return trackings


def _given(message: Message) -> set[str]:
    """The TRACKINGIDs of the message's standing responses."""
    responses = [attempt.response for attempt in message.attempts.values() if attempt.response is not None]
    return {response.tracking_id for response in responses if response.tracking_id is not None}


def _adoption(messages: Mapping[str, Message], unowned: Mapping[str, Tracking]) -> tuple[str, str] | None:
    """(TRACKINGID, message) if one TRACKINGID is nobody's, one attempt has no response, and the two fit."""
    names = [name for name in unowned if name]
    candidates = [
        (message, number)
        for message in messages.values()
        for number, attempt in standing(message)
        if attempt.response is None and (attempt.claim is not None or attempt.silence is not None)
    ]
    if len(names) != 1 or len(candidates) != 1:
        return None
    message, number = candidates[0]
    return (names[0], message.message_id) if adopts(message, number, unowned[names[0]]) else None


def _ever_unanswered(message: Message) -> bool:
    return any(attempt.silence is not None for attempt in message.attempts.values())


def _known(message: Message, mine: Mapping[str, Tracking]) -> Facts:
    notices = sorted((notice for t in mine.values() for notice in t.notices), key=lambda notice: notice.event_id)
    return known(message, tuple(notices), sum(t.repeats for t in mine.values()), min(mine, default=None))


def _last(counted: Iterable[Seen]) -> Offsets:
    last = list(NOTHING_READ)
    for one in counted:
        last[one.topic] = max(last[one.topic], one.offset)
    return (last[0], last[1], last[2], last[3], last[4])
