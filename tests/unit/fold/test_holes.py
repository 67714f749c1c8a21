"""Whatever gets lost or comes late between the consumer's thread and us: every record is taken once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from hypothesis import given
from hypothesis import strategies as st

from sendledger.agents.fetched import Batch
from sendledger.agents.holes import Holes
from sendledger.agents.transport import LogChangedError

TP = TopicPartition("t", 0)


async def turns(count: int) -> None:
    """Let the loop turn so often."""
    for _ in range(count):
        await asyncio.sleep(0)


class Thread:
    """The consumer's thread with one partition: what is fetched moves `chain`, whether it arrives or not."""

    def __init__(self, first: int = 0) -> None:
        self.first, self.seeks = first, 0
        self.chain: tuple[int, int] | None = None
        self.before: Callable[[], Awaitable[None]] = lambda: turns(1)  # the answer of the broker or the thread
        self.error: Exception | None = None

    async def ranges(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """As `Reader`."""
        await self.before()
        return dict.fromkeys(tps, (self.first, 1_000))

    async def seek_all(self, positions: Mapping[TopicPartition, int]) -> int:
        """As `Reader`."""
        await self.before()
        if self.error is not None:
            raise self.error
        self.seeks += 1
        self.chain = self.seeks, positions[TP]
        return self.seeks

    def fetched(self, tp: TopicPartition) -> tuple[int, int] | None:
        """As `Reader`."""
        assert tp == TP
        return self.chain

    def fetch(self, count: int = 1) -> Batch:
        """The next batch."""
        assert self.chain is not None
        seek, start = self.chain
        records: list[Any] = [SimpleNamespace(offset=start + number) for number in range(count)]
        self.chain = seek, start + count
        return Batch(TP, seek, start, records)


async def begun(cursor: int = 0) -> tuple[Holes, Thread]:
    """Reading from a cursor."""
    holes, thread = Holes(), Thread()
    holes.begin(await thread.seek_all({TP: cursor}), {TP: cursor})
    return holes, thread


@given(st.randoms(), st.integers(1, 30), st.floats(0, 0.5), st.integers(0, 150))
def test_every_record_once_and_in_order(chance: Any, end: int, loss: float, slowness: int) -> None:
    """Batches lost anywhere, late by more than any patience, and looked for at any moment."""

    async def scenario() -> None:
        holes, thread = await begun()
        thread.before = lambda: turns(chance.randint(1, 1 + slowness))
        coming: asyncio.Queue[Batch] = asyncio.Queue()
        taken: list[int] = []

        async def agent() -> None:
            while True:
                batch = await coming.get()
                await turns(chance.randint(0, slowness))
                if await holes.follows(batch, thread):
                    taken.extend(record.offset for record in batch.records)

        async def fetcher(losses: float) -> None:
            while len(taken) < end:
                if thread.chain is not None and thread.chain[1] < end:
                    batch = thread.fetch(min(chance.randint(1, 4), end - thread.chain[1]))
                    if chance.random() >= losses:
                        coming.put_nowait(batch)
                await turns(chance.randint(1, 20))
                if chance.random() < 0.3:
                    await holes.look(thread)
                losses *= 0.9

        reading = asyncio.create_task(agent())
        await asyncio.wait_for(fetcher(loss), 20)
        await turns(3 * slowness)
        reading.cancel()
        assert taken == list(range(end))

    asyncio.run(scenario())


async def test_a_lost_tail_is_read_again_at_the_second_look() -> None:
    """Nothing comes behind the last batch of a partition: what was fetched and has not come tells that it is lost."""
    holes, thread = await begun(5)
    thread.fetch(3)
    await holes.look(thread)
    assert thread.chain == (1, 8)
    await holes.look(thread)
    assert thread.chain == (2, 5)
    assert holes.mended == 1
    assert await holes.follows(thread.fetch(3), thread)
    for _ in range(3):
        await holes.look(thread)
    assert (holes.mended, thread.chain) == (1, (2, 8))


async def test_what_is_on_its_way_is_left_alone() -> None:
    """A batch that comes between two looks, or while the second one gives it time, was not lost."""
    holes, thread = await begun()
    for late in (0, 1, 50):
        batch = thread.fetch()
        await holes.look(thread)
        looking = asyncio.create_task(holes.look(thread))
        await turns(late)
        assert await holes.follows(batch, thread)
        await looking
    assert holes.mended == 0


async def test_a_steady_flow_is_no_hole() -> None:
    """With something on its way at every look, but never the same, nothing is read again."""
    holes, thread = await begun()
    batch = thread.fetch()
    for _ in range(5):
        await holes.look(thread)
        following = thread.fetch()
        assert await holes.follows(batch, thread)
        batch = following
    assert holes.mended == 0


async def test_what_comes_while_the_log_is_asked_is_taken() -> None:
    """The last moment in which a late batch still counts is before the seek."""
    holes, thread = await begun()
    batch = thread.fetch()

    async def meanwhile() -> None:
        if thread.chain == (1, 1) and holes.expected[TP] == (1, 0):
            assert await holes.follows(batch, thread)

    thread.before = meanwhile
    await holes.look(thread)
    await holes.look(thread)
    assert (holes.mended, thread.chain, holes.expected[TP]) == (0, (1, 1), (1, 1))


async def test_what_comes_while_it_is_sought_is_not_taken_twice() -> None:
    """A batch that was only late and comes when its place is being sought comes once more, and counts then."""
    holes, thread = await begun()
    late = thread.fetch()
    asked = False

    async def meanwhile() -> None:
        nonlocal asked
        if asked:  # this is the seek
            assert not await holes.follows(late, thread)
        asked = True

    thread.before = meanwhile
    await holes.look(thread)
    await holes.look(thread)
    assert thread.chain == (2, 0)
    assert await holes.follows(thread.fetch(), thread)
    assert holes.expected[TP] == (2, 1)


async def test_partitions_that_change_hands_are_not_mended() -> None:
    """Between assignments nothing is expected; a hole that is being mended then belongs to somebody else."""
    holes, thread = await begun()
    thread.fetch()
    await holes.look(thread)

    async def revoked() -> None:
        holes.forget()

    thread.before = revoked
    await holes.look(thread)
    assert (holes.mended, thread.seeks, holes.expected) == (0, 1, {})
    assert not await holes.follows(Batch(TP, 1, 1, thread.fetch().records), thread)


async def test_a_rebalance_that_only_the_thread_knows_of_is_no_hole() -> None:
    """The thread forgets what it has fetched before we hear that the partitions go: nothing is missing then."""
    holes, thread = await begun()
    thread.fetch()
    await holes.look(thread)
    thread.chain = None
    await holes.look(thread)
    await holes.look(thread)
    assert (holes.mended, thread.seeks) == (0, 1)


async def test_a_seek_that_a_rebalance_overtakes_is_no_error() -> None:
    """The consumer refuses to seek in what is not ours any more; a refusal of what is ours is tried again."""
    holes, thread = await begun()
    thread.fetch()
    thread.error = IllegalStateError("not assigned")
    for looks in range(3):
        await holes.look(thread)
        assert holes.mended == (0, 1, 1)[looks]
    with pytest.raises(IllegalStateError):
        await holes.follows(Batch(TP, -1, 9, thread.fetch().records), thread)
    thread.error = None
    await holes.look(thread)
    await holes.look(thread)
    assert thread.chain == (2, 0)
    assert await holes.follows(thread.fetch(), thread)

    async def overtaken() -> None:
        if holes.expected.get(TP, (0, 0))[0] == -1:
            holes.forget()

    thread.fetch()
    lost = thread.fetch()
    thread.before, thread.error = overtaken, IllegalStateError("not assigned")
    assert not await holes.follows(lost, thread)


async def test_a_log_that_was_cut_is_an_error() -> None:
    """What is not there any more cannot be read again."""
    holes, thread = await begun()
    thread.fetch()
    thread.first = 1
    await holes.look(thread)
    with pytest.raises(LogChangedError, match="t/0 was cut at 1, read only to 0"):
        await holes.look(thread)
