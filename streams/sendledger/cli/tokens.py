"""The verb `token`: a new token of the HTTP API, shown once and kept as a hash."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sendledger.config import load
from sendledger.edges import token_file


def add_to(app: typer.Typer) -> None:
    """Add this verb."""
    app.command(rich_help_panel="Installation")(token)


def token(
    scope: Annotated[
        Literal["read", "send", "admin"], typer.Argument(help="What it may do; send includes read, admin both.")
    ] = "read",
) -> None:
    """Make a token for the HTTP API and print it, this once: only its hash is kept, in the data directory.

    [bold]Example[/]
      curl -H "Authorization: Bearer $(sendledger token read)" http://127.0.0.1:8080/v1/campaigns

    It works at once, without a restart. To take it back, take its entry out of api-tokens.json in the data directory.
    """
    typer.echo(token_file.make(load().data_dir, scope))
