"""Tokens and origins."""

import pytest

from robot_hil.console.address import console_url, is_loopback, machine_addresses, machine_names
from robot_hil.console.auth import Origins, Tokens, new_token


def test_every_start_has_a_token_of_128_bits() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(one) >= 22 for one in tokens)


def test_a_token_says_what_it_allows() -> None:
    tokens = Tokens(new_token())
    assert tokens.role(tokens.pilot) == "pilot"
    assert tokens.role(tokens.observer) == "observer"
    assert Tokens(new_token()).role(tokens.observer) is None
    for wrong in ("", tokens.pilot[:-1], tokens.pilot + " ", "\ud800", "ü"):
        assert tokens.role(wrong) is None
    assert tokens.role_of_header(f"Bearer {tokens.pilot}") == "pilot"
    assert tokens.role_of_header(f"bearer {tokens.observer}") == "observer"
    for wrong in ("", tokens.pilot, f"Basic {tokens.pilot}", "Bearer"):
        assert tokens.role_of_header(wrong) is None
    assert tokens.pilot not in repr(tokens)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "robot", "localhost.evil.example", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_only_the_consoles_own_pages_are_its_own() -> None:
    origins = Origins("https", ["https://robot.example.org/"])
    assert origins.allows("https://localhost:8443", "localhost:8443")
    assert origins.allows("https://robot.example.org", "localhost:8443")
    for wrong in (
        None,
        "",
        "null",
        "http://localhost:8443",
        "https://localhost",
        "https://localhost:8443.evil.example",
    ):
        assert not origins.allows(wrong, "localhost:8443")


def test_only_names_and_addresses_of_this_machine_are_answered() -> None:
    origins = Origins("http", ["https://robot.example.org"])
    for host in ("localhost:8443", "127.0.0.1:1", "[::1]:8443", "10.0.0.7:8443", "robot.example.org", *machine_names()):
        assert origins.knows_host(host, "10.0.0.7"), host
    for host in ("evil.example:8443", "10.0.0.8:8443", "", "localhost.evil.example"):
        assert not origins.knows_host(host, "10.0.0.7"), host
    assert origins.knows_host("[fd00::7]:8443", "fd00:0::7")
    assert origins.knows_host("10.0.0.7:8443", "::ffff:10.0.0.7")


def test_addresses_of_this_machine() -> None:
    addresses = machine_addresses()
    assert {"127.0.0.1", "::1"} <= addresses
    assert not any(one.startswith("fe80") for one in addresses)
    assert "localhost" in machine_names()


def test_the_address_to_open() -> None:
    assert console_url("127.0.0.1", 8443, False, "T") == "http://127.0.0.1:8443/#t=T"
    assert console_url("::1", 1, True, "T", "/xr/") == "https://[::1]:1/xr/#t=T"
    assert "0.0.0.0" not in console_url("0.0.0.0", 1, True, "T")
