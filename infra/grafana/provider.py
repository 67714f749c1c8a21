"""The dashboard of the provider: what goes out to it, and what comes back."""

from __future__ import annotations

from generate import Dashboard, Panel, quantiles, share_within


def _rates(metric: str, label: str) -> tuple[tuple[str, str], ...]:
    return (("{{" + label + "}}", f"sum by ({label}) (rate({metric}_total{{WHERE}}[$__rate_interval]))"),)


_SPOOL = "sendledger_receiver_spool"
_SPOOLED = f"({_SPOOL}_records{{WHERE}} > bool 0)"
_CALLS = "sendledger_sender_calls_total"


def _ended(outcomes: str) -> str:
    return f'sum(rate({_CALLS}{{WHERE, outcome=~"{outcomes}"}}[$__rate_interval]))'


_NOW = (
    Panel(
        "Account stopped",
        "1: nothing is sent until an operator resumes the account.",
        "short",
        (("stopped", "max(sendledger_sender_account_stopped{WHERE})"),),
        ((1, "red"),),
        stat=True,
    ),
    Panel(
        "Campaigns paused",
        "Paused by an operator or halted by itself.",
        "short",
        (("paused", "max(sendledger_sender_campaigns_paused{WHERE})"),),
        ((1, "orange"),),
        stat=True,
    ),
    Panel(
        "In doubt",
        "Messages of all campaigns that are perhaps sent, perhaps not.",
        "short",
        (("in doubt", 'sum(sendledger_messages{WHERE, bucket="in_doubt"})'),),
        ((1, "orange"),),
        stat=True,
    ),
    Panel(
        "Open",
        "Accepted or sent, without a final receipt, younger than 72 hours.",
        "short",
        (("open", "sum(sendledger_open_messages{WHERE})"),),
        stat=True,
    ),
    Panel(
        "Kafka takes postbacks",
        "1: postbacks go to Kafka directly. 0: they go to the spool.",
        "short",
        (("{{instance}}", "min by (instance) (sendledger_receiver_kafka_up{WHERE})"),),
        ((1, "green"),),
        base="red",
        stat=True,
    ),
    Panel(
        "Postbacks of no message",
        "They match nothing that is known; one that comes before its answer is here for a moment.",
        "short",
        (("orphans", "max(sendledger_orphan_postbacks{WHERE})"),),
        stat=True,
    ),
)
_OUT = (
    Panel(
        "Calls by outcome",
        "How claimed attempts end: accepted, rejected, throttled, not sent (tried again), unanswered (in doubt).",
        "reqps",
        _rates("sendledger_sender_calls", "outcome"),
        stacked=True,
    ),
    Panel(
        "Pace",
        "What the account may send, what the senders allow themselves now (less after a throttle), and what is used.",
        "reqps",
        (
            ("limit", "max(sendledger_sender_limit_messages_per_second{WHERE})"),
            ("allowed now", "sum(sendledger_sender_pace_messages_per_second{WHERE})"),
            ("used", f"sum(rate({_CALLS}{{WHERE}}[$__rate_interval]))"),
        ),
    ),
    Panel(
        "Duration of calls",
        "From the second look to the end of the answer.",
        "s",
        quantiles("sendledger_sender_call_seconds", 50, 95, 99),
    ),
    Panel(
        "Accepted of those answered",
        "Accepted / (accepted + rejected). The line is the service level of 95 %.",
        "percentunit",
        (
            (
                "acceptance",
                f"{_ended('accepted')} / {_ended('accepted|rejected')}",
            ),
        ),
        ((0.95, "green"),),
        base="red",
    ),
    Panel(
        "Refusals by class",
        "What the provider's codes are about: message, campaign, account, our request (bug), or nothing known.",
        "reqps",
        _rates("sendledger_sender_refusals", "error_class"),
        stacked=True,
    ),
    Panel(
        "Doubts by reason",
        "Calls without a usable answer; crash: a sender died in the call.",
        "reqps",
        _rates("sendledger_sender_doubts", "reason"),
        stacked=True,
    ),
    Panel(
        "Claims",
        "Won ones become calls; lost ones were another sender's first.",
        "reqps",
        _rates("sendledger_sender_claims", "result"),
    ),
    Panel(
        "In flight",
        "Calls at the provider, and claims without an end on the log.",
        "short",
        (
            ("calls", "sum(sendledger_sender_in_flight{WHERE})"),
            ("claims", "sum(sendledger_sender_open_attempts{WHERE})"),
        ),
    ),
    Panel(
        "Withheld and stopped",
        "Messages that are not sent on purpose, by reason, and pauses that the sender made by itself, in the window.",
        "short",
        (
            ("{{reason}}", "sum by (reason) (increase(sendledger_sender_withheld_total{WHERE}[$__rate_interval]))"),
            (
                "{{scope}} paused",
                "sum by (scope) (increase(sendledger_sender_automatic_pauses_total{WHERE}[$__rate_interval]))",
            ),
        ),
    ),
    Panel(
        "Age of the orders",
        "Since each sender surely knew all pauses, cancels and suppressions. Above a second or so nothing is called.",
        "s",
        (("{{instance}}", "max by (instance) (sendledger_sender_control_age_seconds{WHERE})"),),
        ((30, "red"),),
    ),
)
_IN = (
    Panel(
        "Postbacks by what became of them",
        "kafka, spool: durable, 200. unavailable: 503, it comes again. The rest was refused or never complete.",
        "reqps",
        _rates("sendledger_receiver_postbacks", "outcome"),
        stacked=True,
    ),
    Panel(
        "Until a postback was durable",
        "From its complete body to its 200. The provider gives up at 10 s.",
        "s",
        quantiles("sendledger_receiver_seconds", 50, 99),
        ((5, "red"),),
    ),
    Panel(
        "Postbacks durable within 5 s",
        "Share of those that became durable. The line is 99 %.",
        "percentunit",
        (
            (
                "within 5 s",
                share_within("sendledger_receiver_seconds", 5),
            ),
        ),
        ((0.99, "green"),),
        base="red",
    ),
    Panel(
        "Spool",
        "Bytes that wait for Kafka on the receiver's disk, beside what it may hold.",
        "bytes",
        (
            ("{{instance}}", "max by (instance) (sendledger_receiver_spool_bytes{WHERE})"),
            ("limit of {{instance}}", "max by (instance) (sendledger_receiver_spool_limit_bytes{WHERE})"),
        ),
    ),
    Panel(
        "Spooled postbacks",
        "Records that wait for Kafka.",
        "short",
        (("{{instance}}", "max by (instance) (sendledger_receiver_spool_records{WHERE})"),),
        ((1, "orange"),),
    ),
    Panel(
        "Age of the oldest spooled postback",
        "0 while the spool is empty.",
        "s",
        (
            (
                "{{instance}}",
                f"max by (instance) ({_SPOOLED} * (time() - {_SPOOL}_oldest_timestamp_seconds{{WHERE}}))",
            ),
        ),
    ),
    Panel(
        "Unreadable postbacks",
        "Dead letters by reason, in the window. Look at them with `sendledger dead-letters list`.",
        "short",
        (
            (
                "{{reason}}",
                "sum by (reason) (increase(sendledger_receiver_dead_letters_total{WHERE}[$__rate_interval]))",
            ),
        ),
        ((1, "orange"),),
    ),
    Panel(
        "Requests cut off",
        "Connections that the receiver closed because a request did not become complete in time.",
        "reqps",
        (("late", "sum(rate(sendledger_receiver_late_requests_total{WHERE}[$__rate_interval]))"),),
    ),
)

PROVIDER = Dashboard(
    "sendledger-provider",
    "Sendledger: provider and receipts",
    "What goes out to the provider and how it answers; what comes back, and whether it is kept.",
    (("Now", _NOW), ("Out", _OUT), ("Back", _IN)),
)
