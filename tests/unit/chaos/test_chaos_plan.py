"""The plans of chaos rounds: the same again for a seed, and together everything that can happen."""

from __future__ import annotations

import random
from typing import get_args

from sendledger.edges.failpoints import STEPS
from sendledger.simulator.profile import Profile, changed
from tests.chaos.plan import ALWAYS, FAULTS, Kind, profile
from tests.chaos.plan import plan as plan_of
from tests.chaos.requests import recipient, requests

ROUNDS = 200


def test_a_seed_and_a_number_make_the_same_plan() -> None:
    """What a violation names can be played once more; another number is another plan."""
    assert plan_of(7, 3) == plan_of(7, 3)
    assert plan_of(7, 3).acts != plan_of(7, 4).acts


def test_two_hundred_rounds_have_everything_in_them() -> None:
    """Every kind of act, every fault of the provider, every failpoint both ways, and 500 messages in each."""
    plans = [plan_of(1, number) for number in range(ROUNDS)]
    acts = [act for plan in plans for act in plan.acts]
    assert {act.kind for act in acts} == set(get_args(Kind))
    assert {name for act in acts for name in act.faults} == set(FAULTS)
    arms = {arm.partition("@")[0] for plan in plans for arm in plan.arms if arm}
    assert arms == {f"{step}:{how}" for step in STEPS for how in ("kill", "stop")}
    for plan in plans:
        asked = plan.asked + sum(int(act.amount) for act in plan.acts if act.kind == "ask")
        assert asked == 520
        assert any(act.kind == "kill" for act in plan.acts)
        assert any(act.kind == "pause" for act in plan.acts)


def test_the_simulator_takes_every_profile() -> None:
    """No fault is refused when it is switched on."""
    for plan in (plan_of(1, number) for number in range(ROUNDS)):
        for act in plan.acts:
            if act.faults:
                assert changed(Profile(), ALWAYS | profile(act.faults, act.amount)) != Profile()


def test_what_is_asked_for_has_everything_in_it() -> None:
    """Some expire soon, some are for later, some go to the same number; none is asked for twice."""
    asked = requests(0, 520, random.Random(1), 8.0)
    assert len({one.message_id for one in asked}) == 520
    assert 5 < len([one for one in asked if one.expires_at]) < 40
    assert 10 < len([one for one in asked if one.not_before]) < 60
    assert 460 < len({one.to for one in asked}) < 490
    assert [one.to for one in asked] == [recipient(row) for row in range(520)]
