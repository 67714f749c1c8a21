"""Every number and every reason that the API can show is explained (DESIGN §8: nobody has to ask)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from sendledger.domain.numbers import Numbers
from sendledger.wire.advice import OTHER_CODE, advice_on
from sendledger.wire.codes import ERROR_CODES
from sendledger_schemas.responses import UnansweredReason
from sendledger_schemas.states import BUCKETS
from tests.support.api import READ
from tests.support.states import campaign_state
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

EMPTY = Numbers({}, {}, 0, datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
async def glossary(bench: Bench) -> Any:
    """What is served."""
    return (await ask(bench.app, "GET", "/v1/glossary", token=READ)).json


async def test_every_number_has_its_definition(glossary: Any) -> None:
    """Buckets, rates, quality, stages and states: each that the API has is told, and none that it has not."""
    assert set(glossary["buckets"]) == set(BUCKETS)
    assert set(glossary["rates"]) == set(EMPTY.rates())
    assert set(glossary["quality"]) == {*EMPTY.quality(), "receiver_gaps"}
    assert set(glossary["stages"]) == set(EMPTY.latency())
    assert set(glossary["states"]) == {
        "scheduled", "running", "paused", "halted", "cancelled", "finished", "closed",
    }  # fmt: skip


async def test_every_share_names_what_it_is_a_share_of(glossary: Any) -> None:
    """A title, a sentence and the API's field for each number; a denominator for each share."""
    for group in ("numbers", "buckets", "rates", "quality", "stages"):
        for name, term in glossary[group].items():
            assert term["title"], name
            assert term["definition"].endswith("."), name
            assert term["field"], name
            if group in ("rates", "buckets", "stages"):
                assert term["of"], name


async def test_every_code_says_what_to_do(glossary: Any) -> None:
    """Each code of the provider, each detail and each doubt: what it means, what to do, whether again helps."""
    assert {*ERROR_CODES, "HTTP_429"} == set(glossary["error_codes"])
    assert set(get_args(UnansweredReason)) <= set(glossary["doubt_reasons"])
    closed = {"failed", "expired", "not_supported", "rejected", "submit_failed", "other"}
    assert closed <= set(glossary["details"])
    groups = (glossary["error_codes"], glossary["details"], glossary["doubt_reasons"])
    every = [each for group in groups for each in group.values()] + [glossary["other_error_code"]]
    for advice in (*every, *glossary["status_ranges"]):
        assert advice["title"]
        assert advice["meaning"].endswith(".")
        assert advice["action"].endswith((".", "…"))
        assert advice["again"] in ("yes", "later", "no", "twice")


async def test_trying_again_is_advised_as_the_program_does_it(glossary: Any) -> None:
    """A code after which the program tries again by itself says so, and a doubt is never a reason to send again."""
    for code, row in ERROR_CODES.items():
        assert (advice_on(code).again == "yes") is row.error_class.retry, code
        assert advice_on(code) is not OTHER_CODE, code
        assert glossary["error_codes"][code]["class"] == row.error_class.name
    assert {advice["again"] for advice in glossary["doubt_reasons"].values()} == {"twice"}
    assert advice_on("E999").title == "Another refusal"
    assert advice_on(" e110 ").title == "Invalid number"


@pytest.mark.parametrize("number", range(0x40, 0x100))
async def test_every_status_number_has_advice(glossary: Any, number: int) -> None:
    """Each failed status byte is a detail by itself or lies in a range, as the page looks it up."""
    name = f"tp_0x{number:02x}"
    found = [each for each in glossary["status_ranges"] if name <= each["up_to"]]
    assert name in glossary["details"] or found


async def test_latency_is_told_as_a_histogram(bench: Bench) -> None:
    """The bins of a stage add up to its count, rise, and hold its percentiles."""
    counters = {"requested": 6, "l:api:0": 1, "l:api:8": 3, "l:api:40": 2}
    bench.desk.view.states["spring"] = campaign_state("spring", counters=counters)
    found = (await ask(bench.app, "GET", "/v1/campaigns/spring/latency", token=READ)).json
    campaign = (await ask(bench.app, "GET", "/v1/campaigns/spring", token=READ)).json["latency_seconds"]
    assert set(found) == set(campaign)
    assert found["api"] == [
        {"up_to_seconds": 0.001, "count": 1},
        {"up_to_seconds": 0.004, "count": 3},
        {"up_to_seconds": 1.024, "count": 2},
    ]
    assert sum(each["count"] for each in found["api"]) == campaign["api"]["count"]
    assert {campaign["api"][name] for name in ("p50", "p95", "p99")} <= {each["up_to_seconds"] for each in found["api"]}
    assert found["handset"] == []
    assert (await ask(bench.app, "GET", "/v1/campaigns/x/latency", token=READ)).status == 404


async def test_the_account_says_why_nothing_is_sent(bench: Bench) -> None:
    """Without orders it runs; nobody has set a pace."""
    answer = (await ask(bench.app, "GET", "/v1/account", token=READ)).json
    assert answer == {
        "state": "running", "state_reason": None, "state_since": None, "state_by": None, "per_second": None,
    }  # fmt: skip
