from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.simulator.options import ENV_API_KEY, ENV_CALLBACK_URL, WrongOption, parse
from sendledger.simulator.profile import CALM, MIXED, Misbehaviour


def test_without_options_it_is_calm_and_at_home() -> None:
    """The defaults: loopback, a free port, the calm preset, the provider's own rule, and the disk is waited for."""
    options = parse([], {})
    assert (options.host, options.port, options.profile, options.sync) == ("127.0.0.1", 0, CALM, True)
    rule = options.rule
    assert (rule.deadline, rule.retry_after, rule.retries, options.rules.scale) == (10.0, 300.0, 5, 1.0)
    assert options.callback_url is None


def test_what_is_said_changes_the_preset() -> None:
    """A preset is where to start from; each option replaces one field of it."""
    said = (
        "--preset mixed --error E110=0.5 --error E628=0.25 --receipt 70=0.5 --early 0.75 --misbehave hang_after=0.1 "
        "--form v2 --latency-ms 5-40 --sent-after 2 --rate 10 --throttle-code E106"
    )
    options = parse(said.split(), {})
    profile = options.profile
    assert (profile.errors, profile.receipts) == ({"E110": 0.5, "E628": 0.25}, {70: 0.5})
    assert profile.misbehave == {Misbehaviour.HANG_AFTER: 0.1}
    assert (profile.early, profile.form, profile.latency_ms, profile.sent_after) == (0.75, "v2", (5, 40), (2, 2))
    assert (profile.rate, profile.throttle_code) == (10, "E106")
    assert profile.no_receipt == MIXED.no_receipt


def test_the_account_and_the_rule() -> None:
    """Key, short codes, prefixes, credit, and the rule for postbacks reach those who need them."""
    said = (
        "--seed 7 --time-scale 0.01 --short-code 1 --short-code 2 --credit 9 --unsupported-prefix 999 "
        "--retries 2 --retry-after 60 --answer-deadline 1 --concurrency 3 --no-sync"
    )
    options = parse(said.split(), {})
    rules, rule = options.rules, options.rule
    assert (rules.seed, rules.scale, rules.senders) == (7, 0.01, frozenset({"1", "2"}))
    assert (rules.credit, rules.unsupported_prefixes) == (9, ("999",))
    assert (rule.retries, rule.retry_after, rule.deadline, rule.concurrency) == (2, 60, 1, 3)
    assert not options.sync


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--host", "0.0.0.0"], "--expose"),  # noqa: S104  # refused
        (["--host", "example.org"], "--expose"),
        (["--error", "E110=2"], "over 1"),
        (["--misbehave", "explode=0.1"], "explode"),
        (["--receipt", "many=0.1"], "receipts"),
        (["--latency-ms", "40-5"], "latency_ms"),
        (["--callback-url", "ftp://x"], "callback URL"),
        (["--callback-url", "http://h:notaport/"], "callback URL"),
        (["--api-key-file", "/nonexistent"], "No such file"),
        (["--time-scale", "-1"], "--time-scale"),
        (["--answer-deadline", "0"], "--answer-deadline"),
        (["--concurrency", "0"], "--concurrency"),
        (["--port", "70000"], "--port"),
    ],
)
def test_wrong_settings_are_told(argv: list[str], complaint: str) -> None:
    """A setting that cannot be is refused in one line that names it."""
    with pytest.raises(WrongOption, match=complaint) as refused:
        parse(argv, {})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("argv", [["--error", "E110"], ["--latency-ms", "a-b"], ["--preset", "wild"]])
def test_unreadable_options_end_with_2(argv: list[str]) -> None:
    """What argparse refuses ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parse(argv, {})
    assert ended.value.code == 2


def test_exposing_is_possible_on_purpose() -> None:
    """With `--expose` any address is allowed."""
    assert parse(["--host", "0.0.0.0", "--expose"], {}).host == "0.0.0.0"  # noqa: S104  # on purpose


def test_secrets_from_files_and_the_environment(tmp_path: Path) -> None:
    """Key and address can stay off the command line: a file beats the environment, the option beats both."""
    file = tmp_path / "secret"
    file.write_text("http://from-file/\n", encoding="utf-8")
    environ = {ENV_API_KEY: "from-environment", ENV_CALLBACK_URL: "http://from-environment/"}
    options = parse(["--callback-url-file", str(file)], environ)
    assert (options.rules.api_key, options.callback_url) == ("from-environment", "http://from-file/")
    assert parse(["--api-key", "said"], environ).rules.api_key == "said"


def test_secrets_are_not_shown() -> None:
    """Neither the key nor the address with its token stands in `repr`."""
    options = parse(["--api-key", "canary-key", "--callback-url", "http://127.0.0.1/canary-token"], {})
    assert "canary" not in repr(options)


def test_a_wrong_callback_url_is_not_repeated() -> None:
    """The complaint about an address does not show it: it may hold a token."""
    with pytest.raises(WrongOption) as refused:
        parse(["--callback-url", "htp://127.0.0.1/canary-token"], {})
    assert "canary" not in str(refused.value)


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` has every option with a sentence, every way to misbehave, and examples."""
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in Misbehaviour)
    assert "examples:" in shown
    assert "/switch" in shown
