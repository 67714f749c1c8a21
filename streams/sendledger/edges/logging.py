"""Logging for every process: structlog on stderr, with personal data and secrets taken out on the way (P7, P8).

Our own code never logs a number, a text or a key. The redaction here is the second wall: it also covers what
libraries put into their messages and what an exception quotes.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "***"
_SHORTEST_SECRET = 6
_FORBIDDEN_KEYS = frozenset(
    {"to", "text", "raw", "body", "api_key", "token", "tokens", "pepper", "password", "authorization"}
)
# A run of 7 to 20 digits that is a word of its own may be a telephone number; ids are base32 and ports are shorter.
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?\d{4,17}(\d{3})(?![0-9A-Za-z])")
# The page's documents carry numbers, texts and the key in these elements, whatever stands around them.
_ELEMENT = re.compile(r"<(API_KEY|TO|TEXT|FROM_MASK)>[^<]*", re.IGNORECASE)
# What stands in the place of a token, also of one that is not valid any more; credentials as headers carry them.
_TOKEN_PATH = re.compile(r"(/postbacks/|%2[Ff]postbacks%2[Ff])[^\s\"'<>?#]+")
_CREDENTIALS = re.compile(r"\b(Basic|Bearer)(\s+)[A-Za-z0-9+/_.~=-]{8,}")
# aiokafka calls an error what it tries again by itself a moment later: topics and leaders that it does not know yet.
_QUIET = {"aiokafka": logging.ERROR, "aiokafka.cluster": logging.CRITICAL,
          "aiokafka.consumer.group_coordinator": logging.CRITICAL, "aiokafka.consumer.fetcher": logging.CRITICAL,
          "sendledger.agents.transport": logging.WARNING,
          "faust": logging.WARNING, "mode": logging.WARNING, "uvicorn": logging.WARNING,
          "aiohttp.access": logging.ERROR, "asyncio": logging.WARNING}  # fmt: skip


class Redaction:
    """A structlog processor that masks secrets, numbers and the provider's elements in every value of an event."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: a secret that contains another one must not be left in part.
        self._secrets = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The event as it may be written."""
        return {key: HIDDEN if key in _FORBIDDEN_KEYS else self.clean(value) for key, value in event.items()}

    def clean(self, value: object) -> object:
        """`value` without what must not be shown; numbers, times and other plain values stay as they are."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case dict():
                items = cast("dict[object, object]", value)
                return {k: HIDDEN if k in _FORBIDDEN_KEYS else self.clean(v) for k, v in items.items()}
            case list() | tuple() | set() | frozenset():
                return [self.clean(item) for item in cast("Iterable[object]", value)]
            case _:
                return self.text(str(value))

    def text(self, text: str) -> str:
        """`text` with secrets and elements blanked, and numbers cut down to their last three digits."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _ELEMENT.sub(rf"<\1>{HIDDEN}", text)
        text = _TOKEN_PATH.sub(rf"\1{HIDDEN}", text)
        text = _CREDENTIALS.sub(rf"\1\2{HIDDEN}", text)
        return _NUMBER.sub(r"…\1", text)


def configure(*, role: str, secrets: Iterable[str] = (), level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process: one line an event on `stream` (stderr).

    A terminal gets readable lines, everything else JSON. `role` stands on each line.
    """
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        Redaction(secrets),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(role),
    ]
    terminal = out.isatty()
    final: Processor = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    quieten_libraries()
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def quieten_libraries() -> None:
    """Keep those quiet, at any level of ours, that write records and addresses into their logs (P7, P8)."""
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def _named(role: str) -> Processor:
    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    return name
