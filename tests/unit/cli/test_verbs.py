from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from sendledger.cli.app import application, run
from sendledger.cli.campaigns import idempotency_key
from sendledger.cli.context import operator, secrets_of
from sendledger.config import load
from sendledger.edges import running
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.up import LIVE_PAGE

SEND = ("send", "spring", "--sender", "60856", "--text", "Hello", "--recipients", "people.csv")
CANARY = "canary-0123456789-canary-abcdef"
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Runs a verb in an empty directory, with no instance and no settings but the data directory."""
    for name in [name for name in os.environ if name.startswith(("SENDLEDGER_", "KAFKA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SENDLEDGER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("to\n15551230001\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        SEND,
        ("status",),
        ("status", "spring", "--at", "-2h", "--clock", "provider", "--policy", "last-final"),
        ("pause", "spring"),
        ("resume", "*"),
        ("cancel", "spring"),
        ("rate", "5"),
        ("message", "m"),
        ("resolve", "m", "--as", "sent"),
        ("suppress", "list"),
        ("suppress", "add", "15551230001"),
        ("dead-letters", "list"),
        ("dead-letters", "show", "sms.postbacks.v1:0"),
        ("dead-letters", "retry"),
        ("topics", "check"),
        ("run", "fold"),
        ("export", "messages"),
        ("export", "campaigns", "--format", "csv", "-o", "-"),
        ("sql", "SELECT 1"),
        ("sink", "postgres"),
    ],
)
def test_a_verb_that_finds_no_instance_says_so(verb: Verb, arguments: tuple[str, ...]) -> None:
    """Without a running instance and without Kafka's address, one line says what to do, and the exit code is 2."""
    code, _, err = verb(*arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert "sendledger up" in err
    assert "KAFKA_BOOTSTRAP_SERVERS" in err


def test_an_instance_on_somebody_elses_kafka_is_not_guessed_at(verb: Verb, tmp_path: Path) -> None:
    """An instance that was given its Kafka has settings that a verb cannot know: it says which to set."""
    (tmp_path / "data").mkdir()
    running.announce(tmp_path / "data", bootstrap_servers="kafka:9092", embedded=False, urls={})
    code, _, err = verb("status")
    assert code == 2
    assert "kafka:9092" in err
    assert "KAFKA_BOOTSTRAP_SERVERS" in err


def test_an_instance_whose_kafka_does_not_answer(verb: Verb, tmp_path: Path) -> None:
    """A broker that is away is one line and exit code 2, not a traceback and not a hanging verb."""
    (tmp_path / "data").mkdir()
    running.announce(tmp_path / "data", bootstrap_servers="127.0.0.1:9", embedded=True, urls={})
    code, _, err = verb("status")
    assert code == 2
    assert "does not answer" in err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"spring": "spring sale"}, "campaign_id"),
        ({"people.csv": "nobody.csv"}, "--recipients"),
        ({"Hello": "x" * 161}, "161 characters"),
        ({"Hello": ""}, "text: missing"),
        ({"60856": ""}, "sender"),
    ],
)
def test_a_submission_that_cannot_be_is_refused_before_kafka(
    verb: Verb, tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    """What is wrong with a submission as a whole is said with its field, and exit code 2."""
    (tmp_path / "data").mkdir()
    running.announce(tmp_path / "data", bootstrap_servers="127.0.0.1:9", embedded=True, urls={})
    code, _, err = verb(*(change.get(argument, argument) for argument in SEND))
    assert code == 2
    assert complaint in err
    assert "Traceback" not in err


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_the_parts_are_shown_before_anything_is_sent(verb: Verb, tmp_path: Path, more: tuple[str, ...]) -> None:
    """What a text costs stands on the screen before Kafka is asked, also if Kafka is away then; the text does not."""
    (tmp_path / "data").mkdir()
    running.announce(tmp_path / "data", bootstrap_servers="127.0.0.1:9", embedded=True, urls={})
    code, out, _ = verb(*("Zażółć 1" if argument == "Hello" else argument for argument in SEND), *more)
    assert code == 2
    assert out.startswith("UCS-2, 1 part a message, 1 in all; not in GSM-7: ż (U+017C ")
    assert "Za" not in out


@pytest.mark.parametrize(("option", "value"), [("--at", "tomorrow"), ("--at", "2026-05-01T09:00"), ("--expires", "x")])
def test_a_time_without_its_offset_is_refused(verb: Verb, option: str, value: str) -> None:
    """A time that could mean two moments is refused under the name of its option."""
    code, _, err = verb(*SEND, option, value)
    assert code == 2
    assert option in err


@pytest.mark.parametrize("content", ["", "number\n1\n", "to\n", "\xff\xfe"])
def test_a_file_that_is_no_list_is_refused(verb: Verb, tmp_path: Path, content: str) -> None:
    """An empty file, one without the column `to`, or one in another encoding is refused with its reason."""
    (tmp_path / "people.csv").write_bytes(content.encode("latin-1"))
    code, _, err = verb(*SEND)
    assert code == 2
    assert "--recipients" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("spring", "--at", "yesterday"), "--at: not a time"),
        (("spring", "--at", "2999-01-01"), "--at: this moment has yet to come"),
        (("--at", "-2h"), "needs a CAMPAIGN"),
        (("spring", "--clock", "provider"), "--clock: needs --at"),
        (("spring", "--at", "-2h", "--watch"), "--watch"),
        (("spring", "--at", "-2h", "--clock", "sundial"), "sundial"),
        (("spring", "--policy", "best-of-three"), "best-of-three"),
    ],
)
def test_a_moment_or_policy_that_cannot_be_is_refused(verb: Verb, arguments: tuple[str, ...], complaint: str) -> None:
    """`status` says what is wrong with what it was asked, before it looks for an instance."""
    code, _, err = verb("status", *arguments)
    assert code == 2
    assert complaint in err
    assert "Traceback" not in err


