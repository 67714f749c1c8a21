"""The simulator's command line: every option with the reason to use it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sendledger.simulator.control import is_loopback
from sendledger.simulator.desk import Rules
from sendledger.simulator.option_table import EPILOG, add_options
from sendledger.simulator.postbacks import Rule
from sendledger.simulator.posting import Poster
from sendledger.simulator.profile import CALM, PRESETS, Profile, changed

ENV_API_KEY = "SENDLEDGER_SIMULATOR_API_KEY"
ENV_CALLBACK_URL = "SENDLEDGER_SIMULATOR_CALLBACK_URL"

_PORTS = range(65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of one simulator."""

    ledger: Path
    profile: Profile = CALM
    rules: Rules = field(default_factory=Rules)
    rule: Rule = field(default_factory=Rule)
    host: str = "127.0.0.1"
    port: int = 0
    sync: bool = True
    callback_url: str | None = field(default=None, repr=False)
    address_file: Path | None = None


class WrongOption(ValueError):  # one line for the user
    """An option that cannot be; the message is for the user."""


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """The options of a command line.

    Raises:
        WrongOption: a value is impossible, or an address is not this machine's and `--expose` is missing.
        SystemExit: by argparse, for `--help` and what it refuses itself (exit code 2).
    """
    parser = argparse.ArgumentParser(
        prog="sendledger simulator",
        description="Plays the provider: answers sendSMS calls, posts notifications, and keeps a ledger of the truth.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    given = parser.parse_args(argv)
    if not given.expose and not is_loopback(given.host):
        raise WrongOption(f"--host {given.host} can be reached from outside: say --expose if you mean it")
    _check_numbers(given)
    callback_url = _secret(given.callback_url, given.callback_url_file, environ.get(ENV_CALLBACK_URL))
    try:
        if callback_url:
            Poster(callback_url)
        profile = changed(PRESETS[given.preset], _changes(given))
    except ValueError as error:
        raise WrongOption(str(error)) from error
    return Options(
        ledger=given.ledger,
        profile=profile,
        rules=_rules(given, environ),
        rule=Rule(
            deadline=given.answer_deadline,
            retry_after=given.retry_after,
            retries=given.retries,
            concurrency=given.concurrency,
        ),
        host=given.host,
        port=given.port,
        sync=given.sync,
        callback_url=callback_url,
        address_file=given.address_file,
    )


def _check_numbers(given: argparse.Namespace) -> None:
    checks = (
        (given.port in _PORTS, "--port: 0 to 65535"),
        (given.time_scale >= 0, "--time-scale: not below 0"),
        (given.answer_deadline > 0, "--answer-deadline: above 0"),
        (given.retry_after >= 0, "--retry-after: not below 0"),
        (given.retries >= 0, "--retries: not below 0"),
        (given.concurrency >= 1, "--concurrency: at least 1"),
    )
    for holds, complaint in checks:
        if not holds:
            raise WrongOption(complaint)


def _rules(given: argparse.Namespace, environ: Mapping[str, str]) -> Rules:
    return Rules(
        seed=given.seed,
        scale=given.time_scale,
        api_key=_secret(given.api_key, given.api_key_file, environ.get(ENV_API_KEY)),
        senders=frozenset(given.short_code),
        unsupported_prefixes=tuple(given.unsupported_prefix),
        credit=given.credit,
    )


def _changes(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of the profile that were said on the command line; what is said twice adds up."""
    changes: dict[str, Any] = {}
    for name in Profile.__struct_fields__:
        said = getattr(given, f"profile_{name}", None)
        if said is not None:
            changes[name] = dict(said) if name in {"errors", "misbehave", "receipts"} else said
    return changes


def _secret(said: str | None, file: Path | None, environment: str | None) -> str | None:
    if said is not None:
        return said
    if file is None:
        return environment
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise WrongOption(f"{file}: {error.strerror}") from error
