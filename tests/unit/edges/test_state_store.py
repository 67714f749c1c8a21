"""A partition's state on disk: all of a batch or nothing, of this log or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.edges.state_store import Identity, Memory, SlotTakenError, StateStore, misfit, open_store, sole_user

ENDS = {"a": 10, "b": 4}
IDENTITY = Identity(1, {"a": "id-a", "b": "id-b"}, {"a": 0, "b": 2})


@pytest.fixture
def memory() -> Memory:
    """Little memory, shared as in a process."""
    return Memory(1 << 20, 1 << 20)


def opened(path: Path, memory: Memory, identity: Identity, ends: dict[str, int]) -> StateStore:
    """The store as the fold opens it."""
    store = open_store(path, memory, identity, ends)
    if store.identity is None:
        store.begin(identity)
    return store


def test_a_new_store_begins_where_the_log_begins(tmp_path: Path, memory: Memory) -> None:
    """Its cursor is the first offset of each topic, and it knows its log."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert (store.cursor, store.identity) == ({"a": 0, "b": 2}, IDENTITY)
    store.close()


def test_documents_and_cursor_come_back_together(tmp_path: Path, memory: Memory) -> None:
    """What one write put down is there after a close; topics that were not named keep their cursor."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({b"m1": b"one", b"m2": b"two"}, {"a": 7})
    store.write({b"m2": b"two again"}, {"b": 3})
    store.close()
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert store.cursor == {"a": 7, "b": 3}
    assert store.load([b"m2", b"m3", b"m1"]) == [b"two again", None, b"one"]
    assert store.load([]) == []
    store.close()


def test_a_later_start_of_the_log_is_no_misfit(tmp_path: Path, memory: Memory) -> None:
    """Retention moves the log's first offset: the store keeps the `from` that it began with."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({}, {"a": 7, "b": 4})
    store.close()
    store = opened(tmp_path / "p0", memory, Identity(1, IDENTITY.topic_ids, {"a": 5, "b": 2}), ENDS)
    assert store.identity is not None
    assert store.identity.from_ == {"a": 0, "b": 2}
    store.close()


@pytest.mark.parametrize(
    ("identity", "ends", "reason"),
    [
        (Identity(2, IDENTITY.topic_ids, IDENTITY.from_), ENDS, "another fold_version"),
        (Identity(1, {"a": "id-x", "b": "id-b"}, IDENTITY.from_), ENDS, "another log: topic ids differ"),
        (IDENTITY, {"a": 6, "b": 4}, "ahead of the end of a"),
        (IDENTITY, {"a": 10}, "other topics"),
    ],
)
def test_what_does_not_fit_is_thrown_away(
    tmp_path: Path, memory: Memory, identity: Identity, ends: dict[str, int], reason: str
) -> None:
    """State of another log, another code, or beyond the end of the log is not state of this one."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({b"m1": b"one"}, {"a": 7})
    assert misfit(store, identity, ends) == reason
    store.close()
    store = opened(tmp_path / "p0", memory, identity, ends)
    assert store.load([b"m1"]) == [None]
    assert store.cursor == identity.from_
    store.close()


def test_archived_campaigns_are_remembered(tmp_path: Path, memory: Memory) -> None:
    """What a fold must never write it must know after a restart too."""
    store = open_store(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.begin(IDENTITY, frozenset({"c1"}))
    store.close()
    store = open_store(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert store.archived == {"c1"}
    store.close()


def test_a_closed_store_is_free(tmp_path: Path, memory: Memory) -> None:
    """A store has one user at a time; a second open fails until the first has closed."""
    first = StateStore(tmp_path / "p0", memory)
    with pytest.raises(Exception, match="lock"):
        StateStore(tmp_path / "p0", memory)
    first.close()
    StateStore(tmp_path / "p0", memory).close()


def test_a_slot_has_one_process(tmp_path: Path) -> None:
    """Two folds of one slot would overwrite each other's partials: the second is told what to set."""
    slot = tmp_path / "fold-0"
    with sole_user(slot), pytest.raises(SlotTakenError, match="SENDLEDGER_FOLD_SLOT"), sole_user(slot):
        pass
    with sole_user(slot):
        pass
