from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from sendledger.cli.app import application
from sendledger.config import load

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
# Told to child processes by their parent, and to nobody else.
NOT_FOR_USERS = {"SENDLEDGER_EMBEDDED_BROKER"}


def test_the_readme_tells_every_setting() -> None:
    """Each setting stands in the README's table, and none that does not exist."""
    known = set(load({}, None).echo())
    table = README[README.index("## Configuration") :]
    told = set(re.findall(r"`((?:SENDLEDGER|KAFKA)_[A-Z_]+)`", table))
    assert told - known == set()
    assert known - told - NOT_FOR_USERS == set()


def test_the_readme_calls_only_verbs_that_exist() -> None:
    """Every `sendledger VERB` in the README is a verb of the program."""
    command = get_command(application())
    verbs = set(command.commands)  # type: ignore[attr-defined]  # typer's own click does not say what a group has
    called = set(re.findall(r"(?:^|[/`])sendledger ([a-z][a-z-]+)", README, re.MULTILINE))
    assert called
    assert called - verbs == set()
