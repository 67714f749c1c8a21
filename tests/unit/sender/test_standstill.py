"""Nothing stands still for ever: not behind somebody else's pause, not behind a clock that was set back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_pauses import Pause, pause_by_itself
from sendledger.config import ConfigError
from sendledger.edges.running import only_instance
from sendledger_schemas import envelope
from sendledger_schemas.campaigns import CampaignPaused, CampaignResumed
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support import story
from tests.support.partition import Log, worker
from tests.support.story import at


def ordered(control: ControlLog, offset: int, data: Data) -> None:
    """One order on the campaigns log."""
    control.control.evolve(offset, envelope.event(data, id=str(offset), source="test", time=at(offset)))


async def test_a_pause_of_somebody_else_does_not_outlive_its_resume() -> None:
    """Our own stop, made before we saw that pause on the log, is lifted by the resume that lifts it."""
    control = ControlLog(cast("Any", None), asyncio.Event())
    kit = cast("Any", SimpleNamespace(control=control))
    control.halt("*")
    ordered(control, 0, CampaignPaused(campaign_id="*", by="ann", reason="lunch"))
    await pause_by_itself(kit, Pause("*", "the provider answered E104", -1))
    assert control.standing("c1") == "paused"
    ordered(control, 1, CampaignResumed(campaign_id="*", by="ann"))
    assert control.standing("c1") == "open"


def test_calls_that_end_alike_write_one_pause() -> None:
    """While ours is on its way, or on the log and not read yet, there is no second; once it was lifted there may be."""
    control = ControlLog(cast("Any", None), asyncio.Event())
    control.halt("c1")
    assert control.may_write("c1")
    control.halt("c1")
    assert not control.may_write("c1")
    control.halted_at("c1", 0)
    control.halt("c1")
    assert not control.may_write("c1")
    assert control.may_write("c2")
    ordered(control, 0, CampaignPaused(campaign_id="c1", by="sender", automatic=True))
    ordered(control, 1, CampaignResumed(campaign_id="c1", by="ann"))
    control.halted_at("c1", 0)
    assert control.standing("c1") == "open"
    assert control.may_write("c1")


def test_a_clock_set_back_loses_nobody(tmp_path: Path) -> None:
    """What was due before a restart and is not due after it waits, and goes when its time comes again."""
    log = Log()
    log.add(story.requested(), story.started(), story.throttled())
    it = worker(tmp_path, log)
    it.read()
    assert it.picked(0, seconds=61) == []
    it.reopen()
    it.read()
    assert it.picked(seconds=1) == []
    assert it.picked(seconds=61) == ["m1"]


def test_an_event_on_a_foreign_topic_moves_nothing(tmp_path: Path) -> None:
    """A response among the attempts would be taken for one at another offset: it is left aside, and reading goes on."""
    log = Log()
    log.add(story.requested())
    stray = Log()
    stray.add(story.rejected())
    it = worker(tmp_path, log)
    it.read()
    (records,) = [records for records in stray.topics.values() if records]
    it.partition.apply(SEND_ATTEMPTS, records)
    assert it.partition.message("m1").attempts == {}
    assert it.picked() == ["m1"]


@pytest.mark.parametrize("directory", ["/proc/nope", "/etc/passwd"])
def test_a_data_directory_that_cannot_be_used_is_one_clear_line(directory: str) -> None:
    """A wrong setting is named with its variable, not shown as a traceback."""
    with pytest.raises(ConfigError, match="SENDLEDGER_DATA_DIR: cannot use"), only_instance(Path(directory)):
        pytest.fail("the directory cannot be used")
