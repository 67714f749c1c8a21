"""Values as tables for a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sendledger.domain.characters import shown
from sendledger.domain.parts import Bill
from sendledger.domain.policies import DEFAULT
from sendledger.edges.under_way import Flights, Unread
from sendledger.tables import latencies, rates
from sendledger_schemas.states import BUCKETS, MessageState

Json = dict[str, Any]

DOUBTS = 10
"""Messages in doubt that `status` names; the others are counted."""


def campaigns(snapshot: Sequence[Json]) -> Table:
    """One line a campaign: its state and its buckets; a bucket that is empty everywhere has no column.

    Behind them what is unknown, if anything is: no bucket, but a part of accepted and sent.
    """
    used = [name for name in (*BUCKETS, "unknown") if any(campaign["counts"][name] for campaign in snapshot)]
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for column in ("campaign", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("requested", *used):
        title = "of these unknown" if column == "unknown" else column.replace("_", " ")
        table.add_column(title, justify="right", no_wrap=True)
    for campaign in snapshot:
        counts = campaign["counts"]
        cells = [str(counts[name]) if counts[name] else "·" for name in used]
        table.add_row(campaign["campaign_id"], campaign["state"], str(counts["requested"]), *cells)
    return table


def imbalances(snapshot: Sequence[Json]) -> list[str]:
    """A line for each campaign whose buckets do not add up: it must never be there (P6)."""
    return [
        f"WRONG NUMBERS: of {campaign['campaign_id']} {campaign['counts']['requested']} messages were requested, but "
        f"its buckets add up to {campaign['counts']['requested'] - campaign['imbalance']}: run `sendledger verify`"
        for campaign in snapshot
        if campaign["imbalance"]
    ]


def standing(snapshot: Sequence[Json]) -> list[str]:
    """A line for each campaign that somebody, or the sender itself, has stopped: by whom, since when and why."""
    return [f"{campaign['campaign_id']} is {_why(campaign)}" for campaign in snapshot if campaign["state"] in _STOPPED]


_STOPPED = ("paused", "halted")


def _why(campaign: Json) -> str:
    reason = campaign["state_reason"] or "no reason given"
    return f"{campaign['state']} by {campaign['state_by']}: {reason} (since {campaign['state_since']})"


def flights(found: Flights | Unread) -> RenderableType:
    """The calls that a cancel came too late for."""
    if isinstance(found, Unread):
        return Text(f"what was in flight could not be read: {found.reason}")
    older = (
        f"the numbers count {found.older} more as attempting, from before the last {found.seconds} s: perhaps sent. "
        "They become doubts once a sender runs, unless the numbers are behind: sendledger status CAMPAIGN"
    )
    rest = [Text(older)] if found.older else []
    if not found.count:
        return Group(Text(f"nothing of the last {found.seconds} s was in flight"), *rest)
    head = Text(f"{found.count} in flight: what the provider has got of them cannot be taken back")
    table = _messages("to", "attempt", "since", "became")
    for flight in found.items:
        since = flight.since.isoformat(timespec="seconds")
        table.add_row(flight.message_id, flight.to, str(flight.attempt), since, flight.became)
    more = found.count - len(found.items)
    return Group(head, table, *([Text(f"and {more} more")] if more else []), *rest)


def _messages(*columns: str) -> Table:
    """A table whose first column is the message's id, whole however narrow the terminal: it is to be copied."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("message", no_wrap=True, min_width=_ID)
    for column in columns:
        table.add_column(column)
    return table


_ID = 26  # characters of a message's id


def doubts(found: Sequence[MessageState]) -> RenderableType:
    """What is in doubt, the newest first, and how to settle it. Nothing without any."""
    if not found:
        return Group()
    head = Text(f"{len(found)} in doubt: perhaps sent, perhaps not, and never sent again by itself")
    table = _messages("to", "since", "reason")
    for state in found[:DOUBTS]:
        since = "" if state.doubt_since is None else state.doubt_since.isoformat(timespec="seconds")
        table.add_row(state.message_id, f"***{state.to_last3}", since, state.doubt_reason or "")
    more = len(found) - DOUBTS
    rest = f"and {more} more: GET /v1/campaigns/{found[0].campaign_id}/messages?bucket=in_doubt"
    how = "to settle one: sendledger resolve MESSAGE --as sent|withhold|resend"
    return Group(head, table, *(Text(line) for line in ([rest] if more > 0 else []) + [how]))


def one(campaign: Json) -> RenderableType:
    """All about one campaign: why it stands as it does, errors, rates, latencies, the receiver's gaps."""
    policy = "" if campaign["policy"] == DEFAULT else f", settled by {campaign['policy']}"
    clock = {None: "", "log": ", as it was known then", "provider": ", what had happened by then"}[
        campaign.get("clock")
    ]
    lines = [f"as of {campaign['as_of']}{clock}{policy}"]
    if campaign["state_reason"] or campaign["state_by"]:
        lines.append(_why(campaign))
    for title, name in (("errors", "error_codes"), ("details", "details"), ("quality", "quality")):
        found = ", ".join(f"{key} {count}" for key, count in campaign[name].items() if count)
        lines.append(f"{title}: {found or 'none'}")
    counts = campaign["counts"]
    lines.append(f"balance: {counts['requested']} requested, {campaign['imbalance']} of them in no bucket or in two")
    lines += [_gap(gap) for gap in campaign["receiver_gaps"]]
    return Group(*(Text(line) for line in lines), rates(campaign["rates"]), latencies(campaign["latency_seconds"]))


def _gap(gap: Json) -> str:
    """One absence of a receiver. The provider tries five times, 5 minutes apart, and then gives a receipt up."""
    since, until = (datetime.fromisoformat(gap[end]).astimezone(UTC) for end in ("from", "to"))
    day = "" if since.date() == until.date() else f"{until:%Y-%m-%d} "
    when = f"{since:%H:%M}–{day}{until:%H:%M}"
    return f"receiver away {when}: receipts may be missing ({gap['receiver']}, {since:%Y-%m-%d}, UTC)"


def parts(bill: Bill) -> str:
    """How many parts messages take, on one line; and which characters are the reason, if it is UCS-2."""
    sizes = bill.per_message
    least, most = sizes[0][0], sizes[-1][0]
    each = f"{least} to {most}" if least < most else str(most)
    how_many = f" ({', '.join(f'{count}: {messages}' for count, messages in sizes)})" if least < most else ""
    encoding = "GSM-7 and UCS-2" if bill.encoding == "mixed" else bill.encoding
    noun = "part" if most == 1 else "parts"
    line = f"{encoding}, {each} {noun} a message{how_many}, {bill.total} in all"
    if not bill.not_gsm7:
        return line
    return f"{line}; not in GSM-7: {', '.join(shown(character) for character in bill.not_gsm7)}"


def settings(echo: Json) -> Table:
    """Every setting with its value."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, value in echo.items():
        table.add_row(Text(name), Text(str(value)))
    return table
