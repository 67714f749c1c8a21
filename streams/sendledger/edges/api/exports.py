"""A campaign's messages as one file: CSV, NDJSON or Parquet (DESIGN §8).

Masked CSV and NDJSON go out page by page as they are read. Parquet, and whole numbers, which have to be looked up in
the requests, are made in a temporary file first; nobody can open it by its name when the first byte goes out.
"""

from __future__ import annotations

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import orjson
import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from sendledger.domain.rows import Row, message_row
from sendledger.domain.settled import Policy
from sendledger.domain.spreadsheet import safe_text
from sendledger.edges.api.auth import Caller, Reader
from sendledger.edges.api.desk import Desk, KnownCampaign, TheDesk
from sendledger.edges.api.messages import WantedParameters
from sendledger.edges.api.problems import RESPONSES, Problem, also
from sendledger.edges.exports.database import Database, database
from sendledger.edges.exports.files import Format, write_file
from sendledger.edges.exports.scan import Reading, read_numbers
from sendledger.edges.message_index import Page, Wanted
from sendledger_schemas.states import MessageState
from sendledger_schemas.tables import columns

log = structlog.get_logger()

router = APIRouter(tags=["messages"], responses=RESPONSES)

_COLUMNS = tuple(column.name for column in columns("messages"))
_MEDIA: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_KINDS = [media.partition(";")[0] for media in _MEDIA.values()]
_AT_ONCE = 2
_BLOCK = 256 * 1024

FormatParameter = Annotated[Format, Query(alias="format", description="CSV has no text that a spreadsheet calculates")]
NumbersParameter = Annotated[
    Literal["masked", "full"], Query(description="`full`: whole phone numbers; needs the scope admin, and takes longer")
]


@router.get(
    "/v1/campaigns/{campaign_id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _KINDS}}, **also(404)},
)
async def export(
    *,
    request: Request,
    desk: TheDesk,
    caller: Reader,
    campaign_id: KnownCampaign,
    wanted: WantedParameters,
    format_: FormatParameter = "csv",
    numbers: NumbersParameter = "masked",
) -> Response:
    """All messages of a campaign in one file; days and times are UTC. Numbers are masked unless an admin asks."""
    full = numbers == "full"
    if full:
        _permit(caller, campaign_id)
    headers = {"Content-Disposition": f'attachment; filename="messages.{format_}"'}
    if full or format_ == "parquet":
        async with _turns(request):
            file = await _prepared(desk, campaign_id, wanted, format_, full=full)
        return StreamingResponse(_blocks(file), headers=headers, media_type=_MEDIA[format_])
    pages = desk.view.index.pages(campaign_id, wanted)
    write, head = (_csv, ",".join(_COLUMNS) + "\r\n") if format_ == "csv" else (_ndjson, "")
    body = _written(pages, head, partial(write, wanted.policy))
    return StreamingResponse(body, headers=headers, media_type=_MEDIA[format_])


def _permit(caller: Caller, campaign_id: str) -> None:
    if caller.scope != "admin":
        raise Problem(403, "forbidden", "whole numbers need a token with the scope admin")
    log.info("whole phone numbers exported", by=caller.by, campaign_id=campaign_id)


def _turns(request: Request) -> asyncio.Semaphore:
    """Each export of this kind reads the log and works on a file: so many at once."""
    state = request.app.state
    if not hasattr(state, "exports"):
        state.exports = asyncio.Semaphore(_AT_ONCE)
    turns: asyncio.Semaphore = state.exports
    return turns


# ---------------------------------------------------------------------------------------- page by page
async def _written(pages: Iterator[Page], head: str, write: Callable[[Iterable[bytes]], str]) -> AsyncIterator[str]:
    if head:
        yield head
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        yield await asyncio.to_thread(write, page.items)


def _row(document: bytes, policy: Policy) -> Row:
    return message_row(MessageState.model_validate_json(document), policy)


def _ndjson(policy: Policy, documents: Iterable[bytes]) -> str:
    return "".join(orjson.dumps(_row(document, policy)).decode() + "\n" for document in documents)


def _csv(policy: Policy, documents: Iterable[bytes]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([_cell(value) for value in _row(document, policy).values()] for document in documents)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()  # as DuckDB and JSON write it
    return safe_text(value) if isinstance(value, str) else value


# ---------------------------------------------------------------------------------------- as a file
async def _prepared(desk: Desk, campaign_id: str, wanted: Wanted, format_: Format, *, full: bool) -> BinaryIO:
    """A file, open and already without a name. Errors: StatementError, KafkaError, StandstillError."""
    with tempfile.TemporaryDirectory(prefix="sendledger-export-") as directory:
        with database(Path(directory) / "export.duckdb") as made:
            reading = Reading(made, ("messages",), campaign_id, wanted.policy)
            await asyncio.to_thread(_add, made, desk.view.index.pages(campaign_id, wanted), wanted.policy)
            if full:
                await read_numbers(reading, desk.kafka, progress=lambda _read, _of: None)
            target = Path(directory) / "messages"
            await asyncio.to_thread(_settled, made, target, format_)
        return target.open("rb")


def _add(made: Database, pages: Iterator[Page], policy: Policy) -> None:
    offset = 0
    for page in pages:
        for document in page.items:
            state = MessageState.model_validate_json(document)
            place = {"_partition": 0, "_offset": offset, "_request_partition": state.request.partition}
            row = {**place, "_request_offset": state.request.offset, **message_row(state, policy)}
            made.add("read_messages", row)
            offset += 1


def _settled(made: Database, target: Path, format_: Format) -> None:
    made.settle("messages")
    write_file(made, "messages", target, format_)


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
