"""The dashboard of the campaigns."""

from __future__ import annotations

from generate import Dashboard, Panel, quantiles

_OF = 'sendledger_campaign_messages{WHERE, campaign=~"$campaign"'


def _of(*buckets: str) -> str:
    """Messages of the chosen campaigns in these buckets, by campaign; of all buckets if none is named."""
    return f"sum by (campaign) ({_OF}" + (f', bucket=~"{"|".join(buckets)}"' if buckets else "") + "})"


_ANSWERED = ("accepted", "sent", "delivered", "undelivered", "rejected")
_RESOLVED = f"{_of('delivered')} / {_of('delivered', 'undelivered')}"
_OVERVIEW = (
    Panel(
        "Requested",
        "Messages that were asked for, of the chosen campaigns: the sum of all buckets.",
        "short",
        (("{{campaign}}", _of()),),
        stat=True,
    ),
    Panel(
        "Delivered of those with a final receipt",
        "Delivered / (delivered + undelivered). What is still open is in neither.",
        "percentunit",
        (("{{campaign}}", _RESOLVED),),
        stat=True,
    ),
    Panel(
        "Still to be sent",
        "Queued or attempting.",
        "short",
        (("{{campaign}}", _of("queued", "attempting")),),
        stat=True,
    ),
    Panel(
        "Open",
        "Accepted or sent, without a final receipt, younger than 72 hours.",
        "short",
        (("{{campaign}}", 'sum by (campaign) (sendledger_campaign_open_messages{WHERE, campaign=~"$campaign"})'),),
        stat=True,
    ),
    Panel(
        "In doubt",
        "Perhaps sent, perhaps not. Never sent again by itself; an operator decides what no receipt settles.",
        "short",
        (("{{campaign}}", _of("in_doubt")),),
        ((1, "orange"),),
        stat=True,
    ),
    Panel(
        "Imbalance",
        "Requested less the sum of the buckets. Anything but 0 is a wrong number.",
        "short",
        (("{{campaign}}", 'sum by (campaign) (abs(sendledger_campaign_imbalance{WHERE, campaign=~"$campaign"}))'),),
        ((1, "red"),),
        stat=True,
    ),
)
_COURSE = (
    Panel(
        "Messages by bucket",
        "Each message is in exactly one bucket; the height is what was requested.",
        "short",
        (("{{bucket}}", f"sum by (bucket) ({_OF}}})"),),
        stacked=True,
    ),
    Panel(
        "Delivered a second",
        "How quickly the number of delivered messages grows. It falls where a later receipt says otherwise.",
        "mps",
        (
            (
                "{{campaign}}",
                f'sum by (campaign) (deriv({_OF}, bucket="delivered"}}[$__rate_interval]))',
            ),
        ),
    ),
    Panel(
        "Failed a second",
        "Rejected by the provider or undelivered.",
        "mps",
        (
            (
                "{{campaign}}",
                f'sum by (campaign) (deriv({_OF}, bucket=~"rejected|undelivered"}}[$__rate_interval]))',
            ),
        ),
    ),
    Panel(
        "Delivered of those with a final receipt, over time",
        "Delivered / (delivered + undelivered) since the campaign began.",
        "percentunit",
        (("{{campaign}}", _RESOLVED),),
    ),
    Panel(
        "Accepted of those answered",
        "1 − rejected / (accepted ever + rejected). Doubts are in neither. The line is the service level of 95 %.",
        "percentunit",
        (("{{campaign}}", f"1 - {_of('rejected')} / {_of(*_ANSWERED)}"),),
        ((0.95, "green"),),
        base="red",
    ),
    Panel(
        "Withheld",
        "Not sent on purpose: cancelled, expired, or the recipient is suppressed.",
        "short",
        (("{{bucket}}", f'sum by (bucket) ({_OF}, bucket=~"cancelled|expired|suppressed"}})'),),
        stacked=True,
    ),
)
_TRUST = (
    Panel(
        "Quality of receipts",
        "Postbacks seen again, receipts after 72 hours, messages with contrary receipts, postbacks of no message.",
        "short",
        (
            (
                "{{quality}}",
                'sum by (quality) (sendledger_campaign_postbacks{WHERE, campaign=~"$campaign"})',
            ),
        ),
    ),
    Panel(
        "Since the numbers last moved",
        "Age of the last published numbers. It grows where nothing happens; beside traffic it is below a second.",
        "s",
        (
            (
                "{{campaign}}",
                f"time() - max by (campaign) ({_OF.replace('messages', 'published_timestamp_seconds')}}})",
            ),
        ),
    ),
    Panel(
        "Freshness",
        "From a fact's place in the log to the numbers that count it. Service level: 99 % within a second.",
        "s",
        quantiles("sendledger_merge_freshness_seconds", 50, 99),
        ((1, "red"),),
    ),
    Panel(
        "Campaigns with a name here",
        "Only the newest campaigns that are not over have one (SENDLEDGER_METRICS_CAMPAIGNS); beside it all there are.",
        "short",
        (
            ("shown", "count(count by (campaign) (sendledger_campaign_messages{WHERE}))"),
            ("all", "sum(sendledger_merge_campaigns{WHERE})"),
        ),
    ),
    Panel(
        "Messages of all campaigns",
        "By bucket, also of those campaigns that have no name here any more.",
        "short",
        (("{{bucket}}", "sum by (bucket) (sendledger_messages{WHERE})"),),
        stacked=True,
    ),
)

CAMPAIGNS = Dashboard(
    "sendledger-campaigns",
    "Sendledger: campaigns",
    "What becomes of the messages of each campaign, and how far its numbers can be trusted.",
    (("Now", _OVERVIEW), ("Course", _COURSE), ("Trust", _TRUST)),
    by_campaign=True,
)
