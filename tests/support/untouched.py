"""Reads all hostile bodies in a process of its own, and tells who was where: `python -m tests.support.untouched`.

Watched are a file and a listening address, which the bodies name, and all that Python is asked to open. libxml2 opens
files without asking Python, so the kernel watches the file (inotify). Options break the parser on purpose, so that the
watch itself can be tested: `--resolve` (DOCTYPEs and their entities), `--connect` (whatever the body names is fetched);
and `--one-wall` takes away the refusal of DOCTYPEs, so that the parser's own settings have to hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import socket
import sys
import tempfile
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from sendledger.edges import postback_records as records
from sendledger.wire import postbacks, xml
from tests.support.hostile import BODIES, pointed

RESOLVE, CONNECT, ONE_WALL = "--resolve", "--connect", "--one-wall"
_OPENED, _READ = 0x20, 0x01
_SUSPICIOUS = ("open", "socket.", "subprocess.", "os.", "shutil.", "urllib.", "ftplib.", "http.", "import", "exec")


def one_wall() -> None:
    """No look for a DOCTYPE: it gets to the parser."""
    xml._has_doctype = lambda _: False  # type: ignore[assignment]


def resolve() -> None:
    """A parser as an older library would have made it: it takes a DOCTYPE and fetches what it names."""
    one_wall()
    xml.new_parser = lambda: etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)


def connect() -> None:
    """A decoder that follows addresses."""
    honest = postbacks.decode_postback

    def follow(raw: bytes) -> Any:
        for port in re.findall(rb"http://127\.0\.0\.1:([0-9]+)/", raw):
            socket.create_connection(("127.0.0.1", int(port))).close()
        return honest(raw)

    vars(records)["decode_postback"] = follow


class Watch:
    """A file and an address that nobody must touch. `asked`: what Python was asked to open meanwhile."""

    def __init__(self, directory: str) -> None:
        self.file = os.path.join(directory, "canary.txt")  # noqa: PTH118
        with open(self.file, "w", encoding="utf-8") as canary:  # noqa: PTH123
            canary.write("canary")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/canary"
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_NONBLOCK)
        if self._libc.inotify_add_watch(self._events, self.file.encode(), _OPENED | _READ) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self.asked: list[str] = []
        self.on = False
        sys.addaudithook(self._ask)

    def _ask(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self.on and event.startswith(_SUSPICIOUS):
            self.asked.append(event)

    def told(self) -> dict[str, object]:
        """`file`: it was opened; `connection`: somebody came; `asked`: what Python was asked for."""
        try:
            opened = bool(os.read(self._events, 4096))
        except BlockingIOError:
            opened = False
        try:
            self.listener.accept()[0].close()
            came = True
        except BlockingIOError:
            came = False
        return {"file": opened, "connection": came, "asked": sorted(set(self.asked))}


def main() -> None:
    """Read each body twice: the first time may load code, the second is watched by Python too."""
    if ONE_WALL in sys.argv:
        one_wall()
    if RESOLVE in sys.argv:
        resolve()
    if CONNECT in sys.argv:
        connect()
    maker, now = records.PostbackRecords(b"canary-pepper", 8, "test"), datetime(2026, 3, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as directory:
        watch = Watch(directory)
        bodies = [pointed(body, watch.file, watch.url) for body in BODIES.values()]
        for watch.on in (False, True):
            for body in bodies:
                # Without the first wall an unresolved entity may stand where our reader expects an element.
                with contextlib.suppress(AttributeError) if ONE_WALL in sys.argv else contextlib.nullcontext():
                    maker.keep(body, now)
        watch.on = False
        sys.stdout.write(json.dumps({"bodies": len(bodies), **watch.told()}))


if __name__ == "__main__":
    main()