def test_settings_are_shown_without_secrets(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    """`config` tells of a secret only whether it is set."""
    for name in ("RECIPIENT_PEPPER", "PROVIDER_API_KEY", "POSTBACK_TOKENS", "POSTGRES_DSN"):
        monkeypatch.setenv(f"SENDLEDGER_{name}", CANARY)
    monkeypatch.setenv("SENDLEDGER_API_TOKENS", f"admin:{CANARY}")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", CANARY)
    monkeypatch.setenv("SENDLEDGER_SEND_RAET", "7")
    for arguments in (("config",), ("config", "--json")):
        code, out, err = verb(*arguments)
        assert code == 0
        assert CANARY not in out + err
        assert "SENDLEDGER_SEND_RAET" in err
    assert json.loads(verb("config", "--json")[1])["SENDLEDGER_PROVIDER_API_KEY"] == "(set)"


def test_the_postback_address_is_told_on_request(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    """`postback-url` prints the address with each valid token: it is the one place where a token is printed."""
    other = CANARY.replace("0", "1")
    monkeypatch.setenv("SENDLEDGER_POSTBACK_TOKENS", f"{CANARY},{other}")
    monkeypatch.setenv("SENDLEDGER_PUBLIC_URL", "https://sms.example.org/")
    code, out, _ = verb("postback-url")
    assert code == 0
    assert out.split() == [f"https://sms.example.org/postbacks/{token}" for token in (CANARY, other)]
    monkeypatch.setenv("SENDLEDGER_RECEIVER_BASIC_AUTH", "provider:secret-password")
    code, again, err = verb("postback-url")
    assert (code, again) == (0, out)
    assert "must also send HTTP Basic: SENDLEDGER_RECEIVER_BASIC_AUTH" in err
    assert "secret-password" not in err


def test_the_made_postback_address_stays_the_same(verb: Verb) -> None:
    """Without a setting the installation's own token is printed, the same each time."""
    first, second = verb("postback-url"), verb("postback-url")
    assert first == second
    assert "/postbacks/" in first[1]
    assert "SENDLEDGER_PUBLIC_URL" in first[2]


def test_the_page_is_found(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`page` prints the address, of a running instance its own, and how to get in; of tokens those that are set."""
    code, out, err = verb("page")
    assert (code, out) == (0, "http://127.0.0.1:8080/\n")
    assert "no Sendledger runs" in err
    assert "sendledger token admin" in err
    (tmp_path / "data").mkdir(exist_ok=True)
    urls = {LIVE_PAGE: "http://127.0.0.1:20123/"}
    running.announce(tmp_path / "data", bootstrap_servers="127.0.0.1:1", embedded=True, urls=urls)
    monkeypatch.setenv("SENDLEDGER_API_TOKENS", f"send:{CANARY},admin:sha256:{'0' * 64}")
    assert verb("page") == (0, f"{urls[LIVE_PAGE]}\nsend token: {CANARY}\n", "")


def test_verify_that_cannot_be_done_is_exit_code_2(verb: Verb) -> None:
    """Neither a difference nor none: without an instance, or with a time that is none, it says why."""
    code, _, err = verb("verify")
    assert code == 2
    assert "no Sendledger runs" in err
    assert verb("verify", "--every", "soon")[0] == 2
    assert verb("verify", "--policy", "best")[0] == 2


@pytest.mark.parametrize("arguments", [("nonsense",), ("status", "--nonsense"), ("rate", "fast"), ("run", "cook")])
def test_a_wrong_command_line_is_exit_code_2(verb: Verb, arguments: tuple[str, ...]) -> None:
    """A verb, option or value that does not exist is explained, with exit code 2."""
    assert verb(*arguments)[0] == 2


def test_every_verb_teaches_itself(verb: Verb) -> None:
    """The help of each verb has a first sentence, and of those with arguments an example."""
    command = get_command(application())
    for name, each in command.commands.items():  # type: ignore[attr-defined]  # typer's own click has no types for it
        if hasattr(each, "commands") or name == "simulator":
            continue
        code, out, _ = verb(name, "--help")
        assert code == 0
        assert name in ("config", "page", "postback-url", "verify") or f"sendledger {name}" in out, name


@given(st.tuples(*[st.text(max_size=5)] * 3, st.binary(max_size=5)), st.tuples(*[st.text(max_size=5)] * 3, st.binary(max_size=5)))  # fmt: skip  # noqa: E501
def test_the_key_is_the_command(one: tuple[str, str, str, bytes], two: tuple[str, str, str, bytes]) -> None:
    """Same campaign, sender, text and file: same key. Anything else: another key; and `--again` is always another."""
    keys = [idempotency_key(*command, nonce="") for command in (one, two)]
    assert (keys[0] == keys[1]) == (one == two)
    assert idempotency_key(*one, nonce="n") != keys[0]


def test_all_secrets_of_the_settings_are_known_to_the_log(tmp_path: Path) -> None:
    """Every secret that a setting can hold is on the list that the log leaves out."""
    names = ("POSTGRES_DSN", "PROVIDER_API_KEY", "RECIPIENT_PEPPER", "POSTBACK_TOKENS")
    given_ = {f"SENDLEDGER_{name}": f"{CANARY}-{name}" for name in names}
    given_ |= {"SENDLEDGER_API_TOKENS": f"read:{CANARY}-READ,admin:{CANARY}-ADMIN"}
    given_ |= {f"KAFKA_{name}": f"{CANARY}-{name}" for name in ("SASL_PASSWORD", "SSL_PASSWORD")}
    found = secrets_of(load(given_, None))
    ends = (*names, "READ", "ADMIN", "SASL_PASSWORD", "SSL_PASSWORD")
    assert sorted(found) == sorted(f"{CANARY}-{end}" for end in ends)
    pair = f"user:{CANARY}-BASIC"
    found = secrets_of(load({"SENDLEDGER_RECEIVER_BASIC_AUTH": pair}, None))
    assert sorted(found) == sorted([pair, b64encode(pair.encode()).decode(), f"{CANARY}-BASIC"])
    made = with_kept_secrets(load({"SENDLEDGER_DATA_DIR": str(tmp_path)}, None))
    assert len(secrets_of(made)) == 2


def test_the_operator_has_a_name() -> None:
    """An order is signed with the operating system's user."""
    assert operator().startswith("user:")


@pytest.mark.parametrize("value", ["inf", "nan", "1e9", "10000.1", "0", "-1"])
def test_a_rate_that_no_sender_could_keep_is_refused_before_kafka(verb: Verb, tmp_path: Path, value: str) -> None:
    """As over HTTP: finite, above 0, at most 10,000; an endless one was written as a null that nobody could read."""
    (tmp_path / "data").mkdir()
    running.announce(tmp_path / "data", bootstrap_servers="127.0.0.1:9", embedded=True, urls={})
    code, out, err = verb("rate", "--", value)
    assert code == 2
    assert "Invalid value for 'per_second'" in err
    assert out == ""


def test_the_help_of_resolve_and_send_says_where_things_come_from(verb: Verb) -> None:
    """Where a message's id stands, when a resend is void, and what expires a message that says nothing of it."""
    told = " ".join(verb("resolve", "--help")[1].split())
    assert "sendledger status CAMPAIGN" in told
    assert "void once a postback has settled" in told
    assert "SENDLEDGER_DEFAULT_EXPIRY_HOURS" in verb("send", "--help")[1]
