"""The options of `sendledger simulator`, group by group, as its `--help` teaches them."""

from __future__ import annotations

import argparse
from pathlib import Path

from sendledger.simulator.profile import PRESETS, Misbehaviour

EPILOG = """\
shares are between 0 and 1, ranges are LOW-HIGH. One seed gives each message the same fate in every run.

examples:
  sendledger simulator --port 8090 --callback-url-file url.txt
  sendledger simulator --preset mixed --seed 7 --time-scale 0.01
  sendledger simulator --error E110=0.02 --error E120=0.05 --receipt 70=0.1 --early 0.2
  sendledger simulator --misbehave hang_after=0.01 --misbehave reset_after=0.01
  curl http://127.0.0.1:8090/status
  curl -d '{"errors": {"E713": 1}}' http://127.0.0.1:8090/switch

ways to misbehave: """ + ", ".join(Misbehaviour)

_SHARES = {
    "no_receipt": "of the recipients, those whose carrier gives no receipts",
    "submit_failed": "of the messages, those that fail before the carrier (E201 instead of the first notice)",
    "never_notified": "of the messages, those without any postback",
    "early": "of the messages, those whose first postback is delivered before the answer to the call",
    "late": "of the messages, those whose last postback is late (see --late-after)",
    "shuffle": "of the messages, those whose postbacks come in the opposite order",
    "repeat": "of the postbacks, those that are posted a second time, byte for byte",
    "conflict": "of the messages, those with a second final receipt that says the opposite",
    "stray": "of the messages, those with a further postback under a TRACKINGID that nobody was given",
    "foreign": "of the messages, those with a further postback of another origin (MMS_MT)",
    "garbled": "of the messages, those with a further postback that is cut in half",
}
_RANGES = {
    "latency_ms": "milliseconds from call to answer, in real time",
    "sent_after": "seconds from the message to its notice 'sent'",
    "receipt_after": "seconds from there to the receipt, and to a repeat",
    "late_after": "seconds that a late postback is late",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options. Those of the profile are None unless said, under `profile_<field>`."""
    _add_place(parser.add_argument_group("where"))
    _add_account(parser.add_argument_group("account"))
    _add_behaviour(parser.add_argument_group("behaviour (also with POST /switch while it runs)"))
    _add_postbacks(parser.add_argument_group("postbacks"))


def _add_place(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument("--expose", action="store_true", help="allow a --host that others can reach")
    group.add_argument("--port", type=int, default=0, help="port; 0 takes a free one and prints the address")
    group.add_argument("--address-file", type=Path, metavar="FILE", help="write the address there once it listens")
    group.add_argument(
        "--ledger",
        type=Path,
        default=Path("simulator-ledger.jsonl"),
        metavar="FILE",
        help="JSON lines of all submissions and postbacks, appended to (%(default)s)",
    )
    group.add_argument(
        "--no-sync", dest="sync", action="store_false", help="do not wait for the disk before an answer (benchmarks)"
    )


def _add_account(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--api-key", help="the only API_KEY that is let in, else E104; without it any is")
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help="the same from a file, unseen by `ps`")
    group.add_argument(
        "--short-code", action="append", default=[], metavar="FROM", help="a FROM that is known, else E111; repeatable"
    )
    group.add_argument(
        "--unsupported-prefix",
        action="append",
        default=[],
        metavar="DIGITS",
        help="numbers whose operator is not supported: E628; repeatable",
    )
    group.add_argument("--credit", type=int, metavar="N", help="messages the account can pay for, then E713")


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seed", type=int, default=1, help="decides every draw (%(default)s)")
    group.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="calm",
        help="to start from: calm = all goes well, mixed = a usual day, hostile = all that can go wrong (%(default)s)",
    )
    _pairs(group, "--error", "errors", "CODE", "answer Failure with this ERRORCODE to a share of the calls")
    _pairs(group, "--misbehave", "misbehave", "WAY", "misbehave so (see below) on a share of the calls")
    _pairs(group, "--receipt", "receipts", "STATUS", "receipts with this STATUS number; the rest is 0 = delivered")
    for name, text in _SHARES.items():
        group.add_argument(_flag(name), type=float, dest=f"profile_{name}", metavar="SHARE", help=text)
    for name, text in _RANGES.items():
        group.add_argument(_flag(name), type=_range, dest=f"profile_{name}", metavar="LOW-HIGH", help=text)
    _number(group, "rate", float, "calls per second that are let through, the others get --throttle-code")
    _number(group, "burst", float, "calls that may come at once under --rate")
    group.add_argument(
        "--throttle-code", dest="profile_throttle_code", choices=("E106", "E120"), help="ERRORCODE beyond --rate (E120)"
    )
    _number(group, "hang_seconds", float, "how long hang_before and hang_after are silent, in real seconds (120)")
    _number(group, "drip_seconds", float, "seconds between two bytes of a dripping answer, in real time (0.5)")
    _number(group, "huge_bytes", int, "size of a huge answer (100 MiB)")


def _add_postbacks(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--callback-url", metavar="URL", help="where postbacks go; without it they go nowhere")
    group.add_argument("--callback-url-file", type=Path, metavar="FILE", help="the same from a file, unseen by `ps`")
    group.add_argument(
        "--form",
        dest="profile_form",
        choices=("page", "1.3", "v2", "mixed"),
        help="as on the provider's page, flat XML, JSON, or one of the three by chance for each message",
    )
    group.add_argument(
        "--time-scale", type=float, default=1.0, help="real seconds to one of the provider's: 0.01 = 100 times faster"
    )
    group.add_argument(
        "--answer-deadline", type=float, default=10.0, help="real seconds to answer a postback in (%(default)s)"
    )
    group.add_argument(
        "--retry-after", type=float, default=300.0, help="seconds until a postback without 200 is posted again (300)"
    )
    group.add_argument("--retries", type=int, default=5, help="how many times at most (%(default)s)")
    group.add_argument("--concurrency", type=int, default=64, help="postbacks under way at once (%(default)s)")


def _pairs(group: argparse._ArgumentGroup, flag: str, name: str, key: str, text: str) -> None:
    group.add_argument(
        flag,
        action="append",
        type=_pair,
        dest=f"profile_{name}",
        metavar=f"{key}=SHARE",
        help=f"{text}; repeatable, replaces the preset's",
    )


def _number(group: argparse._ArgumentGroup, name: str, kind: type[int | float], text: str) -> None:
    group.add_argument(_flag(name), type=kind, dest=f"profile_{name}", metavar="N", help=text)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _pair(said: str) -> tuple[str, float]:
    key, _, share = said.partition("=")
    try:
        return key, float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{said!r}: expected NAME=SHARE, for example E110=0.02") from None


def _range(said: str) -> tuple[float, float]:
    low, _, high = said.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{said!r}: expected LOW-HIGH, for example 5-40") from None
