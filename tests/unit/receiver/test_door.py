"""The receiver's door: tokens, HTTP Basic, addresses; who is believed about where a request comes from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.receiver_door import MAX_HOPS, Addresses, Door
from tests.support.receiver import SECOND_TOKEN, TOKEN

PAIRS = ("provider:canary-password-1", "provider:canary-pass:word-2")
Headers = list[tuple[bytes, bytes]]


def request(
    path: str = f"/postbacks/{TOKEN}",
    method: str = "POST",
    client: str | None = "192.0.2.7",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Any:
    """What the server hands over of a request."""
    where = None if client is None else (client, 40_000)
    return cast("Any", {"type": "http", "method": method, "path": path, "client": where, "headers": list(headers)})


def basic(pair: str, scheme: str = "Basic") -> tuple[bytes, bytes]:
    """The header of a pair."""
    return b"authorization", f"{scheme} {b64encode(pair.encode()).decode()}".encode()


def forwarded(*values: str) -> Headers:
    """X-Forwarded-For, as often as it came."""
    return [(b"x-forwarded-for", value.encode()) for value in values]


def test_every_secret_is_compared_whatever_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a comparison tells neither which token or pair matched, nor whether one did, nor what else failed."""
    compared: list[bytes] = []

    def compare(found: bytes, known: bytes) -> bool:
        compared.append(known)
        return found == known

    monkeypatch.setattr("sendledger.edges.receiver_door.hmac.compare_digest", compare)
    door = Door([TOKEN, SECOND_TOKEN], basic=PAIRS)
    cases = [request(), request("/x"), request(method="GET"), request(f"/postbacks/{SECOND_TOKEN}"), request("")]
    cases += [request(headers=[basic(PAIRS[1])]), request("/postbacks/\udcff", headers=[basic("x")])]
    assert [door.admits(case) for case in cases] == [False] * 5 + [True, False]
    assert len(compared) == len(cases) * 4


@given(st.text(max_size=40) | st.integers(0, len(TOKEN) - 1).map(lambda end: TOKEN[:end]))
def test_nothing_but_a_whole_token_lets_in(presented: str) -> None:
    """No part of a token, nothing longer and nothing else is taken for it."""
    door = Door([TOKEN, SECOND_TOKEN])
    for path in (f"/postbacks/{presented}", f"/postbacks/{TOKEN}{presented or 'x'}", presented):
        assert not door.admits(request(path))


@pytest.mark.parametrize("number", [0, 1])
def test_each_pair_of_a_rotation_is_valid(number: int) -> None:
    """Both pairs are valid at once, however the scheme is spelt."""
    door = Door([TOKEN], basic=PAIRS)
    for scheme in ("Basic", "basic", "BASIC "):
        assert door.admits(request(headers=[basic(PAIRS[number], scheme)]))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [basic(PAIRS[0], "Bearer")],
        [basic(PAIRS[0][:-1])],
        [basic("provider:")],
        [basic("")],
        [(b"authorization", b"Basic")],
        [(b"authorization", b"Basic %%%")],
        [(b"authorization", PAIRS[0].encode())],
        [(b"x-authorization", basic(PAIRS[0])[1])],
        [basic(PAIRS[0]), basic(PAIRS[0])],
        [basic("other:pair"), basic(PAIRS[0])],
    ],
)
def test_without_the_whole_pair_nobody_comes_in(headers: Headers) -> None:
    """A valid token does not help without credentials, with a part of them, or with two headers of them."""
    assert not Door([TOKEN], basic=PAIRS).admits(request(headers=headers))
    assert Door([TOKEN]).admits(request(headers=headers))


