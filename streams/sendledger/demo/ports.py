"""Ports for a demo beside whatever else runs on this machine."""

from __future__ import annotations

import contextlib
import secrets
import socket

_BELOW_EPHEMERAL = range(20_000, 32_000)  # the kernel gives ports above to outgoing connections at any moment
_TRIES = 200


class NoPortsError(Exception):
    """No run of free ports was found."""


def free_run(count: int) -> int:
    """The first of `count` ports in a row that were free a moment ago. Errors: NoPortsError."""
    for _ in range(_TRIES):
        first = _BELOW_EPHEMERAL.start + secrets.randbelow(len(_BELOW_EPHEMERAL) - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise NoPortsError(f"no {count} free ports in a row between {_BELOW_EPHEMERAL.start} and {_BELOW_EPHEMERAL.stop}")


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
