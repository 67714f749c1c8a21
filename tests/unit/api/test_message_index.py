"""The local file of message states: the newest record of a key wins, pages are stable (DESIGN §5, §8)."""

from __future__ import annotations

import json
import random
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.edges.message_index import Indexed, MessageIndex, Wanted
from tests.support.states import message_state


@pytest.fixture
def index(tmp_path: Path) -> Iterator[MessageIndex]:
    """An empty index."""
    made = MessageIndex(tmp_path / "view.sqlite3")
    yield made
    made.close()


def indexed(message_id: str, bucket: str = "queued", version: int = 1, fold_version: int = 1, **over: str) -> Indexed:
    """A state as the view puts it in."""
    state = message_state(message_id, bucket=bucket, version=version, fold_version=fold_version, **over)
    document = state.model_dump_json().encode()
    return Indexed(message_id, state.campaign_id, bucket, fold_version, version, document)


def buckets(index: MessageIndex) -> list[str]:
    """The buckets of all messages, in the order of their ids."""
    return [state.bucket for name in "abcdef" if (state := index.get(name)) is not None]


VERSIONS = [
    # (fold_version, version) first, then, which stands
    ((1, 1), (1, 2), "then"),
    ((1, 2), (1, 1), "first"),
    ((1, 9), (2, 8), "first"),
    ((1, 9), (2, 9), "then"),
    ((2, 9), (1, 9), "first"),
    ((2, 8), (1, 9), "then"),
]


@pytest.mark.parametrize(("first", "then", "stands"), VERSIONS)
def test_the_greater_version_stands(
    index: MessageIndex, first: tuple[int, int], then: tuple[int, int], stands: str
) -> None:
    """Of two records of a message the more complete stands, and of equals that of the newer fold, as in the merge."""
    index.put([indexed("a", "queued", first[1], first[0])])
    index.put([indexed("a", "sent", then[1], then[0])])
    assert buckets(index) == ["sent" if stands == "then" else "queued"]


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(tmp_path_factory: pytest.TempPathFactory, dice: random.Random) -> None:
    """Any interleaving and repetition of the same records gives the same content (P5)."""
    history = [indexed(name, bucket, n) for name in "abc" for n, bucket in enumerate(("queued", "sent", "delivered"))]
    records = [*history, *dice.choices(history, k=5)]
    dice.shuffle(records)
    index = MessageIndex(tmp_path_factory.mktemp("index") / "view.sqlite3")
    for record in records:
        index.put([record])
    assert buckets(index) == ["delivered"] * 3
    index.close()


def test_a_tombstone_forgets_the_message(index: MessageIndex) -> None:
    """A message whose key was deleted from the log is gone here too."""
    index.put([indexed("a"), indexed("b")])
    index.put([], gone=["a"])
    assert (index.get("a"), len(buckets(index))) == (None, 1)


def test_pages_hold_each_message_once(index: MessageIndex) -> None:
    """Page after page gives every message of the campaign once, in one order, and then ends."""
    names = [f"m{n:03d}" for n in range(25)]
    index.put([indexed(name) for name in random.Random(1).sample(names, 25)])
    index.put([indexed("other", campaign_id="autumn")])
    found: list[bytes] = []
    sizes: list[int] = []
    after = ""
    while True:
        page = index.page("spring", after=after, limit=10)
        found += page.items
        sizes.append(len(page.items))
        if page.next is None:
            break
        after = page.next
    assert sizes == [10, 10, 5]
    assert all(one < other for one, other in pairwise(found))
    assert len(found) == 25


def test_a_page_of_one_bucket(index: MessageIndex) -> None:
    """With a bucket only its messages come; a page that is exactly full says that there is no more."""
    index.put([indexed("a", "queued"), indexed("b", "sent"), indexed("c", "sent")])
    page = index.page("spring", Wanted("sent"), after="", limit=2)
    assert (len(page.items), page.next) == (2, None)
    assert index.page("autumn", Wanted("sent"), after="", limit=2).items == ()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_bucket_under_a_policy(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Page after page, a bucket holds those whom the policy puts there, each once, in the order of their ids."""
    index = MessageIndex(tmp_path_factory.mktemp("index") / "view.sqlite3")
    settled = st.sampled_from(("delivered", "undelivered"))
    under: dict[str, str] = {}
    for version in (1, 2):  # what a second record says replaces what the first one said
        for name in (f"m{n:02d}" for n in range(12)):
            bucket, other = data.draw(settled), data.draw(settled)
            otherwise = {} if other == bucket else {"last-final": other}
            state = indexed(name, bucket, version)
            index.put([Indexed(name, "spring", bucket, 1, version, state.document, otherwise)])
            under[name] = other
    for bucket in ("delivered", "undelivered", "sent"):
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = index.page("spring", Wanted(bucket, "last-final"), after=after, limit=3)
            found += [json.loads(document)["message_id"] for document in page.items]
            after = page.next
        assert found == sorted(name for name, stands in under.items() if stands == bucket)
    index.close()


def test_a_message_that_changes_its_bucket_is_neither_lost_nor_doubled(index: MessageIndex) -> None:
    """A message that moves while somebody pages through the campaign is in the list once: the order is by id."""
    index.put([indexed(name) for name in "abcd"])
    first = index.page("spring", after="", limit=2)
    index.put([indexed("a", "sent", 2), indexed("d", "sent", 2)])
    second = index.page("spring", after=first.next or "", limit=2)
    assert len({*first.items, *second.items}) == 4


def test_known_ids(index: MessageIndex) -> None:
    """Of many ids those are told that are there."""
    index.put([indexed("a"), indexed("b")])
    assert index.known(["b", "x", *(f"y{n}" for n in range(1200)), "a"]) == {"a", "b"}
    assert index.known([]) == set()


def test_the_audit_is_read_backwards_in_pages(index: MessageIndex) -> None:
    """The latest entry comes first; an entry that is read from the log again is the same entry."""
    entries = [(f"2026-11-22T12:00:0{n}Z", f"topic/0/{n}", "spring" if n % 2 else None, f'"{n}"') for n in range(5)]
    index.add_audit(entries)
    index.add_audit(entries[1:3])
    first = index.audit(campaign_id=None, before=None, limit=3)
    assert [row[2] for row in first] == ['"4"', '"3"', '"2"']
    rest = index.audit(campaign_id=None, before=(first[-1][0], first[-1][1]), limit=3)
    assert [row[2] for row in rest] == ['"1"', '"0"']
    assert [row[2] for row in index.audit(campaign_id="spring", before=None, limit=9)] == ['"3"', '"1"']


def test_the_file_is_ones_own_and_starts_empty(tmp_path: Path) -> None:
    """Nobody else may read the file; what a process left behind that crashed is no truth and goes."""
    path = tmp_path / "view.sqlite3"
    first = MessageIndex(path)
    first.put([indexed("a")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = MessageIndex(path)
    assert second.get("a") is None
    for index in (first, second):
        index.close()
    assert not path.exists()
