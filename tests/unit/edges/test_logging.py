from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from sendledger.edges.logging import Redaction, configure

KEY = "qTFkykO9JTfahCOqJ0V2Wf5Cg1t8iWlZ"
NUMBER = "15551234888"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What a process that is set up like the sender logs."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure(role="sender", secrets=[KEY], stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(output: io.StringIO) -> list[dict[str, object]]:
    """Each line read as JSON."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_role(output: io.StringIO) -> None:
    """Whoever collects the logs gets one JSON object a line, which says which role wrote it and when."""
    structlog.get_logger("x").info("claimed", attempt=2)
    (line,) = lines(output)
    assert line["event"] == "claimed"
    assert line["attempt"] == 2
    assert line["role"] == "sender"
    assert str(line["timestamp"]).endswith("Z")


def test_a_secret_does_not_reach_the_log(output: io.StringIO) -> None:
    """A key in a message, in a value, in a nested value or in a library's line is not written."""
    structlog.get_logger("x").warning(f"called with {KEY}", url=f"http://p/?api_key={KEY}", nested={"a": [KEY]})
    logging.getLogger("library").warning("connecting with %s", KEY)
    assert len(lines(output)) == 2
    assert KEY not in output.getvalue()


def test_an_exception_is_logged_without_what_it_quotes(output: io.StringIO) -> None:
    """A traceback keeps its frames and loses the key and the number that its message quotes."""
    try:
        raise ValueError(f"cannot send to {NUMBER} with {KEY}")  # noqa: TRY301 — the traceback is what is tested
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "ValueError" in output.getvalue()
    assert NUMBER not in output.getvalue()
    assert KEY not in output.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("to 15551234888 now", "to …888 now"),
        ("+15551234888", "…888"),
        ("<TO>15551234888 </TO><TEXT>Hello Jerry</TEXT>", "<TO>***</TO><TEXT>***</TEXT>"),
        ("<api_key>abc</api_key>", "<api_key>***</api_key>"),
        ("port 8081 of 127.0.0.1:43117", "port 8081 of 127.0.0.1:43117"),
        ("a" * 10 + "1234567890" + "b", "a" * 10 + "1234567890" + "b"),
        (12345678901, 12345678901),
        (True, True),
        (None, None),
        (["15551234888"], ["…888"]),
        ({"text": "Hello", "n": 1}, {"text": "***", "n": 1}),
    ],
)
def test_what_looks_like_a_number_is_masked(value: object, shown: object) -> None:
    """Runs of digits that could be a telephone number keep three digits; ids, ports and offsets stay whole."""
    assert Redaction().clean(value) == shown


@pytest.mark.parametrize("key", ["to", "text", "raw", "api_key", "token", "pepper", "password"])
def test_forbidden_names_never_show_their_value(key: str) -> None:
    """A value logged under a name that can only mean personal data or a secret is hidden whatever it is."""
    assert Redaction()(None, "info", {"event": "x", key: "value"})[key] == "***"


def test_the_longer_of_two_secrets_goes_first() -> None:
    """A secret that contains another one leaves no rest behind."""
    assert Redaction(["secret", "secret-and-more"]).text("<secret-and-more>") == "<***>"


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ('"POST /postbacks/canary HTTP/1.1" 404', '"POST /postbacks/*** HTTP/1.1" 404'),
        ("GET http://r:8081/postbacks/canary?x=1", "GET http://r:8081/postbacks/***?x=1"),
        ("next=%2Fpostbacks%2Fcanary", "next=%2Fpostbacks%2F***"),
        ("(b'authorization', b'Basic Y2FuYXJ5OmNhbmFyeQ==')", "(b'authorization', b'Basic ***')"),
        ("Authorization: Bearer canary-token", "Authorization: Bearer ***"),
        ("/postbacks is where they come in", "/postbacks is where they come in"),
    ],
)
def test_what_stands_where_a_token_stands_is_hidden(line: str, written: str) -> None:
    """Also a token that this process does not know (retired, mistyped), and any credentials of a header."""
    assert Redaction().text(line) == written
