"""Certificates for https on the local network: an authority of this installation's own, made at the first start.

Nothing of it is shipped or shared. Headsets and browsers warn of it until `ca.crt` is imported there. Files lie in
`~/.config/robot_hil/tls` (or below `XDG_CONFIG_HOME`), keys readable by their owner only.
"""

import contextlib
import datetime
import fcntl
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from robot_hil.console.address import machine_addresses, machine_names
from robot_hil.errors import ConfigError

LEAF_DAYS = 825
"""Longest validity that browsers accept."""
AUTHORITY_DAYS = 3650
RENEW_DAYS = 30
_AUTHORITY, _AUTHORITY_KEY, _LEAF, _LEAF_KEY = "ca.crt", "ca.key", "server.crt", "server.key"


def default_folder() -> Path:
    """Return where this user's certificates lie."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "robot_hil" / "tls"


def authority_certificate(folder: Path | None = None) -> bytes | None:
    """Return the authority's certificate, PEM; None before there is one."""
    try:
        return ((folder or default_folder()) / _AUTHORITY).read_bytes()
    except OSError:
        return None


def own_certificate(
    folder: Path | None = None, addresses: Iterable[str] | None = None, now: datetime.datetime | None = None
) -> tuple[Path, Path]:
    """Return chain and key of this machine's certificate; make or renew what is missing or no longer fits.

    It is renewed `RENEW_DAYS` before it ends and when this machine has an address that it does not name; the authority
    stays, so that who trusts it need not do so again. Raises `ConfigError`.
    """
    folder = folder or default_folder()
    now = now or datetime.datetime.now(datetime.UTC)
    names = machine_names()
    wanted = set(machine_addresses() if addresses is None else addresses)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder):
            authority, key = _authority(folder, now)
            if not _fits(folder, authority, names, wanted, now):
                _make_leaf(folder, authority, key, names, wanted, now)
    except OSError as error:
        raise ConfigError(f"certificates in {folder} cannot be written or read: {error}.") from error
    return folder / _LEAF, folder / _LEAF_KEY


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """Return TLS settings of a server with this certificate; raises `ConfigError` for files that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(chain, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"certificate {chain} with key {key} cannot be used: {error}.") from error
    return context


# -- files -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second console that starts now from making the same files."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file whole; a key is never readable by others, not even for a moment."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, text, 0o600)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    """Return a key; None when it is missing or damaged. Refuses one that others can read."""
    try:
        mode = path.stat().st_mode
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"key {path} has mode {stat.S_IMODE(mode):04o}: others can read it. Run `chmod 600 {path}`; "
            f"if strangers use this machine, remove {path.parent} to get a new authority."
        )
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _load_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


# -- certificates ------------------------------------------------------------------------------------------------------


def _authority(folder: Path, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the authority, a new one when there is none or it ends before a certificate of today would."""
    certificate, key = _load_certificate(folder / _AUTHORITY), _load_key(folder / _AUTHORITY_KEY)
    if (
        certificate is not None
        and key is not None
        and certificate.public_key() == key.public_key()
        and certificate.not_valid_after_utc - now > datetime.timedelta(days=LEAF_DAYS)
    ):
        return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"robot_hil console of {socket.gethostname()}"[:64])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / _AUTHORITY_KEY, key)
    _write(folder / _AUTHORITY, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def _fits(
    folder: Path, authority: x509.Certificate, names: set[str], addresses: set[str], now: datetime.datetime
) -> bool:
    """Return whether the certificate there is this authority's, whole, lasts, and names all that it must."""
    leaf, key = _load_certificate(folder / _LEAF), _load_key(folder / _LEAF_KEY)
    if leaf is None or key is None or leaf.public_key() != key.public_key():
        return False
    try:
        leaf.verify_directly_issued_by(authority)
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, a new one is made
        return False
    known = {str(one) for one in named.get_values_for_type(x509.IPAddress)}
    lasts = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - datetime.timedelta(days=RENEW_DAYS)
    return lasts and names <= set(named.get_values_for_type(x509.DNSName)) and addresses <= known


def _make_leaf(
    folder: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: set[str],
    addresses: set[str],
    now: datetime.datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    named: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    named += [x509.IPAddress(ipaddress.ip_address(one)) for one in sorted(addresses)]
    leaf = (
        _builder(_name("robot_hil console"), authority.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.SubjectAlternativeName(named), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    chain = leaf.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM)
    _write_key(folder / _LEAF_KEY, key)
    _write(folder / _LEAF, chain, 0o644)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    """Return what every certificate has; it begins a day early, for clocks that are late."""
    begin = now - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
