"""`GET /v1/glossary`: every number, bucket and reason in plain words, for whoever shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

import orjson
from fastapi import APIRouter, Response

from sendledger.domain import glossary as terms
from sendledger.domain import glossary_rates as rates
from sendledger.edges.api.auth import Reader
from sendledger.edges.api.problems import RESPONSES
from sendledger.wire import advice, advice_on_receipts

router = APIRouter(tags=["glossary"], responses=RESPONSES)


@cache
def _document() -> bytes:
    codes = {
        code: {**asdict(said), "class": kind.name, "follows": kind.follows}
        for code, (said, kind) in advice.advised_codes().items()
    }
    return orjson.dumps(
        {
            "numbers": _shown(terms.NUMBERS),
            "buckets": _shown(terms.BUCKETS),
            "rates": _shown(rates.RATES),
            "quality": _shown(rates.QUALITY),
            "stages": _shown(rates.STAGES),
            "states": _shown(terms.STATES),
            "freshness": asdict(terms.FRESHNESS),
            "error_codes": codes,
            "other_error_code": asdict(advice.OTHER_CODE),
            "details": {name: asdict(said) for name, said in advice_on_receipts.DETAILS.items()},
            "status_ranges": [
                {"up_to": name, **asdict(said)} for name, said in advice_on_receipts.STATUS_RANGES.items()
            ],
            "doubt_reasons": {name: asdict(said) for name, said in advice.DOUBTS.items()},
        }
    )


def _shown(found: Mapping[str, terms.Term]) -> dict[str, dict[str, str]]:
    return {name: asdict(term) for name, term in found.items()}


@router.get("/v1/glossary")
async def glossary(_caller: Reader) -> Response:
    """What each number counts and of what it is a share; what each error means, what to do, and if again helps."""
    return Response(_document(), media_type="application/json")
