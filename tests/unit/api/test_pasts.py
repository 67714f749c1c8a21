"""Campaigns at earlier moments over HTTP: folded in the background, a few at a time, and kept (DESIGN §8)."""

from __future__ import annotations

import asyncio

import pytest

from sendledger.edges.api.pasts import Pasts
from sendledger.edges.api.problems import Problem
from sendledger.edges.past import NotYetError
from sendledger.edges.verify.log import LogCutError
from tests.support.api import READ, Answer
from tests.support.kafka import eventually
from tests.support.pasts import Folds, asked
from tests.support.states import campaign_state
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


async def refused(pasts: Pasts, ago: float = 3_600) -> Problem:
    """The problem that a question gets."""
    with pytest.raises(Problem) as found:
        await pasts.get(asked(ago=ago))
    return found.value


async def get(bench: Bench, query: str) -> Answer:
    """What a reader gets of the campaign spring."""
    bench.desk.view.states["spring"] = campaign_state("spring")
    return await ask(bench.app, "GET", f"/v1/campaigns/spring?{query}", token=READ)


async def test_a_campaign_as_it_was(bench: Bench) -> None:
    """The answer names the moment and the clock, and reads under the policy that was asked for."""
    bench.folds.gate.set()
    found = await get(bench, "at=2026-05-01T09:00%2B02:00&policy=delivered-wins")
    assert found.status == 200
    named = {name: found.json[name] for name in ("at", "clock", "policy", "as_of")}
    assert named == {"at": "2026-05-01T07:00:00.000000Z", "clock": "log", "policy": "delivered-wins",
                     "as_of": "2026-05-01T07:00:00+00:00"}  # fmt: skip
    assert found.json["counts"]["delivered"] == 2
    assert (await get(bench, "at=2026-05-01&clock=provider")).json["clock"] == "provider"
    assert [one.clock for one in bench.folds.began] == ["log", "provider"]


ERRORS = [
    (NotYetError("it was registered at noon"), 404, "not-yet-registered"),
    (LogCutError("retention has deleted it"), 410, "log-cut"),
    (TimeoutError(), 503, "log-away"),
    (RuntimeError("no"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "kind"), ERRORS)
async def test_what_cannot_be_folded_is_a_problem(bench: Bench, error: Exception, status: int, kind: str) -> None:
    """Each reason has its status, and the next one who asks gets another try."""
    bench.folds.gate.set()
    bench.folds.error = error
    found = await get(bench, "at=2026-05-01")
    assert (found.status, found.kind) == (status, kind)
    bench.folds.error = None
    assert (await get(bench, "at=2026-05-01")).status == 200


async def test_who_asks_again_joins_the_same_fold() -> None:
    """A fold that takes longer than one waits says how far it is and at which moment to ask again."""
    folds = Folds()
    pasts, question = Pasts(folds, patience=0.01), asked()
    for _ in range(3):
        with pytest.raises(Problem) as found:
            await pasts.get(question)
        assert (found.value.status, found.value.kind) == (503, "still-folding")
        assert "3 of 7 records" in found.value.detail
        assert "status CAMPAIGN --at" in found.value.detail
        assert found.value.headers == {"Retry-After": "2"}
        assert found.value.more["at"].startswith(f"{question.moment:%Y-%m-%dT%H:%M:%S}")
    folds.gate.set()
    await eventually(lambda: pasts_done(pasts), what="the fold is done")
    assert (await pasts.get(question)).asked == question
    assert folds.began == [question]


def pasts_done(pasts: Pasts) -> bool:
    """Whether no fold runs."""
    return all(job.task.done() for job in pasts._jobs.values())


@pytest.mark.parametrize(("ago", "kept"), [(3_600, 3_000), (5, 30)])
async def test_what_never_changes_is_kept_for_longer(ago: float, kept: float) -> None:
    """A moment that lies back is folded once; a young one, whose records may still come, again after a minute."""
    folds, hands = Folds(), Hands()
    folds.gate.set()
    pasts, question = Pasts(folds, hands), asked(ago=ago)
    await pasts.get(question)
    hands.now += kept
    await pasts.get(question)
    assert len(folds.began) == 1
    hands.now += 2 * kept
    await pasts.get(question)
    assert len(folds.began) == 2


async def test_few_at_a_time() -> None:
    """Two folds run, some wait, and more are turned away: reading the log must not take the API from everybody else."""
    folds = Folds()
    pasts = Pasts(folds, patience=0)
    kinds = [(await refused(pasts, 3_600 + n)).kind for n in range(20)]
    assert kinds == ["still-folding"] * 16 + ["busy"] * 4
    await eventually(lambda: len(folds.began) == 2, what="the first ones run")
    folds.gate.set()
    await eventually(lambda: len(folds.began) == 16, what="the others had their turn")
    assert folds.most_at_once == 2
    await pasts.close()


async def test_what_nobody_waits_for_ends() -> None:
    """A fold that nobody has asked for in two minutes gives its place to others."""
    folds, hands = Folds(), Hands()
    pasts, question = Pasts(folds, hands, patience=0.01), asked()
    with pytest.raises(Problem):
        await pasts.get(question)
    hands.now += 121
    folds.gate.set()
    await eventually(lambda: pasts_done(pasts), what="it has ended")
    assert (await pasts.get(question)).asked == question
    assert len(folds.began) == 2


async def test_the_end_of_the_api_ends_the_folds() -> None:
    """Nothing is left running, and nobody waits for it."""
    folds = Folds()
    pasts = Pasts(folds)
    waiting = asyncio.create_task(pasts.get(asked()))
    await eventually(lambda: folds.began, what="it runs")
    await pasts.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
