"""Certificates: made once, renewed when needed, trusted by who knows the authority, and real on the wire."""

import datetime
import ipaddress
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from browser import chromium, require
from cryptography import x509
from serving import console_thread, until

from robot_hil.console import tls
from robot_hil.console.address import machine_names
from robot_hil.errors import ConfigError

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
ADDRESSES = ("127.0.0.1", "10.0.0.7", "fd00::7")


def leaf(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())


def names_of(certificate: x509.Certificate) -> tuple[set[str], set[str]]:
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(named.get_values_for_type(x509.DNSName)), {str(one) for one in named.get_values_for_type(x509.IPAddress)}


def test_the_first_start_makes_an_authority_and_a_certificate(tmp_path) -> None:
    folder = tmp_path / "tls"
    chain, key = tls.own_certificate(folder, ADDRESSES, NOW)
    assert names_of(leaf(folder)) == (machine_names(), {str(ipaddress.ip_address(one)) for one in ADDRESSES})
    for name in ("ca.key", "server.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0
    validity = leaf(folder).not_valid_after_utc - leaf(folder).not_valid_before_utc
    assert validity == datetime.timedelta(days=tls.LEAF_DAYS)
    authority = x509.load_pem_x509_certificate(tls.authority_certificate(folder))
    leaf(folder).verify_directly_issued_by(authority)
    assert tls.server_context(chain, key).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_two_installations_share_nothing(tmp_path) -> None:
    for name in ("one", "two"):
        tls.own_certificate(tmp_path / name, ADDRESSES, NOW)
    for name in ("ca.key", "ca.crt", "server.key", "server.crt"):
        assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "two" / name).read_bytes()


def test_it_is_kept_while_it_fits(tmp_path) -> None:
    tls.own_certificate(tmp_path, ADDRESSES, NOW)
    before = (tmp_path / "server.crt").read_bytes()
    later = NOW + datetime.timedelta(days=tls.LEAF_DAYS - tls.RENEW_DAYS - 2)
    tls.own_certificate(tmp_path, ADDRESSES[:2], later)
    assert (tmp_path / "server.crt").read_bytes() == before


@pytest.mark.parametrize(
    ("addresses", "days"), [((*ADDRESSES, "10.0.0.8"), 0), (ADDRESSES, tls.LEAF_DAYS - tls.RENEW_DAYS)]
)
def test_it_is_renewed_for_a_new_address_and_before_its_end(tmp_path, addresses, days) -> None:
    tls.own_certificate(tmp_path, ADDRESSES, NOW)
    before, authority = (tmp_path / "server.crt").read_bytes(), (tmp_path / "ca.crt").read_bytes()
    tls.own_certificate(tmp_path, addresses, NOW + datetime.timedelta(days=days))
    assert (tmp_path / "server.crt").read_bytes() != before
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert set(addresses) <= names_of(leaf(tmp_path))[1]


@pytest.mark.parametrize("name", ["server.crt", "server.key", "ca.crt", "ca.key"])
def test_what_is_damaged_is_made_anew(tmp_path, name) -> None:
    tls.own_certificate(tmp_path, ADDRESSES, NOW)
    (tmp_path / name).write_text("damaged")
    (tmp_path / name).chmod(0o600)
    chain, key = tls.own_certificate(tmp_path, ADDRESSES, NOW)
    tls.server_context(chain, key)
    authority = x509.load_pem_x509_certificate(tls.authority_certificate(tmp_path))
    leaf(tmp_path).verify_directly_issued_by(authority)


def test_an_authority_near_its_end_is_replaced(tmp_path) -> None:
    tls.own_certificate(tmp_path, ADDRESSES, NOW)
    before = tls.authority_certificate(tmp_path)
    tls.own_certificate(tmp_path, ADDRESSES, NOW + datetime.timedelta(days=tls.AUTHORITY_DAYS - tls.LEAF_DAYS))
    assert tls.authority_certificate(tmp_path) != before


def test_a_key_that_others_can_read_is_refused(tmp_path) -> None:
    tls.own_certificate(tmp_path, ADDRESSES, NOW)
    (tmp_path / "ca.key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        tls.own_certificate(tmp_path, ADDRESSES, NOW)


def test_files_that_are_none_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.server_context(tmp_path / "no.crt", tmp_path / "no.key")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written or read"):
        tls.own_certificate(tmp_path / "file", ADDRESSES, NOW)


def test_it_lies_in_the_users_configuration(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert tls.default_folder() == tmp_path / "robot_hil" / "tls"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tls.default_folder() == tmp_path / "home/.config/robot_hil/tls"


def test_consoles_that_start_together_make_one_authority(tmp_path) -> None:
    script = "import sys, pathlib; from robot_hil.console import tls; tls.own_certificate(pathlib.Path(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    tls.server_context(tmp_path / "server.crt", tmp_path / "server.key")
    leaf(tmp_path).verify_directly_issued_by(x509.load_pem_x509_certificate(tls.authority_certificate(tmp_path)))


def test_a_console_with_tls_is_trusted_by_who_knows_its_authority(tmp_path, monkeypatch, browse) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    async def look(browser):
        assert browser.origin.startswith("https:")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await browser.http.get(browser.origin + "/")
        trust = ssl.create_default_context(cafile=tls.default_folder() / "ca.crt")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as browser.http:
            async with browser.http.get(browser.origin + "/") as answer:
                assert answer.status == 200
                assert "wss://127.0.0.1" in answer.headers["Content-Security-Policy"]
            async with browser.page("ada") as page:
                assert page.welcome["role"] == "pilot"
            async with browser.http.get(browser.origin + "/ca.crt") as answer:
                assert await answer.read() == tls.authority_certificate()

    with console_thread(tls=True) as server:
        browse(server, look)


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path, monkeypatch, browse) -> None:
    from robot_hil.console import server as module

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(module, "CERTIFICATE_PERIOD_S", 0.05)

    def served(port: int) -> bytes:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))

    with console_thread(tls=True) as server:
        first = served(server.port)
        (tls.default_folder() / "server.crt").unlink()
        until(lambda: served(server.port) != first)


HELLO = """(token) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token }));
  socket.onmessage = (event) => resolve(JSON.parse(event.data).type);
  socket.onclose = () => reject(new Error("closed"));
})"""


def test_chromium_trusts_it_once_the_authority_is_imported(tmp_path, monkeypatch) -> None:
    require("chromium", "certutil")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with console_thread(tls=True) as server:
        database = tmp_path / ".pki" / "nssdb"
        database.mkdir(parents=True)
        authority = str(tls.default_folder() / "ca.crt")
        for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "console", "-i", authority]):
            subprocess.run(["certutil", "-d", f"sql:{database}", *command], check=True, capture_output=True)
        with chromium(tmp_path) as browser:
            for name in ("127.0.0.1", "localhost"):
                page = browser.new_page()
                page.goto(f"https://{name}:{server.port}/")
                assert page.evaluate("() => isSecureContext")
                assert page.evaluate(HELLO, server.config.token) == "welcome"
                page.close()


def test_no_private_key_is_in_the_package() -> None:
    package = Path(tls.__file__).parent.parent
    marker = b"PRIVATE " + b"KEY-----"
    found = [
        path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc" and marker in path.read_bytes()
    ]
    assert not found
