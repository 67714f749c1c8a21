"""Runs statements in ClickHouse (chdb): JSON list of statements in, JSON list of what each said out (a row a line).

For the venv .venv-oracles; it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys

from chdb import session


def main() -> None:
    """All in one database that is gone at the end."""
    database = session.Session()
    said = [str(database.query(statement, "JSONEachRow")) for statement in json.load(sys.stdin)]
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
