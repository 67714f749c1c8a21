"""The plans of chaos rounds: the same again for a seed, and together everything that can happen."""

from __future__ import annotations

from sendledger.edges.failpoints import STEPS
from sendledger.simulator.profile import Profile, changed
from tests.chaos.plan import ALWAYS, FAULTS, profile
from tests.chaos.plan import plan as plan_of

ROUNDS = 200


def test_a_seed_and_a_number_make_the_same_plan() -> None:
    """What a violation names can be played once more; another number is another plan."""
    assert plan_of(7, 3) == plan_of(7, 3)
    assert plan_of(7, 3).acts != plan_of(7, 4).acts


def test_two_hundred_rounds_have_everything_in_them() -> None:
    """Every kind of act, every fault of the provider, every failpoint both ways, and 500 messages in each."""
    plans = [plan_of(1, number) for number in range(ROUNDS)]
    acts = [act for plan in plans for act in plan.acts]
    assert {act.kind for act in acts} == {"kill", "stop", "term", "pause", "rate", "cancel", "fault", "outage", "ask"}
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
