"""Hostile bodies: each has its answer, costs next to nothing, and makes nobody read a file or open a connection."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sendledger.edges.postback_records import PostbackRecords
from sendledger_schemas.envelope import decode
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import POSTBACKS, dlq
from tests.support.hostile import ANSWERS, BODIES, NO_CLAIM
from tests.support.untouched import CONNECT, ONE_WALL, RESOLVE

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORDS = PostbackRecords(b"canary-pepper", 8, "receiver")
MOST_SECONDS = 0.05
TRIES = 5


def cost(body: bytes) -> float:
    """Seconds of processor time from bytes to record; the best of a few: others work here too."""
    best = float("inf")
    for _ in range(TRIES):
        before = time.thread_time()
        RECORDS.keep(body, NOW)
        best = min(best, time.thread_time() - before)
    return best


def answer(body: bytes) -> str:
    """The reason of the dead letter, or the claim of the event."""
    kept = RECORDS.keep(body, NOW)
    if kept.reason is not None:
        assert (kept.record.topic, kept.record.value) == (dlq(POSTBACKS), body)
        return kept.reason
    data = decode(kept.record.value).data
    assert isinstance(data, PostbackReceived)
    assert data.raw.encode() == body
    return data.claim or NO_CLAIM


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_has_its_answer_and_costs_little(name: str) -> None:
    """A dead letter with its reason or an event with its claim, for less than 50 ms of processor time."""
    assert answer(BODIES[name]) == ANSWERS[name]
    assert cost(BODIES[name]) < MOST_SECONDS


def test_no_body_is_without_its_answer() -> None:
    """The table of answers has a line for each body, and none too many."""
    assert set(ANSWERS) == set(BODIES)


def untouched(*options: str) -> dict[str, Any]:
    """All bodies, read in a process of its own; who was at the file and at the address that they name."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.untouched", *options],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'streams'}:{ROOT / 'schemas'}"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    told: dict[str, Any] = json.loads(run.stdout)
    assert told.pop("bodies") == len(BODIES)
    return told


@pytest.mark.parametrize("options", [(), (ONE_WALL,)], ids=["as it is", "were a DOCTYPE not refused"])
def test_no_file_is_read_and_no_connection_opened(options: tuple[str, ...]) -> None:
    """Whatever the bodies name, nobody has been there: neither Python nor the XML library below it.

    Each of the two walls holds by itself: the refusal of a DOCTYPE, and the parser's settings.
    """
    assert untouched(*options) == {"file": False, "connection": False, "asked": []}


@pytest.mark.parametrize(("option", "touched"), [(RESOLVE, "file"), (CONNECT, "connection")])
def test_the_watch_sees_a_parser_that_goes_there(option: str, touched: str) -> None:
    """The check above can fail: with entities resolved the file is opened, with addresses followed somebody comes."""
    assert untouched(option)[touched] is True
