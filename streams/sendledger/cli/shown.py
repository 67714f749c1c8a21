"""Values as tables for a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sendledger.domain.characters import shown
from sendledger.domain.parts import Bill
from sendledger.domain.policies import DEFAULT
from sendledger.tables import latencies, rates
from sendledger_schemas.states import BUCKETS

Json = dict[str, Any]


def campaigns(snapshot: Sequence[Json]) -> Table:
    """One line a campaign: its state and its buckets; a bucket that is empty everywhere has no column."""
    used = [bucket for bucket in BUCKETS if any(campaign["counts"][bucket] for campaign in snapshot)]
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for column in ("campaign", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("requested", *used):
        table.add_column(column.replace("_", " "), justify="right", no_wrap=True)
    for campaign in snapshot:
        counts = campaign["counts"]
        cells = [str(counts[bucket]) if counts[bucket] else "·" for bucket in used]
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


def one(campaign: Json) -> RenderableType:
    """All about one campaign: why it stands as it does, errors, rates, latencies, the receiver's gaps."""
    policy = "" if campaign["policy"] == DEFAULT else f", settled by {campaign['policy']}"
    clock = {None: "", "log": ", as it was known then", "provider": ", what had happened by then"}[
        campaign.get("clock")
    ]
    lines = [f"as of {campaign['as_of']}{clock}{policy}"]
    if campaign["state_reason"] or campaign["state_by"]:
        lines.append(f"{campaign['state']} by {campaign['state_by']}: {campaign['state_reason'] or 'no reason given'}")
    for title, name in (("errors", "error_codes"), ("details", "details"), ("quality", "quality")):
        found = ", ".join(f"{key} {count}" for key, count in campaign[name].items() if count)
        lines.append(f"{title}: {found or 'none'}")
    counts = campaign["counts"]
    lines.append(f"balance: {counts['requested']} requested, {campaign['imbalance']} of them in no bucket or in two")
    lines += [f"receiver away from {gap['from']} to {gap['to']}" for gap in campaign["receiver_gaps"]]
    return Group(*(Text(line) for line in lines), rates(campaign["rates"]), latencies(campaign["latency_seconds"]))


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
