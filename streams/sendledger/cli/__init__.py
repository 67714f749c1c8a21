"""The command line: `sendledger VERB`. Exit codes: 0 done, 1 the answer is no, 2 it cannot be done as asked."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point of the program."""
    from sendledger.edges.parent import end_with_parent  # noqa: PLC0415 — importing the package has no effect

    end_with_parent()
    from sendledger.cli.app import run  # noqa: PLC0415 — the parent's end is watched before the slow imports

    sys.exit(run())