ALLOWED = [ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/48"), ip_network("198.51.100.9/32")]
PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXIED = Addresses(ALLOWED, PROXIES)
DIRECT = Addresses(ALLOWED)


@pytest.mark.parametrize(
    ("peer", "comes_in"),
    [
        ("203.0.113.1", True),
        ("203.0.114.1", False),
        ("198.51.100.9", True),
        ("198.51.100.8", False),
        ("::ffff:203.0.113.1", True),
        ("::ffff:203.0.114.1", False),
        ("2001:db8:1::5", True),
        ("2001:DB8:1:0:0:0:0:5", True),
        ("2001:db8:2::5", False),
        ("2001:db8:1::5%eth0", True),
        ("::203.0.113.1", False),
        ("::1", False),
        ("127.0.0.1", False),
        ("203.0.113.01", False),
        ("3405803777", False),
        ("testclient", False),
        ("", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("addresses", [DIRECT, PROXIED], ids=["direct", "behind proxies"])
def test_only_listed_addresses_come_in(addresses: Addresses, peer: str | None, *, comes_in: bool) -> None:
    """IPv4, IPv6 and IPv4 in IPv6's clothes are compared as what they are; what is no address is nowhere."""
    assert addresses.accept(peer, []) is comes_in


@pytest.mark.parametrize("said", ["203.0.113.1", "203.0.113.1, 10.0.0.1", "10.0.0.1, 203.0.113.1"])
@pytest.mark.parametrize("peer", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8:9::1"])
def test_a_stranger_is_not_believed(peer: str, said: str) -> None:
    """X-Forwarded-For from anywhere but a configured proxy says nothing, whatever it says."""
    headers = forwarded(said)
    for addresses in (DIRECT, PROXIED):
        assert not addresses.accept(peer, [value for _, value in headers])
        assert not Door([TOKEN], addresses=addresses).admits(request(client=peer, headers=headers))


@pytest.mark.parametrize(
    ("peer", "values", "comes_in"),
    [
        ("10.0.0.1", ["203.0.113.1"], True),
        ("::ffff:10.0.0.1", ["203.0.113.1"], True),
        ("fd00::1", ["2001:db8:1::5"], True),
        ("10.0.0.1", ["::ffff:203.0.113.1"], True),
        ("10.0.0.1", ["203.0.113.1:4711"], True),
        ("10.0.0.1", ["[2001:db8:1::5]:443"], True),
        ("10.0.0.1", ['"[2001:db8:1::5]"'], True),
        # several hops: our own proxies are skipped from the end, and no further than to the first stranger
        ("10.0.0.1", ["203.0.113.1, 10.0.0.2, 10.9.9.9"], True),
        ("10.0.0.1", ["203.0.113.1", "10.0.0.2"], True),
        ("10.0.0.1", ["203.0.113.1, 192.0.2.7"], False),
        ("10.0.0.1", ["203.0.113.1", "192.0.2.7"], False),
        ("10.0.0.1", ["203.0.113.1, 192.0.2.7, 10.0.0.2"], False),
        ("10.0.0.1", ["192.0.2.7, 203.0.113.1"], True),
        # what cannot be read is a stranger, and what stands before it is not looked at
        ("10.0.0.1", ["203.0.113.1, unknown"], False),
        ("10.0.0.1", ["203.0.113.1, "], False),
        ("10.0.0.1", ["203.0.113.1,,10.0.0.2"], False),
        ("10.0.0.1", ["203.0.113.1, _hidden, 10.0.0.2"], False),
        ("10.0.0.1", ["203.0.113.1, 10.0.0.2 203.0.113.1"], False),
        ("10.0.0.1", ["203.0.113.1\t"], True),
        ("10.0.0.1", ["2" * 5_000], False),
        ("10.0.0.1", [",".join(["203.0.113.1", *["10.0.0.2"] * (MAX_HOPS - 1)])], True),
        ("10.0.0.1", [",".join(["203.0.113.1", *["10.0.0.2"] * MAX_HOPS])], False),
        # a proxy that says nothing is itself, and it is not on the list
        ("10.0.0.1", [], False),
        ("10.0.0.1", [""], False),
        ("10.0.0.1", ["10.0.0.2"], False),
    ],
)
def test_a_proxy_of_ours_is_believed_as_far_as_it_saw(peer: str, values: list[str], *, comes_in: bool) -> None:
    """The client is the last address that is not one of our own proxies; nobody can put one behind it."""
    assert PROXIED.accept(peer, [value.encode() for value in values]) is comes_in


@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from(["10.0.0.1", "fd00::1", "192.0.2.7", "x", ""]))
def test_any_header_is_an_address_or_nowhere(values: list[bytes], peer: str) -> None:
    """No bytes make the reader raise."""
    assert PROXIED.accept(peer, values) in {True, False}


@given(st.lists(st.sampled_from(["203.0.113.1", "10.0.0.3", "junk"]), max_size=6))
def test_whatever_a_stranger_writes_first_he_stays_a_stranger(said: list[str]) -> None:
    """A client outside the list that sends its own header through our proxy is still told by what the proxy adds."""
    assert not PROXIED.accept("10.0.0.1", [", ".join([*said, "192.0.2.7"]).encode()])


def test_all_that_is_asked_for_must_be_right() -> None:
    """Token, credentials and address: seven of the eight combinations stay outside."""
    door = Door([TOKEN], basic=PAIRS, addresses=PROXIED)
    admitted = [
        (token, pair, client)
        for token in (TOKEN, "x")
        for pair in (PAIRS[0], "x")
        for client in ("203.0.113.1", "192.0.2.7")
        if door.admits(request(f"/postbacks/{token}", client=client, headers=[basic(pair)]))
    ]
    assert admitted == [(TOKEN, PAIRS[0], "203.0.113.1")]
