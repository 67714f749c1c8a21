"""`sendledger dead-letters`: what it shows and hides, what it refuses, and that its help teaches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sendledger.cli import dead_letters
from sendledger.cli.app import run
from sendledger.edges import dead_letter_office as office
from sendledger.edges.dead_letter_office import Letter
from sendledger_schemas.topics import POSTBACKS, SEND_REQUESTS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBER = "15551234888"
BODY = f"<POSTBACK><TO>{NUMBER}</TO><TEXT>canary</TEXT>".encode()
LETTERS = [
    Letter(POSTBACKS, 0, NOW, "E", "broken", None, None, len(BODY), value=BODY),
    Letter(POSTBACKS, 1, NOW, "E", "broken", None, None, 1, retried=True, value=b"\xff"),
    Letter(SEND_REQUESTS, 0, NOW, "E", "data.to: missing", 3, 99, 9, copies=2, value=BODY),
]
Told = tuple[int, str, str]
Verb = Callable[..., Told]


@pytest.fixture
def asked() -> list[office.Wanted]:
    """What the office was asked for."""
    return []


@pytest.fixture
def verb(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], asked: list[office.Wanted]
) -> Verb:
    """One command over these letters, with no Kafka: its exit code, output and errors."""

    async def listed(_: object, wanted: office.Wanted) -> list[Letter]:
        asked.append(wanted)
        return [letter for letter in LETTERS if wanted.takes(letter)]

    async def shown(_: object, name: str) -> Letter | None:
        return next((letter for letter in LETTERS if letter.name == name), None)

    class Settings:
        kafka = None

    def joined(work: Any) -> Any:
        try:
            work(Settings()).send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("it waited")

    monkeypatch.setattr(office, "list_letters", listed)
    monkeypatch.setattr(office, "show_letter", shown)
    monkeypatch.setattr(dead_letters, "joined", joined)

    def call(*arguments: str) -> Told:
        capfdbinary.readouterr()
        code = run(["dead-letters", *arguments])
        out, err = capfdbinary.readouterr()
        return code, out.decode("utf-8", "backslashreplace"), err.decode()

    return call


@pytest.mark.parametrize("options", [(), ("--json",), ("--summary",), ("--summary", "--json")])
def test_a_list_shows_no_content(verb: Verb, options: tuple[str, ...]) -> None:
    """Names, reasons and counts; no number, not even masked, and no text (P7)."""
    code, out, _ = verb("list", *options)
    assert code == 0
    assert "broken" in out
    assert not re.search(r"canary|4888|\*", out)


def test_a_summary_counts_by_topic_and_reason(verb: Verb) -> None:
    """One line a kind, open and brought in apart."""
    rows = [json.loads(line) for line in verb("list", "--summary", "--json")[1].splitlines()]
    assert rows == [
        {"source": POSTBACKS, "reason": "broken", "open": 1, "brought_in": 1},
        {"source": SEND_REQUESTS, "reason": "data.to: missing", "open": 1, "brought_in": 0},
    ]


def test_filters_are_what_was_asked(verb: Verb, asked: list[office.Wanted]) -> None:
    """Each option ends in the filter that it names."""
    code, out, _ = verb(
        "list", "--topic", POSTBACKS, "--reason", "bro", "--since", "2026-03-01", "--state", "open", "--json"
    )
    assert (code, json.loads(out)["name"]) == (0, f"{POSTBACKS}:0")
    (wanted,) = asked
    assert wanted == office.Wanted(
        topics=[POSTBACKS], reason="bro", since=datetime(2026, 3, 1, tzinfo=UTC), state="open"
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--topic", "sms.postback"), "there is no topic sms.postback"),
        (("--since", "yesterday"), "--since: not a time"),
        (("--state", "new"), "--state"),
    ],
)
@pytest.mark.parametrize("which", ["list", "retry"])
def test_a_wrong_filter_is_refused(verb: Verb, which: str, options: tuple[str, ...], complaint: str) -> None:
    """A slip of the pen must not bring in, or hide, everything."""
    code, _, err = verb(which, *options)
    assert code == 2
    assert complaint in err


def test_show_hides_until_it_is_asked(verb: Verb) -> None:
    """Masked by default; whole with the flag that says what it does; the bytes themselves with the other."""
    name = f"{POSTBACKS}:0"
    code, out, _ = verb("show", name)
    assert code == 0
    assert "<TO>********888</TO><TEXT>***" in out
    assert NUMBER in verb("show", name, "--reveal-numbers")[1]
    assert verb("show", name, "--raw")[1] == BODY.decode()
    told = [json.loads(verb("show", name, "--json", *flag)[1]) for flag in ((), ("--reveal-numbers",))]
    assert [one["masked"] for one in told] == [True, False]
    assert [NUMBER in one["text"] for one in told] == [False, True]


def test_show_tells_the_place_of_a_record(verb: Verb) -> None:
    """Topic, partition and offset; a name that there is not is told, with where names stand."""
    assert "about sms.send-requests.v1, partition 3, offset 99" in verb("show", f"{SEND_REQUESTS}:0")[1]
    code, _, err = verb("show", f"{POSTBACKS}:77")
    assert code == 2
    assert "dead-letters list" in err


def test_the_help_teaches(verb: Verb) -> None:
    """What dead letters are, what to do step by step, that a retry is harmless, and which option shows numbers."""
    told = " ".join(verb("--help")[1].split())
    for words in (
        "never stop the program",
        "fix the decoder",
        "retry --dry-run",
        "Nothing comes in twice",
        "RETENTION_DAYS",
    ):
        assert words in told
    assert "Personal data" in verb("show", "--help")[1]
    assert "exit code 1" in " ".join(verb("retry", "--help")[1].split())
