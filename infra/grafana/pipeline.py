"""The dashboard of the processes and of their way through the log."""

from __future__ import annotations

from generate import Dashboard, Panel, quantiles, share_within

_NOW = (
    Panel(
        "Roles ready",
        "1: it does its work. 0: it waits for Kafka or reads its log anew.",
        "short",
        (("{{role}}", "min by (role) (sendledger_role_ready{WHERE})"),),
        ((1, "green"),),
        base="red",
        stat=True,
    ),
    Panel(
        "Records behind",
        "What stands on the log and is not done yet, by consumer group.",
        "short",
        (("{{group}}", "sum by (group) (sendledger_consumer_lag_records{WHERE})"),),
        ((10_000, "orange"),),
        stat=True,
    ),
    Panel(
        "Imbalance",
        "Messages in no bucket or in several, as fold, merge and API see it. Anything but 0 is a wrong number.",
        "short",
        (
            ("fold", "max(sendledger_fold_imbalance{WHERE})"),
            ("merge", "max(sendledger_merge_imbalance{WHERE})"),
            ("api", "max(sendledger_api_imbalance{WHERE})"),
        ),
        ((1, "red"),),
        stat=True,
    ),
    Panel(
        "Divergence",
        "Published numbers that the last `sendledger verify` could not confirm. Anything but 0 is a wrong number.",
        "short",
        (("differences", "max(sendledger_verify_divergence{WHERE})"),),
        ((1, "red"),),
        stat=True,
    ),
    Panel(
        "Since the last verify",
        "The numbers should be proved against the log once a day.",
        "s",
        (("age", "time() - max(sendledger_verify_last_run_timestamp_seconds{WHERE})"),),
        ((93_600, "orange"),),
        stat=True,
    ),
    Panel(
        "Versions",
        "How many processes run which build.",
        "short",
        (("{{version}}, fold {{fold_version}}", "count by (version, fold_version) (sendledger_build_info{WHERE})"),),
        stat=True,
    ),
)
_LOG = (
    Panel(
        "Age of what waits",
        "How old the oldest record is that is not done, by group and topic, as the watchdog reads it outside Faust.",
        "s",
        (("{{group}} {{topic}}", "max by (group, topic) (sendledger_consumer_lag_seconds{WHERE})"),),
        ((120, "red"),),
    ),
    Panel(
        "Records that wait, by partition",
        "End of the log less the cursor. One partition that stands out has a stuck worker or a very busy recipient.",
        "short",
        (("{{group}} {{partition}}", "sum by (group, partition) (sendledger_consumer_lag_records{WHERE})"),),
    ),
    Panel(
        "The senders' journal",
        "Attempts, responses and decisions that the senders have not read yet. Nothing is called before they are.",
        "short",
        (("{{topic}}", "sum by (topic) (sendledger_sender_journal_lag_records{WHERE})"),),
    ),
    Panel(
        "Age of the senders' journal",
        "How old the oldest attempt, response or decision is that a sender has not read yet. 0: it has read all.",
        "s",
        (("{{topic}}", "max by (topic) (sendledger_sender_journal_lag_seconds{WHERE})"),),
        ((60, "red"),),
    ),
    Panel(
        "Cursor and end",
        "Records a second that are done, beside those that come. Two lines that part mean a worker that is too slow.",
        "cps",
        (
            ("{{group}} done", "sum by (group) (deriv(sendledger_consumer_cursor_offset{WHERE}[$__rate_interval]))"),
            ("{{group}} come", "sum by (group) (deriv(sendledger_consumer_end_offset{WHERE}[$__rate_interval]))"),
        ),
    ),
)
_FOLD = (
    Panel(
        "Folded records",
        "By topic.",
        "cps",
        (("{{topic}}", "sum by (topic) (rate(sendledger_fold_records_total{WHERE}[$__rate_interval]))"),),
        stacked=True,
    ),
    Panel(
        "Time of a batch",
        "From its first step to its place on disk, publishing and Kafka's acknowledgement included.",
        "s",
        quantiles("sendledger_fold_batch_seconds", 50, 99),
    ),
    Panel(
        "Still to be read of the log that stood at the start",
        "Above 0 for long: a fold reads its log anew.",
        "short",
        (("{{instance}}", "max by (instance) (sendledger_fold_replay_remaining_records{WHERE})"),),
    ),
    Panel(
        "Freshness",
        "From a fact's place in the log to the acknowledged campaign numbers. Service level: 99 % within a second.",
        "s",
        quantiles("sendledger_merge_freshness_seconds", 50, 99),
        ((1, "red"),),
    ),
    Panel(
        "Numbers published within a second",
        "Share of the campaign numbers whose oldest new fact was younger than a second. The line is the service level.",
        "percentunit",
        (
            (
                "within 1 s",
                share_within("sendledger_merge_freshness_seconds", 1),
            ),
        ),
        ((0.99, "green"),),
        base="red",
    ),
    Panel(
        "Merge",
        "Partials read, and campaign states published.",
        "cps",
        (
            ("partials", "sum(rate(sendledger_merge_partials_total{WHERE}[$__rate_interval]))"),
            ("states", "sum(rate(sendledger_merge_states_total{WHERE}[$__rate_interval]))"),
        ),
    ),
    Panel(
        "Records that nobody could read",
        "Dead letters of the fold by topic, and unreadable records of the merge, within the window.",
        "short",
        (
            ("{{topic}}", "sum by (topic) (increase(sendledger_fold_dead_letters_total{WHERE}[$__rate_interval]))"),
            ("merge", "sum(increase(sendledger_merge_unreadable_total{WHERE}[$__rate_interval]))"),
        ),
    ),
)
_API = (
    Panel(
        "API requests",
        "By status.",
        "reqps",
        (("{{status}}", "sum by (status) (rate(sendledger_api_requests_total{WHERE}[$__rate_interval]))"),),
        stacked=True,
    ),
    Panel(
        "API durations",
        "Until the head of the answer was sent.",
        "s",
        quantiles("sendledger_api_request_seconds", 50, 99),
    ),
    Panel(
        "Records behind what the API shows",
        "Between what it has read of its topics and their ends.",
        "short",
        (("{{instance}}", "max by (instance) (sendledger_api_view_lag_records{WHERE})"),),
    ),
)
_PROCESSES = (
    Panel(
        "Processor",
        "Cores in use, by process.",
        "short",
        (
            (
                "{{job}} {{instance}}",
                "sum by (job, instance) (rate(process_cpu_seconds_total{WHERE}[$__rate_interval]))",
            ),
        ),
    ),
    Panel(
        "Memory",
        "Resident, by process.",
        "bytes",
        (("{{job}} {{instance}}", "max by (job, instance) (process_resident_memory_bytes{WHERE})"),),
    ),
    Panel(
        "Up for",
        "Since each process started; a saw is a process that ends again and again.",
        "s",
        (("{{job}} {{instance}}", "time() - max by (job, instance) (process_start_time_seconds{WHERE})"),),
    ),
)

PIPELINE = Dashboard(
    "sendledger-pipeline",
    "Sendledger: pipeline",
    "Whether every process does its work, how far each is with its log, and whether the numbers add up.",
    (("Now", _NOW), ("The log", _LOG), ("Fold and merge", _FOLD), ("API", _API), ("Processes", _PROCESSES)),
)
