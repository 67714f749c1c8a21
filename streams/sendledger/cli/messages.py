"""The verbs about single messages and recipients: message, resolve, suppress."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from sendledger.cli.context import joining, operator, orders_of, reachable, run
from sendledger.cli.errors import CannotError
from sendledger.cli.numbers import following
from sendledger.config import Settings
from sendledger.domain.phone import Refusal, canonical
from sendledger.edges.timeline import Step, find_state, timeline
from sendledger_schemas.decisions import RecipientSuppressed
from sendledger_schemas.states import MessageState

_SHOWN = (
    "bucket", "detail", "error_code", "doubt_reason", "doubt_since", "attempts", "requested_at", "attempted_at",
    "responded_at", "sent_at", "settled_at", "operator_id", "conflicted",
)  # fmt: skip

MessageId = Annotated[str, typer.Argument(help="The message's id.")]
Number = Annotated[str, typer.Argument(help="The telephone number, international.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command(rich_help_panel="Messages")(message)
    app.command(rich_help_panel="Messages")(resolve)
    suppressions = typer.Typer(help="Recipients who must get nothing.", no_args_is_help=True)
    suppressions.command("add")(suppress_add)
    suppressions.command("remove")(suppress_remove)
    suppressions.command("list")(suppress_list)
    app.add_typer(suppressions, name="suppress", rich_help_panel="Messages")


def message(
    message_id: MessageId,
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What became of one message: its state, and its timeline from the events themselves.

    [bold]Example[/]
      sendledger message 5krgnv3vkw2qbxynzm4uxkq2iy

    Ids stand in `GET /v1/campaigns/CAMPAIGN/messages` and in its export.
    """
    settings = joining()
    state, steps = run(_message(settings, message_id), settings=settings)
    facts = {"message_id": state.message_id, "campaign_id": state.campaign_id, "to": f"***{state.to_last3}"}
    facts |= {name: value for name, value in state.model_dump(mode="json").items() if name in _SHOWN and value}
    if json:
        json_format.dump({**facts, "timeline": [step.shown() for step in steps]}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    console = Console()
    for name, value in facts.items():
        console.print(f"{name.replace('_', ' '):14} {value}", markup=False, highlight=False)
    for step in steps:
        console.print(_line(step), markup=False, highlight=False, soft_wrap=True)


def resolve(
    message_id: MessageId,
    *,
    resolution: Annotated[
        Literal["sent", "withhold", "resend"],
        typer.Option("--as", help="sent: it counts as accepted; withhold: it is cancelled; resend: it goes out again."),
    ],
    note: Annotated[str, typer.Option(help="Why; it stands in the audit trail.")] = "",
) -> None:
    """Settle a message in doubt. Only `resend` can make it arrive twice, and only an operator can cause that.

    [bold]Example[/]
      sendledger resolve 5krgnv3vkw2qbxynzm4uxkq2iy --as sent --note 'the provider confirmed it by telephone'

    `sendledger status CAMPAIGN` lists the ids of what is in doubt. A `resend` is void once a postback has settled the
    message: it does not go out again then.
    """
    settings = joining()

    async def decide() -> None:
        state = await _state(settings, message_id)
        if state.bucket != "in_doubt":
            raise CannotError(f"the message is {state.bucket}: there is no doubt to resolve")
        async with orders_of(settings) as orders:
            await orders.resolve(state, resolution, by=operator(), note=note)

    run(decide(), settings=settings)
    typer.echo(f"{message_id}: {resolution}")


def suppress_add(number: Number, reason: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """From now on this recipient gets nothing.

    [bold]Example[/]
      sendledger suppress add +15551234888 --reason 'asked to be left alone'
    """
    settings = joining()
    digits = _digits(number, settings)

    async def order() -> None:
        async with orders_of(settings) as orders:
            await orders.suppress(digits, by=operator(), reason=reason)

    run(order(), settings=settings)
    typer.echo(f"***{digits[-3:]} gets nothing more")


def suppress_remove(number: Number) -> None:
    """Lift the suppression of a recipient.

    [bold]Example[/]
      sendledger suppress remove +15551234888
    """
    settings = joining()
    digits = _digits(number, settings)

    async def order() -> None:
        async with following(settings) as numbers, orders_of(settings) as orders:
            recipient = orders.recipient(digits)
            if recipient not in numbers.suppressions:
                raise CannotError(f"***{digits[-3:]} is not suppressed")
            await orders.unsuppress(recipient)

    run(order(), settings=settings)
    typer.echo(f"***{digits[-3:]} may get messages again")


def suppress_list() -> None:
    """Who is suppressed: masked number, since when, by whom and why."""
    settings = joining()

    async def read() -> Table:
        table = Table("to", "since", "by", "reason", "recipient", box=None, header_style="bold", padding=(0, 2))
        async with following(settings) as numbers:
            for recipient, event in numbers.suppressions.items():
                data = event.data
                assert isinstance(data, RecipientSuppressed)  # noqa: S101 — the only event of that topic
                since = event.time.isoformat(timespec="seconds")
                table.add_row(f"***{data.to_last3}", since, data.by, data.reason, recipient)
        return table

    Console().print(run(read(), settings=settings))


def _digits(number: str, settings: Settings) -> str:
    digits = canonical(number, settings.default_region)
    if isinstance(digits, Refusal):
        raise CannotError(f"the number cannot be used: {digits.reason}")
    return digits


async def _state(settings: Settings, message_id: str) -> MessageState:
    await reachable(settings)
    state = await find_state(settings.kafka, message_id, partitions=settings.partitions)
    if state is None:
        raise CannotError(f"there is no message {message_id}")
    return state


async def _message(settings: Settings, message_id: str) -> tuple[MessageState, list[Step]]:
    state = await _state(settings, message_id)
    return state, await timeline(settings.kafka, state)


def _line(step: Step) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in step.facts.items())
    place = f"{step.topic}, partition {step.partition}, offset {step.offset}"
    at = step.at.isoformat(timespec="milliseconds")
    return f"{at}  {step.says}\n    {step.what}: {facts}  [{place}]"
