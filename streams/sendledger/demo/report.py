"""What the demo shows: the live view while it runs, the tables at its end. Values → rich renderables, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sendledger.demo.compare import Compared
from sendledger.tables import latencies, rates
from sendledger_schemas.states import BUCKETS

_COLOURS = {"delivered": "green", "undelivered": "red", "rejected": "red", "in_doubt": "yellow", "sent": "cyan"}
_OPEN = ("queued", "attempting")

Json = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """One look at a running demo. `campaigns`: id → as the API shows it; `rate`: calls a second just now."""

    seconds: float
    expected: Mapping[str, int]
    campaigns: Mapping[str, Json]
    simulator: Json
    rate: float
    waiting_for: str
    events: Sequence[str] = field(default=())

    @property
    def answered(self) -> int:
        """Messages that are no longer queued or under way."""
        return sum(_answered(campaign) for campaign in self.campaigns.values())


def _answered(campaign: Json) -> int:
    counts = campaign["counts"]
    return int(counts["requested"] - sum(counts[bucket] for bucket in _OPEN))


def live(picture: Picture) -> RenderableType:
    """The view on a terminal."""
    used = [bucket for bucket in BUCKETS if any(c["counts"][bucket] for c in picture.campaigns.values())]
    table = Table(header_style="bold", box=None, padding=(0, 1))
    for column in ("campaign", "answered", "", *used):
        side: Literal["left", "right"] = "left" if column in ("campaign", "") else "right"
        table.add_column(column.replace("_", " "), justify=side, no_wrap=True)
    for campaign_id, campaign in picture.campaigns.items():
        total, answered = picture.expected[campaign_id], _answered(campaign)
        cells = [_count(bucket, campaign["counts"][bucket]) for bucket in used]
        bar = ProgressBar(total=max(1, total), completed=answered, width=12)
        table.add_row(campaign_id, f"{answered}/{total}", bar, *cells)
    return Group(Text(line(picture), style="bold"), table, errors(picture.campaigns), *map(Text, picture.events[-4:]))


def _count(bucket: str, number: int) -> Text:
    return Text(str(number) if number else "·", style=_COLOURS.get(bucket, "") if number else "dim")


def line(picture: Picture) -> str:
    """The same in one line, for logs and pipes."""
    posted = picture.simulator.get("postbacks", {})
    return (
        f"{picture.seconds:5.1f} s  {picture.answered}/{sum(picture.expected.values())} answered  "
        f"{picture.rate:.0f} calls/s  {posted.get('delivered', 0)} postbacks taken, {posted.get('pending', 0)} to come"
        f"  waiting for {picture.waiting_for}"
    )


def errors(campaigns: Mapping[str, Json]) -> Text:
    """Error codes over all campaigns."""
    total: dict[str, int] = {}
    for campaign in campaigns.values():
        for code, number in campaign["error_codes"].items():
            total[code] = total.get(code, 0) + number
    return Text("errors: " + (", ".join(f"{code} {n}" for code, n in sorted(total.items())) or "none"), style="red")


def summary(campaign_id: str, campaign: Json) -> RenderableType:
    """One campaign at the end: buckets, rates, latencies, error codes."""
    counts = campaign["counts"]
    head = Text(f"\n{campaign_id}: {counts['requested']} requested, {campaign['state']}", style="bold")
    buckets = Text("  " + "  ".join(f"{b.replace('_', ' ')} {counts[b]}" for b in BUCKETS if counts[b]))
    return Group(
        head, buckets, rates(campaign["rates"]), latencies(campaign["latency_seconds"]), errors({campaign_id: campaign})
    )


def comparison(compared: Sequence[Compared]) -> Table:
    """Every number of every campaign beside the ledger's."""
    table = Table(title="ours / the provider's ledger", title_justify="left", header_style="bold")
    table.add_column("number")
    for campaign in compared:
        table.add_column(campaign.campaign_id, justify="right")
    names = {name for campaign in compared for name in (*campaign.ours, *campaign.ledger)}
    for name in sorted(names, key=_place):
        cells = [(c.ours.get(name, 0), c.ledger.get(name, 0)) for c in compared]
        if any(any(cell) for cell in cells):
            table.add_row(name.replace("_", " "), *(_pair(*cell) for cell in cells))
    return table


def _place(name: str) -> tuple[int, str]:
    """Requested and the buckets first, then errors and details by name, then the quality of the receipts."""
    first = ("requested", *BUCKETS)
    if name in first:
        return first.index(name), ""
    return len(first) + next((n for n, kind in enumerate(("error ", "detail ")) if name.startswith(kind)), 2), name


def _pair(ours: int, ledger: int) -> Text:
    return Text(f"{ours} / {ledger}", style="green" if ours == ledger else "bold white on red")
