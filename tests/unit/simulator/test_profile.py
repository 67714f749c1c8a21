from __future__ import annotations

from typing import Any

import pytest

from sendledger.simulator.profile import CALM, PRESETS, Misbehaviour, Profile, as_json, changed


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"early": 1.1}, "early: a share"),
        ({"repeat": -0.1}, "repeat: a share"),
        ({"latency_ms": (10, 5)}, "latency_ms: a range"),
        ({"sent_after": (-1, 5)}, "sent_after: a range"),
        ({"errors": {"E110": 0.6}, "misbehave": {Misbehaviour.HTML: 0.6}}, "over 1 together"),
        ({"errors": {"E110": -0.1}}, "errors"),
        ({"receipts": {64: 0.6, 70: 0.6}}, "receipts: shares over 1"),
        ({"receipts": {256: 0.1}}, "STATUS number"),
        ({"rate": 0}, "rate"),
        ({"burst": 0}, "burst"),
        ({"hang_seconds": -1}, "not below 0"),
    ],
)
def test_impossible_profiles_are_refused(fields: dict[str, Any], complaint: str) -> None:
    """A profile that cannot be is refused with the name of the field."""
    with pytest.raises(ValueError, match=complaint):
        Profile(**fields)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"lattency_ms": [1, 2]}, "lattency_ms"),
        ({"misbehave": {"explode": 1}}, "explode"),
        ({"form": "fax"}, "fax"),
        ({"early": "often"}, "early"),
        ({"throttle_code": "E110"}, "E110"),
        ({"early": 2}, "early"),
    ],
)
def test_impossible_changes_are_refused(changes: dict[str, Any], complaint: str) -> None:
    """A change that cannot be is refused with what is wrong, and the profile stays."""
    with pytest.raises(ValueError, match=complaint):
        changed(CALM, changes)


def test_a_change_replaces_whole_fields_and_leaves_the_others() -> None:
    """What a switch names is replaced, what it does not name stays."""
    before = changed(CALM, {"errors": {"E110": 0.5}, "early": 0.25})
    after = changed(before, {"errors": {"E713": 1}, "receipts": {"70": 0.5}, "misbehave": {}})
    assert (after.errors, after.receipts, after.early) == ({"E713": 1.0}, {70: 0.5}, 0.25)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_profile_survives_its_json(preset: Profile) -> None:
    """What `GET /status` shows can be given back to `POST /switch` and changes nothing."""
    assert changed(CALM, as_json(preset)) == preset


def test_the_presets_are_what_they_say() -> None:
    """Calm has no failure at all, hostile has every misbehaviour."""
    assert not CALM.errors
    assert not CALM.misbehave
    assert set(PRESETS["hostile"].misbehave) == set(Misbehaviour)
