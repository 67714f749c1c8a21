"""`GET /v1/account`: whether anything at all is sent, why not, and at which pace."""

from __future__ import annotations

from fastapi import APIRouter, Response

from sendledger.edges.api.auth import Reader
from sendledger.edges.api.campaigns import account_answer
from sendledger.edges.api.desk import TheDesk
from sendledger.edges.api.problems import RESPONSES

router = APIRouter(tags=["account"], responses=RESPONSES)


@router.get("/v1/account")
async def account(desk: TheDesk, _caller: Reader) -> Response:
    """State of the account (`running`, `paused`, `halted`: by the sender itself) and its pace, null if none was set."""
    return account_answer(desk)
