"""From what is due to won claims: pick, claim many at once, read the journal back (DESIGN §6, rules 1, 3 and 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from sendledger.agents.sender_calls import Calls, Claimed
from sendledger.agents.sender_evidence import Resends
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_partition import GivenUpError, Partition
from sendledger.agents.sender_queue import Pick
from sendledger.agents.sender_requests import Requests
from sendledger.domain.call_ends import Refused
from sendledger.domain.message import Message
from sendledger.domain.sending import expires_at, won
from sendledger.edges.clocks import steady, wall_micros
from sendledger.edges.provider import Sendable
from sendledger_schemas.attempts import AttemptStarted, RequestPosition, SendWithheld, WithheldReason
from sendledger_schemas.ids import event_id
from sendledger_schemas.topics import SEND_ATTEMPTS

_AHEAD = 0.1
_ROUNDS = 4  # claims, calls, answers, and what is being read back: each may have the whole concurrency
_IDLE = 0.25
_GATHER = 0.002
_FRESH = 0.9

_log = structlog.get_logger()


class Claims:
    """Claims what is due in the partitions that are ours."""

    def __init__(self, kit: Kit, calls: Calls, requests: Requests) -> None:
        self.partitions: dict[int, Partition] = {}
        self.stopping = False
        self.requests = requests
        self._kit = kit
        self._calls = calls
        self._turn = 0
        self._cut_short = False
        self._resends = Resends(kit)

    @property
    def pending(self) -> int:
        """Claims that have not become a call yet."""
        return sum(partition.handling for partition in self.partitions.values())

    async def run(self) -> None:
        """Claim until cancelled. Errors: what must end the process."""
        async with asyncio.TaskGroup() as group:
            while True:
                picks, withheld = self._look(group)
                if not picks and not withheld:
                    await (asyncio.sleep(0) if self._cut_short else self._idle())
                    continue
                await self._round(picks, withheld, group)
                await asyncio.sleep(_GATHER)  # what becomes due meanwhile goes with the next claims, together

    async def _idle(self) -> None:
        self._kit.wake.clear()
        due = [at for partition in self.partitions.values() if (at := partition.queue.next_due()) is not None]
        soon = min(_IDLE, max(0.001, (min(due) - wall_micros()) / 1e6)) if due else _IDLE
        try:
            async with asyncio.timeout(soon):
                await self._kit.wake.wait()
        except TimeoutError:
            return

    def _room(self) -> int:
        """How many messages may be claimed now: never more than are called soon, or the claims go stale."""
        now = steady()
        if self.stopping or self._kit.control.age() > _FRESH or self._kit.pace.wait(now) > 1.0:
            return 0
        if not self._kit.lease.holds(now):
            return 0
        pending = self.pending
        ahead = max(1, int(self._kit.pace.per_second(now) * _AHEAD))
        at_once = self._kit.concurrency
        return min(_ROUNDS * at_once - len(self._calls.active), 2 * at_once - pending, ahead - pending)

    def _look(
        self, group: asyncio.TaskGroup
    ) -> tuple[list[tuple[Partition, Pick]], list[tuple[Partition, Message, WithheldReason]]]:
        picks: list[tuple[Partition, Pick]] = []
        withheld: list[tuple[Partition, Message, WithheldReason]] = []
        self._cut_short = False
        if self.stopping or self._kit.control.age() > _FRESH:
            return picks, withheld
        room, now = self._room(), wall_micros()
        self._turn += 1
        ours = list(self.partitions.values())
        start = self._turn % max(1, len(ours))
        for partition in ours[start:] + ours[:start]:
            found = partition.pick(max(0, room - len(picks)), self._kit.control, now)
            self._cut_short = self._cut_short or found.cut_short
            picks += [(partition, pick) for pick in found.claims]
            withheld += [(partition, message, reason) for message, reason in found.withheld]
            self._resends.add(partition, found.resends, group)
        return picks, withheld

    async def _round(
        self,
        picks: Sequence[tuple[Partition, Pick]],
        withheld: Sequence[tuple[Partition, Message, WithheldReason]],
        group: asyncio.TaskGroup,
    ) -> None:
        for partition, _ in picks:
            partition.take_in_hand()
        claimed, gone = await self._written_down(picks)
        entries = [self._claim(one) for one in claimed]
        entries += [_withhold(partition, message, reason) for partition, message, reason in [*withheld, *gone]]
        self._kit.strike("before_claim")
        now = steady()
        for one in claimed:
            one.written_at = now
            self._calls.begin(one.name)
        acknowledged = await self._kit.writer.send(entries)
        await self._kit.strike.on_its_way("claim_unacknowledged")
        for partition, message, reason in [*withheld, *gone]:
            self._kit.metrics.withheld.labels(reason).inc()
            partition.queue.unreserve(message)
        group.create_task(self._acknowledged(claimed, acknowledged, group))

    async def _acknowledged(
        self, claimed: Sequence[Claimed], acknowledged: asyncio.Future[list[int]], group: asyncio.TaskGroup
    ) -> None:
        offsets = await acknowledged
        self._kit.strike("claim_acknowledged")
        by_partition: dict[Partition, list[tuple[Claimed, int]]] = {}
        for one, offset in zip(claimed, offsets, strict=False):
            by_partition.setdefault(one.partition, []).append((one, offset))
        for partition, mine in by_partition.items():
            group.create_task(self._arbitrate(partition, mine))

    async def _written_down(
        self, picks: Sequence[tuple[Partition, Pick]]
    ) -> tuple[list[Claimed], list[tuple[Partition, Message, WithheldReason]]]:
        """The requests of the picks; those whose request the log has no longer are withheld instead (retention)."""
        requests: dict[tuple[int, int], Sendable | Refused | None] = {}
        for number, offsets in _places(picks).items():
            found = await self.requests.get(number, offsets)
            requests.update({(number, offset): request for offset, request in found.items()})
        claimed: list[Claimed] = []
        gone: list[tuple[Partition, Message, WithheldReason]] = []
        for partition, pick in picks:
            message = pick.message
            request = requests[partition.number, _offset(message)]
            if request is None:
                _log.error("a request is not on the log any more", message=message.message_id)
                partition.let_go()
                gone.append((partition, message, "expired"))
                continue
            expires = expires_at(message, self._kit.default_expiry)
            call = request if isinstance(request, Refused) else self._kit.provider.prepare(request)
            claimed.append(Claimed(partition, message, pick.attempt, call, 0.0, expires))
        return claimed, gone

    def _claim(self, one: Claimed) -> Entry:
        message, partition = one.message, one.partition.number
        data = AttemptStarted(
            message_id=message.message_id,
            campaign_id=message.campaign_id,
            recipient_id=message.recipient_id,
            attempt=one.attempt,
            worker=self._kit.worker,
            incarnation=self._kit.incarnation,
            request=RequestPosition(partition=partition, offset=_offset(message)),
        )
        name = event_id(data.TYPE, message.message_id, str(one.attempt), self._kit.incarnation)
        return Entry(SEND_ATTEMPTS, partition, message.recipient_id, name, data)

    async def _arbitrate(self, partition: Partition, mine: Sequence[tuple[Claimed, int]]) -> None:
        """Rule 4: with the journal read beyond our claims, the first claim in log order wins."""
        try:
            await partition.read_past(max(offset for _, offset in mine))
        except GivenUpError:
            for one, _ in mine:
                self._calls.forget(one.name)  # the partition's next owner finds the claim dead
            return
        found = partition.messages([one.message.message_id for one, _ in mine])
        for (one, offset), message in zip(mine, found, strict=True):
            if won(message, one.attempt, offset):
                self._kit.metrics.won.inc()
                self._calls.add(one)
                continue
            self._kit.metrics.lost.inc()
            self._calls.forget(one.name)
            partition.let_go()
            partition.queue.unreserve(one.message)


def _places(picks: Sequence[tuple[Partition, Pick]]) -> Mapping[int, list[int]]:
    places: dict[int, list[int]] = {}
    for partition, pick in picks:
        places.setdefault(partition.number, []).append(_offset(pick.message))
    return places


def _offset(message: Message) -> int:
    assert message.request is not None  # noqa: S101 — only requested messages are picked
    return message.request.offset


def _withhold(partition: Partition, message: Message, reason: WithheldReason) -> Entry:
    data = SendWithheld(
        message_id=message.message_id,
        campaign_id=message.campaign_id,
        recipient_id=message.recipient_id,
        reason=reason,
    )
    # The same decision, made again after a crash, is the same event.
    name = event_id(data.TYPE, message.message_id, reason)
    return Entry(SEND_ATTEMPTS, partition.number, message.recipient_id, name, data)
