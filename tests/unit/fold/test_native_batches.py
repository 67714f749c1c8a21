"""What the fold's library takes out of record batches, whom it asks, and the batches that it makes."""

from __future__ import annotations

from dataclasses import replace

from sendledger.edges import fold_core
from sendledger_schemas.topics import FOLD_SOURCES, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.native import Changes, PartitionFold, no_letters, packed, unpacked
from tests.support.story import Log


def fold() -> fold_core.PartitionFold:
    """One without any stored document."""
    return PartitionFold(lambda keys: [None for _ in keys], story.ORIGIN).inner


def requests(count: int) -> list[bytes]:
    """So many requests, to a recipient each."""
    log = Log()
    for number in range(count):
        log.add(story.requested(f"m{number}", f"r{number}"))
    return log.topics[0]


def test_what_stands_before_the_first_wanted_offset_is_not_folded() -> None:
    """A record batch may begin before the place where reading goes on: its first records were folded before."""
    batch = packed([(10 + number, f"r{number}".encode(), raw) for number, raw in enumerate(requests(4))])
    changes = fold().fold({SEND_REQUESTS: [replace(batch, first=12)]}, no_letters)
    assert [state.key for state in Changes.of(changes).messages] == ["m2", "m3"]


def test_what_does_not_belong_is_judged_and_left_out() -> None:
    """A wrong key, a wrong topic, and no event at all: the host hears of each by its place, and the rest is folded."""
    right, other, third = requests(3)
    asked: list[tuple[int, int]] = []

    def judge(topic: int, offset: int) -> bytes | None:
        asked.append((topic, offset))
        return third if (topic, offset) == (0, 7) else None

    batches = {
        SEND_REQUESTS: [packed([(5, b"r0", right), (6, b"r9", other), (7, b"r2", b"in another form")])],
        SEND_ATTEMPTS: [packed([(8, b"r1", other)])],
    }
    changes = fold().fold(batches, judge)
    assert sorted(asked) == [(0, 6), (0, 7), (1, 8)]
    assert [state.key for state in Changes.of(changes).messages] == ["m0", "m2"]


def test_states_come_in_batches_that_a_broker_takes() -> None:
    """However many messages a batch touches: their states come in record batches of half a megabyte at most."""
    count = 3_000
    batch = packed([(number, f"r{number}".encode(), raw) for number, raw in enumerate(requests(count))])
    made = fold().fold({FOLD_SOURCES[0]: [batch]}, no_letters).messages
    sizes = [sum(len(key) + len(value) for key, value in unpacked(one)) for one in made]
    assert sum(one.record_count() for one in made) == count
    assert len(made) > 1
    assert max(sizes) <= 512 * 1024
