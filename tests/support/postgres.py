"""A real PostgreSQL in tests: Debian's, on a free loopback port, with a password, ended by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from tests.support.receiver import free_port

PASSWORD = "canary-postgres-password"
_USER = "postgres"  # postgres refuses root; Debian's package makes this user
_SECONDS = 30.0


@dataclass
class Postgres:
    """One server and its data. `server` is None while it is stopped."""

    programs: Path
    directory: Path
    port: int
    server: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """How to reach it, with the password."""
        return f"postgresql://{_USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "log_statement": "none",
        }
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.directory / "data"), "-p", str(self.port), *given]
        with (self.directory / "server.log").open("ab") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=log, **_as_postgres())
        end = time.monotonic() + _SECONDS
        while True:
            try:
                psycopg.connect(self.dsn, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self.server.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it: whoever is connected loses the connection."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(_SECONDS)
            self.server = None

    def ask(self, query: LiteralString, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query, arguments).fetchall()

    def do(self, statement: LiteralString) -> None:
        """One statement without rows."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement)


def _as_postgres() -> Mapping[str, Any]:
    return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with an empty database; skips without PostgreSQL, and fails where CI is set."""
    programs = _programs()
    if programs is None:
        why = "no PostgreSQL: infra/setup_tests.sh installs it (make test runs it)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    # not under pytest's directories: they are root's alone
    directory = Path(tempfile.mkdtemp(prefix="sendledger-postgres-"))
    try:
        (directory / "password").write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            shutil.chown(directory, _USER, _USER)
            shutil.chown(directory / "password", _USER)
        command = [str(programs / "initdb"), "-D", str(directory / "data"), "-U", _USER, "-A", "scram-sha-256"]
        more = ["--no-sync", "-E", "UTF8", "--locale=C", f"--pwfile={directory / 'password'}"]
        subprocess.run([*command, *more], check=True, capture_output=True, cwd=directory, **_as_postgres())
        made = Postgres(programs, directory, free_port())
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(directory)
