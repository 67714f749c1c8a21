"""`POST /v1/campaigns/{id}/messages`: JSON, or a form with a CSV file (DESIGN §8)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal, assert_never

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from sendledger.domain.csv_rows import rows_of
from sendledger.domain.intake import campaign_id_fault
from sendledger.domain.parts import Bill
from sendledger.domain.submission import Faults, Submission, from_form, from_json
from sendledger.edges.api.auth import Submitter
from sendledger.edges.api.desk import CampaignPath, TheDesk, json
from sendledger.edges.api.guard import LARGEST_SUBMISSION
from sendledger.edges.api.problems import RESPONSES, Problem, also, log_away
from sendledger.edges.intake import Answer, Cancelled, KeyReused, Outcome

router = APIRouter(tags=["messages"], responses=RESPONSES)


class RefusedRow(BaseModel):
    """A row that does not go. Rows count from 1, in a file below the header."""

    row: int
    field: str
    reason: str


class Parts(BaseModel):
    """How many SMS parts the accepted messages take, as the alphabets of GSM count them."""

    encoding: Literal["GSM-7", "UCS-2", "mixed"]
    per_message: dict[str, int] = Field(description="Parts a message → how many messages take so many")
    total: int = Field(description="Parts of all messages")
    not_gsm7: list[str] = Field(description="The characters that force UCS-2, the most frequent first, at most 20")


class SubmissionAnswer(BaseModel):
    """What became of the rows: `accepted` of them are messages now."""

    batch: str
    accepted: int
    refused: list[RefusedRow]
    parts: Parts | None = Field(default=None, description="Of the accepted messages; null if there are none")


_TIME = {"type": "string", "format": "date-time", "description": "With its offset from UTC"}
_SHARED: dict[str, Any] = {
    "sender": {"type": "string", "minLength": 1, "maxLength": 20, "description": "FROM: short code or name"},
    "text": {"type": "string", "minLength": 1, "maxLength": 160},
    "campaign_ref": {"type": "string", "maxLength": 64, "description": "CAMPAIGNREF; else the id, if it is all digits"},
    "operator_id": {"type": "string", "maxLength": 64, "description": "SPID"},
    "not_before": _TIME,
    "expires_at": _TIME,
}
_OPTIONAL = {name: {"anyOf": [told, {"type": "null"}]} for name, told in _SHARED.items() if name != "sender"}
_RECIPIENT = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["to"],
            "properties": {
                "to": {"type": "string"},
                **{name: {"type": ["string", "null"]} for name in ("text", "operator_id")},
            },
        },
        {"description": "Anything else comes back among `refused`, and does not hold up the rows beside it"},
    ]
}
_JSON = {
    "type": "object",
    "additionalProperties": False,
    "required": ["sender", "recipients"],
    "properties": {
        "sender": _SHARED["sender"],
        **_OPTIONAL,
        "recipients": {"type": "array", "minItems": 1, "items": _RECIPIENT},
    },
}
_FORM = {
    "type": "object",
    "required": ["sender", "file"],
    "properties": {**_SHARED, "file": {"type": "string", "contentMediaType": "text/csv"}},
}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": _JSON}, "multipart/form-data": {"schema": _FORM}},
}
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.post(
    "/v1/campaigns/{campaign_id}/messages",
    status_code=202,
    response_model=SubmissionAnswer,
    responses={200: {"model": SubmissionAnswer, "description": "Dry run: nothing was written"}, **also(400, 409)},
    openapi_extra={"requestBody": _BODY},
)
async def submit(
    *,
    request: Request,
    desk: TheDesk,
    caller: Submitter,
    campaign_id: CampaignPath,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(description="Only check: nothing is written")] = False,
) -> Response:
    """Make messages of the rows that can go; the others come back with their reasons.

    The same Idempotency-Key with the same content gives the same answer and no second message; with other content
    it is refused. Without the header each request is a new batch.
    """
    if fault := campaign_id_fault(campaign_id):
        raise _invalid(Faults((fault,)))
    submission = await _read(request, campaign_id)
    if isinstance(submission, Faults):
        raise _invalid(submission)
    key = idempotency_key or secrets.token_hex(16)
    try:
        outcome = await desk.intake.submit(submission, key=key, by=caller.by, dry_run=dry_run)
    except (KafkaError, TimeoutError):
        # who sent no key of their own learns the one under which the same request completes this batch
        raise log_away(idempotency_key=key) from None
    return _answered(outcome, 200 if dry_run else 202)


def _answered(outcome: Outcome, status: int) -> Response:
    match outcome:
        case Answer(batch=batch, accepted=accepted, refused=refused, bill=bill):
            rows = [{"row": row.row, "field": row.field, "reason": row.reason} for row in refused]
            return json({"batch": batch, "accepted": accepted, "refused": rows, "parts": _parts(bill)}, status)
        case Faults():
            raise _invalid(outcome)
        case KeyReused():
            raise Problem(422, "idempotency-key-reused", "this Idempotency-Key was used for another content")
        case Cancelled():
            raise Problem(409, "campaign-cancelled", "the campaign is cancelled: it takes no more messages")
        case _:
            assert_never(outcome)


def _parts(bill: Bill | None) -> dict[str, Any] | None:
    if bill is None:
        return None
    per_message = {str(parts): messages for parts, messages in bill.per_message}
    return {**asdict(bill), "per_message": per_message}


def _invalid(faults: Faults) -> Problem:
    errors = [(fault.field, fault.reason) for fault in faults.items]
    return Problem(422, "invalid", "nothing of this submission can go", errors=errors)


async def _read(request: Request, campaign_id: str) -> Submission | Faults:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match kind:
        case "application/json":
            return await asyncio.to_thread(from_json, campaign_id, await request.body())
        case "multipart/form-data":
            fields, file = await _form(request)
            rows = await asyncio.to_thread(rows_of, file)
            return rows if isinstance(rows, Faults) else from_form(campaign_id, fields, rows)
        case _:
            raise Problem(415, "unsupported-media-type", "send application/json or multipart/form-data")


class _InMemory(MultiPartParser):
    # never a temporary file: it would hold phone numbers outside their place (P7)
    spool_max_size = LARGEST_SUBMISSION + 1


async def _form(request: Request) -> tuple[dict[str, str], bytes]:
    """The form's fields and the bytes of its file. Errors: 400, 422 as problems."""
    stream: AsyncIterator[bytes] = request.stream()
    try:
        form = await _InMemory(request.headers, _as_generator(stream), max_files=1, max_fields=20).parse()
    except (MultiPartException, KeyError, ValueError, LookupError):
        raise Problem(400, "unreadable-form", "the form cannot be read: check its boundary and its parts") from None
    try:
        return _fields(form), await _file(form)
    finally:
        await form.close()


async def _as_generator(stream: AsyncIterator[bytes]) -> Any:
    async for chunk in stream:
        yield chunk


def _fields(form: FormData) -> dict[str, str]:
    names = [name for name, _ in form.multi_items()]
    if len(set(names)) < len(names):
        raise Problem(422, "invalid", "nothing of this submission can go", errors=[("body", "a field comes twice")])
    return {name: value for name, value in form.items() if isinstance(value, str) and name != "file"}


async def _file(form: FormData) -> bytes:
    match form.get("file"):
        case UploadFile() as upload:
            return await upload.read()
        case str() as inline:
            return inline.encode("utf-8", "surrogatepass")
        case _:
            raise Problem(422, "invalid", "nothing of this submission can go", errors=[("file", "missing")])
