"""All verbs in one application, and what becomes of their errors."""

from __future__ import annotations

import sys

import typer

from sendledger.cli import campaigns, messages, operations, processes, tokens, verifying
from sendledger.cli.errors import CannotError, FailedError
from sendledger.config import ConfigError

_HELP = """The ledger of every SMS of a campaign, from request to last receipt.

[bold]Try it[/]
  sendledger demo                      everything at once, against a simulated provider

[bold]Run it[/]
  sendledger up                        all roles on this machine, with a Kafka of its own
  sendledger send spring --sender 60856 --text 'Hello' --recipients people.csv
  sendledger status spring --watch

Settings come from the environment and from .env; `sendledger config` shows them.
"""


def application() -> typer.Typer:
    """The verbs, in the order in which one meets them."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for part in (processes, campaigns, messages, operations, tokens, verifying):
        part.add_to(app)
    return app


def run(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    try:
        application()(args=arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(f"sendledger: {problem}", file=sys.stderr)  # noqa: T201 — the command line's own output
        return 2
    except CannotError as error:
        print(f"sendledger: {error}", file=sys.stderr)  # noqa: T201 — as above
        return 2
    except FailedError as error:
        if str(error):
            print(f"sendledger: {error}", file=sys.stderr)  # noqa: T201 — as above
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
