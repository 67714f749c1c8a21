"""The settings of the receiver's door: what may be written, what is refused, and that nothing secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.config import ConfigError, load

PAIR = "provider:canary-password"
BASIC, ALLOW, PROXIES = (f"SENDLEDGER_RECEIVER_{name}" for name in ("BASIC_AUTH", "ALLOW_FROM", "PROXIES"))


def test_nothing_is_asked_for_unless_it_is_set() -> None:
    """By default the token is the only lock."""
    settings = load({}, None)
    assert (settings.receiver_basic_auth, settings.receiver_allow_from, settings.receiver_proxies) == ((), (), ())


def test_networks_are_read_as_they_are_meant() -> None:
    """Addresses, networks of both families, and IPv4 in IPv6's clothes; `config` shows them in the usual form."""
    given = {ALLOW: "192.0.2.7, 198.51.100.0/24,2001:DB8::/32, ::ffff:203.0.113.0/120 ,::1", PROXIES: "10.0.0.0/8"}
    echo = load(given, None).echo()
    assert echo[ALLOW] == "192.0.2.7/32, 198.51.100.0/24, 2001:db8::/32, 203.0.113.0/24, ::1/128"
    assert echo[PROXIES] == "10.0.0.0/8"


@pytest.mark.parametrize("value", ["192.0.2.0/23/4", "proxy.example", "192.0.2.1/24", "0x7f.1", "10.0.0.1,x", "1"])
def test_what_is_no_network_is_refused(value: str) -> None:
    """A name, a typing error, and an address with bits behind its mask: the start says which variable it is."""
    with pytest.raises(ConfigError) as refused:
        load({ALLOW: value}, None)
    (told,) = refused.value.problems
    assert told.startswith(f"{ALLOW}: must be addresses or networks")


@pytest.mark.parametrize("value", ["canary", "user:canary", ":canary-password", "canary-user", "u:canary\x07password"])
def test_what_is_no_pair_is_refused_unquoted(value: str) -> None:
    """A user and a password of some length, printable; the refusal does not repeat it."""
    with pytest.raises(ConfigError) as refused:
        load({BASIC: value}, None)
    (told,) = refused.value.problems
    assert told.startswith(f"{BASIC}: must be user:password")
    assert "canary" not in told


def test_proxies_without_a_list_are_a_mistake() -> None:
    """Whoever names proxies wants addresses to be looked at."""
    with pytest.raises(ConfigError) as refused:
        load({PROXIES: "10.0.0.1"}, None)
    assert refused.value.problems[0].startswith(f"{PROXIES}: says nothing without {ALLOW}")


def test_the_pairs_can_stand_in_a_file(tmp_path: Path) -> None:
    """As every secret; and neither `config` nor `repr` shows them."""
    file = tmp_path / "pairs"
    file.write_text(f"{PAIR},{PAIR}2\n", encoding="utf-8")
    settings = load({f"{BASIC}_FILE": str(file)}, None)
    assert [pair.get_secret_value() for pair in settings.receiver_basic_auth] == [PAIR, f"{PAIR}2"]
    assert settings.echo()[BASIC] == "(set)"
    assert "canary" not in repr(settings)
