"""The verbs about campaigns: send, pause, resume, cancel, rate (and status, in its own file)."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, assert_never

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from sendledger.cli import shown, status
from sendledger.cli.context import joining, operator, orders_of, reachable, run
from sendledger.cli.errors import CannotError, FailedError
from sendledger.cli.numbers import following
from sendledger.config import Settings
from sendledger.domain.csv_rows import rows_of
from sendledger.domain.intake import campaign_id_fault, check
from sendledger.domain.submission import Faults, Submission, from_form
from sendledger.edges import intake
from sendledger.edges.orders import Orders
from sendledger.edges.under_way import LOOK_SECONDS, Unread, watching
from sendledger_schemas.campaigns import ACCOUNT, FASTEST

Campaign = Annotated[str, typer.Argument(help="The campaign's id; '*' is the whole account.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit trail.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command(rich_help_panel="Campaigns")(send)
    status.add_to(app)
    for verb in (pause, resume, cancel, rate):
        app.command(rich_help_panel="Campaigns")(verb)


def send(  # noqa: PLR0917 — typer calls it by name
    campaign: Annotated[str, typer.Argument(help="The campaign's id: letters, digits, '.', '-', '_'.")],
    sender: Annotated[str, typer.Option(help="FROM: the short code or name that sends.")],
    recipients: Annotated[Path, typer.Option(metavar="FILE", help="CSV with a header row and a column 'to'.")],
    text: Annotated[str, typer.Option(help="At most 160 characters; a column 'text' goes first.")] = "",
    campaign_ref: Annotated[str, typer.Option(help="CAMPAIGNREF at the provider.")] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="Not before, like 2026-05-01T09:00+02:00.")] = "",
    expires: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Not after; else SENDLEDGER_DEFAULT_EXPIRY_HOURS (7 days) from --at, or from now."
        ),
    ] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check; nothing is written.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send the same file to the same people once more.")] = False,
) -> None:
    """Send a text to everybody in a CSV file. Running the same command twice sends once.

    [bold]Examples[/]
      sendledger send spring --sender 60856 --text 'Hello' --recipients people.csv --dry-run
      sendledger send spring --sender 60856 --text 'Hello' --recipients people.csv
      sendledger send spring --sender 60856 --recipients people.csv --at 2026-05-01T09:00+02:00

    Before anything is sent, it says how many SMS parts the messages take, and which characters force UCS-2.
    Exit code 0 if every row is accepted, 1 if some are refused, 2 if nothing can be sent.
    """
    content = _content(recipients)
    fields = {
        "sender": sender,
        "text": text,
        "campaign_ref": campaign_ref,
        "not_before": at,
        "expires_at": expires,
    }
    submission = _submission(campaign, fields, content)
    settings = joining()
    # Judged here already, at no time: what is wrong at any time is said also while Kafka is away.
    judged = check(submission, region=settings.default_region, now=datetime.min.replace(tzinfo=UTC))
    if isinstance(judged, Faults):
        raise CannotError(_faults(judged))
    if judged.bill is not None:
        typer.echo(shown.parts(judged.bill))
    key = idempotency_key(campaign, sender, text, content, nonce=secrets.token_hex(8) if again else "")
    refused = run(_send(settings, submission, key, dry_run=dry_run), settings=settings)
    if refused:
        raise FailedError("")


def idempotency_key(campaign: str, sender: str, text: str, content: bytes, *, nonce: str) -> str:
    """What makes a command the same command: campaign, sender, text and the file's bytes (and `--again`'s nonce)."""
    digest = hashlib.sha256()
    for part in (campaign.encode(), sender.encode(), text.encode(), content, nonce.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"cli {digest.hexdigest()}"


def pause(campaign: Campaign, reason: Reason = "") -> None:
    """Stop attempting anything new; what is under way is finished.

    [bold]Examples[/]
      sendledger pause spring --reason 'wrong link in the text'
      sendledger pause '*'              the whole account
    """
    _order("pause", campaign, reason)


def resume(campaign: Campaign, reason: Reason = "") -> None:
    """Go on: lifts every pause before it, the automatic ones too.

    [bold]Example[/]
      sendledger resume spring
    """
    _order("resume", campaign, reason)


def cancel(campaign: Campaign, reason: Reason = "") -> None:
    """Withhold for ever what was not attempted yet. There is no way back.

    It names the calls that were in flight: what the provider has got of them cannot be taken back.

    [bold]Example[/]
      sendledger cancel spring --reason 'sold out'
    """
    _order("cancel", campaign, reason)


def rate(
    per_second: Annotated[
        float, typer.Argument(min=0.001, max=FASTEST, help="Messages a second for the account, at most 10,000.")
    ],
) -> None:
    """Set how fast the account sends, from now on.

    [bold]Example[/]
      sendledger rate 50
    """
    settings = joining()

    async def order() -> None:
        async with orders_of(settings) as orders:
            await orders.rate(per_second, by=operator())

    run(order(), settings=settings)
    typer.echo(f"{per_second:g} messages a second from now on")


def _order(what: Literal["pause", "resume", "cancel"], campaign: str, reason: str) -> None:
    if campaign != ACCOUNT and (fault := campaign_id_fault(campaign)):
        raise CannotError(f"{fault.field}: {fault.reason}")
    settings = joining()

    async def order() -> None:
        async with following(settings) as numbers:
            if campaign != ACCOUNT and not numbers.knows(campaign):
                raise CannotError(f"there is no campaign {campaign}")
        async with orders_of(settings) as orders:
            if what == "cancel":
                await _cancel(settings, orders, campaign, reason)
            else:
                await getattr(orders, what)(campaign, by=operator(), reason=reason)
                typer.echo(_ordered(what, campaign))

    run(order(), settings=settings)


def _ordered(what: str, campaign: str) -> str:
    return f"{what}: {'the account' if campaign == ACCOUNT else campaign}"


async def _cancel(settings: Settings, orders: Orders, campaign: str, reason: str) -> None:
    """Give the order, say that it is given, and then whatever can be found out about what was in flight."""
    one = None if campaign == ACCOUNT else campaign
    async with watching(settings) as watch:
        await orders.cancel(campaign, by=operator(), reason=reason)
        typer.echo(_ordered("cancel", campaign))
        found = await watch.in_flight(one)
        if not isinstance(found, Unread):
            found = found.beside(await _attempting(settings, one))
    Console().print(shown.flights(found))


async def _attempting(settings: Settings, campaign: str | None) -> int:
    """How many messages the published numbers count as attempting; 0 if they cannot be read."""
    try:
        async with asyncio.timeout(LOOK_SECONDS), following(settings) as numbers:
            snapshot = numbers.snapshot(datetime.now(UTC), campaign)
    except (CannotError, KafkaError, TimeoutError):
        return 0
    return sum(each["counts"]["attempting"] for each in snapshot)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CannotError(f"--recipients {file}: {error.strerror}") from None


def _submission(campaign: str, fields: dict[str, str], content: bytes) -> Submission:
    rows = rows_of(content)
    made = rows if isinstance(rows, Faults) else from_form(campaign, fields, rows)
    if isinstance(made, Faults):
        raise CannotError(_faults(made))
    return made


_OPTIONS = {"not_before": "--at", "expires_at": "--expires", "campaign_ref": "--campaign-ref", "file": "--recipients"}


def _faults(faults: Faults) -> str:
    return "; ".join(f"{_OPTIONS.get(fault.field, fault.field)}: {fault.reason}" for fault in faults.items)


async def _send(settings: Settings, submission: Submission, key: str, *, dry_run: bool) -> bool:
    """Hand the submission in and tell what became of it; True if rows were refused."""
    await reachable(settings)
    outcome = await intake.submit(settings, submission, key=key, by=operator(), dry_run=dry_run)
    match outcome:
        case intake.Answer(accepted=accepted, refused=refused):
            for row in refused:
                typer.echo(f"row {row.row}: {row.field}: {row.reason}", err=True)
            done = "would be accepted" if dry_run else "accepted"
            typer.echo(f"{accepted} {done}, {len(refused)} refused")
            return bool(refused)
        case Faults():
            raise CannotError(_faults(outcome))
        case intake.KeyReused():
            raise CannotError(
                "the same was sent before with other times or another reference: use --again to repeat it"
            )
        case intake.Cancelled(campaign_id=campaign_id):
            raise CannotError(f"{campaign_id} is cancelled: it takes no more messages")
        case _:
            assert_never(outcome)
