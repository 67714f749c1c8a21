"""Senders killed with -9, and paused beyond their session, at each step of DESIGN §6; the provider's ledger judges.

Real senders, a real Kafka, the simulator as a process. All victims work side by side, on partitions of the same topics,
next to one sender that nothing happens to. `make chaos` adds rounds in which step, visit, kill or pause, and refusals
of the provider come by chance. The seed is printed; CHAOS_SEED=n repeats it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sendledger.config import Settings
from sendledger.domain.message import Attempt
from sendledger.edges.failpoints import STEPS
from sendledger.simulator.ledger_reader import read_ledger
from tests.support.chaos import Scale
from tests.support.kafka import SharedBroker, fresh_topics
from tests.support.sender import sending
from tests.support.sender_crew import Crew, Member, crew_of, wake
from tests.support.sender_truth import Name, Ours, judge, read_ours, sha256_of
from tests.support.simulator_process import Running, running

SCALE = Scale()
BEFORE_ITS_CALL = ("before_claim", "claim_unacknowledged", "claim_acknowledged", "before_call")
UNANSWERED = ("request_written", "answer_read")
ANSWERED = ("response_written", "cursor_moved")
QUIET = ("--latency-ms", "5-30")
REFUSALS = ("--error", "E110=0.05", "--error", "E120=0.05")


@dataclass
class Stage:
    """What every test here begins with."""

    crew: Crew
    provider: Running

    async def judged(self, ours: Ours, what: str) -> None:
        """The end of each round: nothing is wrong anywhere."""
        suspects = {member.worker for member in self.crew.members if member.arm}
        verdict = judge(ours, self.provider.ledger, self.crew.requests, suspects)
        print(f"{what}: seed {SCALE.seed}, {verdict}")  # noqa: T201
        assert verdict.violations == [], self.crew.told()

    def submitted(self) -> set[str]:
        """The messages that the provider has seen."""
        texts = {message.text_sha256 for message in read_ledger(self.provider.ledger).messages}
        return {request.message_id for request in self.crew.requests if sha256_of(request.text) in texts}


@pytest.fixture(params=[QUIET], ids=["quiet"])
async def stage(shared_broker: SharedBroker, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A partition for each victim and more; nothing is on the log."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    on: Settings = shared_broker.settings(tmp_path, partitions=12, session_timeout=2.0)
    await fresh_topics(on)
    async with running(tmp_path, *request.param) as provider:
        settings = sending(on, provider.url, provider_timeout=1.0, send_rate=1_000.0)
        async with crew_of(settings) as crew:
            yield Stage(crew, provider)


def all_struck(victims: list[Member]) -> bool:
    """Whether each failpoint has done its work."""
    return all(victim.has_struck for victim in victims)


def open_of(ours: Ours, victim: Member) -> set[Name]:
    """The attempts that a victim claimed and has not answered."""
    return {name for name, attempt in ours.of(victim.worker).items() if attempt.response is None}


async def test_a_kill_at_each_step_sends_nothing_twice_and_loses_nothing(stage: Stage) -> None:
    """Each victim dies at its first visit to its step; what it leaves is what that step promises."""
    crew = stage.crew
    _, *victims = await crew.start("", *(f"{step}:kill" for step in STEPS))
    await crew.ask(120)
    await crew.ask_until(lambda: all_struck(victims), "each has been killed at its step")
    ours = await crew.all_ended()
    await stage.judged(ours, "killed")
    there = stage.submitted()
    for victim, step in zip(victims, STEPS, strict=True):
        claimed, left = ours.of(victim.worker), open_of(ours, victim)
        out = {name for name in left if name[0] in there}
        told = f"{step}: {len(claimed)} claims, {len(left)} without an answer, {len(out)} of those with the provider"
        print(told)  # noqa: T201
        assert bool(claimed) == (step != "before_claim"), told
        if step != "request_written":  # it strikes some turns later: another call may have its answer
            assert (len(claimed) > len(left)) == (step in ANSWERED), told
        if step not in ANSWERED:  # there others are in flight beside the one that was answered
            assert bool(out) == (step in UNANSWERED), told


async def test_a_pause_at_each_step_beyond_the_session_does_no_harm(stage: Stage) -> None:
    """Another sender takes over what was claimed; who wakes up calls nothing that he had claimed before.

    Afterwards the woken ones are alone, and send what is new: they are members again, and all that was old is behind
    them.
    """
    crew = stage.crew
    healthy, *victims = await crew.start("", *(f"{step}:stop" for step in STEPS))
    await crew.ask(120)
    await crew.ask_until(lambda: all_struck(victims), "each has been stopped at its step")
    await crew.ask(40)
    before = await crew.all_ended()
    held = {victim.worker: open_of(before, victim) for victim in victims}
    wake(victims)
    assert await healthy.end() == 0
    await crew.ask(40)
    ours = await crew.all_ended()
    assert [await victim.end() for victim in victims] == [0] * len(victims)
    ours = await crew.all_ended()
    await stage.judged(ours, "paused")
    attempts = dict(ours.attempts())
    for victim, step in zip(victims, STEPS, strict=True):
        ends = Counter(_end(attempts[name]) for name in held[victim.worker])
        print(f"{step}: {dict(ends)}")  # noqa: T201
        if step in BEFORE_ITS_CALL:
            assert set(ends) <= {"not_sent", "none"}, f"called when it was not its own any more: {ends}"
        if step in ("claim_unacknowledged", "claim_acknowledged", "before_call"):
            assert ends["not_sent"], "it had nothing in its hands: this run proves nothing"
        if step == "answer_read":
            assert ends["accepted"], "the late answer did not come"


def _end(attempt: Attempt) -> str:
    return "none" if attempt.response is None else attempt.response.kind


async def _round(crew: Crew, chance: random.Random, what: str) -> None:
    """Victims by chance beside one healthy sender; the paused ones are woken when their work has been taken over."""
    arms = [f"{chance.choice(STEPS)}:{chance.choice(('kill', 'stop'))}@{chance.randint(1, 12)}" for _ in range(4)]
    print(f"{what}: {', '.join(arms)}")  # noqa: T201
    healthy, *victims = await crew.start("", *arms)
    await crew.ask(200)
    await crew.ask_until(lambda: all_struck(victims), "each has struck itself")
    await crew.all_ended()
    paused = [victim for victim in victims if victim.is_stopped]
    wake(paused)
    if paused:
        assert await healthy.end() == 0
    await crew.ask(100)
    await crew.all_ended()
    for member in paused or [healthy]:
        assert await member.end() == 0


@pytest.mark.skipif(not SCALE.long, reason="one of the long ones: CHAOS=long")
@pytest.mark.parametrize("stage", [(*QUIET, *REFUSALS)], indirect=True, ids=["refusals"])
async def test_any_step_at_any_visit(stage: Stage) -> None:
    """Kill and pause by chance, at any visit, with refusals and throttles of the provider: twelve rounds on one log."""
    chance = random.Random(SCALE.seed)
    for number in range(12):
        await _round(stage.crew, chance, f"round {number}")
        await stage.judged(await read_ours(stage.crew.settings), f"round {number}")
