"""What a verb answers when it cannot do what it was asked: one line and exit code 2, never a traceback."""

from __future__ import annotations


class CannotError(Exception):
    """The verb cannot be done as asked; the message says why and, where there is one, what to do. Exit code 2."""


class FailedError(Exception):
    """The verb was done and its answer is no (a disagreement, refused rows). Exit code 1."""
