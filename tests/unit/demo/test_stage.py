from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sendledger.config import load
from sendledger.demo.compare import Compared
from sendledger.demo.ports import NoPortsError, free_run
from sendledger.demo.program import rate_for
from sendledger.demo.progress import cursors_of
from sendledger.demo.report import Picture, comparison, line, live, summary
from sendledger.demo.stage import environment_of
from sendledger_schemas.states import BUCKETS


def rendered(thing: Any) -> str:
    """What a terminal of 160 columns would show, without colours."""
    console = Console(width=160, no_color=True, record=True, file=None)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def campaign(**counts: int) -> dict[str, Any]:
    """A campaign as the API shows it."""
    full = {"requested": 0, **dict.fromkeys(map(str, BUCKETS), 0), **counts}
    stage = {"p50": 0.1, "p95": 0.2, "p99": 0.3, "count": 4}
    return {
        "counts": full,
        "state": "running",
        "error_codes": {"E110": 2},
        "rates": {"acceptance": {"value": 0.5, "numerator": 1, "denominator": 2}},
        "latency_seconds": {"api": stage, "carrier": {**stage, "count": 0}},
    }


PICTURE = Picture(
    seconds=1.5,
    expected={"spring": 10},
    campaigns={"spring": campaign(requested=10, queued=4, delivered=5, in_doubt=1)},
    simulator={"postbacks": {"delivered": 7, "pending": 3}},
    rate=12.0,
    waiting_for="4 messages to be answered",
    events=("0.5 s  kill -9 fold (process 7)",),
)


def test_a_demo_knows_nothing_of_its_surroundings(tmp_path: Path) -> None:
    """Kafka, provider, data directory and secrets of the environment do not reach a demo's processes."""
    inherited = {
        "PATH": "/bin",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "SENDLEDGER_PROVIDER_URL": "https://provider.example/",
        "SENDLEDGER_API_TOKENS": "admin:somebody-elses-token-0000",
        "SENDLEDGER_DATA_DIR": "/srv",
    }
    made = environment_of(tmp_path, rate=50, simulator="http://127.0.0.1:1/", inherited=inherited)
    assert made["PATH"] == "/bin"
    assert not any(name.startswith("KAFKA_") for name in made)
    assert "SENDLEDGER_API_TOKENS" not in made
    (tmp_path / "provider-key").write_text("k")
    settings = load(made, None)
    assert settings.embedded
    assert settings.provider_url == "http://127.0.0.1:1/"
    assert settings.data_dir == tmp_path
    assert settings.warnings == ()


def test_ports_in_a_row_are_free() -> None:
    """All ports of the run can be bound, and one that is taken is never part of a run."""
    first = free_run(7)
    for port in range(first, first + 7):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_no_free_ports_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without free ports the demo says so instead of trying for ever."""
    monkeypatch.setattr("sendledger.demo.ports._is_free", lambda _port: False)
    with pytest.raises(NoPortsError, match="no 7 free ports"):
        free_run(7)


@pytest.mark.parametrize(("messages", "rate"), [(1, 100), (5_000, 500), (10_000, 1_000), (1_000_000, 1_000)])
def test_the_rate_follows_the_size(messages: int, rate: float) -> None:
    """A small demo can be watched, and a large one goes as fast as the machine."""
    assert rate_for(messages) == rate


def test_the_live_view_shows_each_campaign() -> None:
    """Progress, the buckets that are in use, errors and what happened are on the screen."""
    shown = rendered(live(PICTURE))
    for part in ("spring", "6/10", "delivered", "in doubt", "E110 2", "kill -9 fold", "12 calls/s"):
        assert part in shown
    assert "suppressed" not in shown


def test_one_line_says_how_far_it_is() -> None:
    """Without a terminal a line tells progress, rate, postbacks and what is waited for."""
    assert line(PICTURE) == (
        "  1.5 s  6/10 answered  12 calls/s  7 postbacks taken, 3 to come  waiting for 4 messages to be answered"
    )


def test_the_end_shows_rates_latencies_and_errors() -> None:
    """A campaign's last table has rates with their denominators and the stages that were measured."""
    shown = rendered(summary("spring", PICTURE.campaigns["spring"]))
    for part in ("10 requested", "delivered 5", "50.0%", "1/2", "api", "0.300 s", "E110 2"):
        assert part in shown
    assert "carrier" not in shown


def test_the_comparison_shows_both_numbers() -> None:
    """Beside each of our numbers stands the ledger's; what is nought everywhere takes no line."""
    shown = rendered(
        comparison([Compared("spring", {"sent": 3, "queued": 0, "error E1": 1}, {"sent": 4, "queued": 0})])
    )
    assert "3 / 4" in shown
    assert "1 / 0" in shown
    assert "queued" not in shown


def test_cursors_are_read_from_the_folds_metrics() -> None:
    """The fold's own cursors, by topic and partition."""
    text = """# HELP sendledger_consumer_cursor_offset Next offset
# TYPE sendledger_consumer_cursor_offset gauge
sendledger_consumer_cursor_offset{group="sendledger-fold",partition="3",topic="sms.postbacks.v1"} 17.0
sendledger_consumer_lag_records{group="sendledger-fold",partition="3",topic="sms.postbacks.v1"} 5.0
"""
    assert cursors_of(text) == {("sms.postbacks.v1", 3): 17}
