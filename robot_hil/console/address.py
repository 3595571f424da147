"""Names and addresses of this machine, and the address of a console on it."""

import contextlib
import fcntl
import ipaddress
import socket
import struct
import sys
from pathlib import Path

ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104
"""Names of all interfaces together."""


def console_url(host: str, port: int, tls: bool, token: str, page: str = "/") -> str:
    """Return what to open, with the token in the part that browsers never send."""
    if host in ANY_HOST:
        host = best_address()
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}{page}#t={token}"


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, is this machine's loopback interface."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def machine_names() -> set[str]:
    """Return the names under which this machine may be asked for, in lower case."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return {"localhost", name, short, f"{short}.local"}


def machine_addresses() -> set[str]:
    """Return every address under which this machine can be reached, loopback included, link-local IPv6 left out."""
    found = {"127.0.0.1", "::1", *_ipv4_of_interfaces(), *_ipv6_of_interfaces()}
    with contextlib.suppress(OSError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    if (best := best_address()) != "127.0.0.1":
        found.add(best)
    return {one for one in found if "%" not in one and not one.lower().startswith("fe80:")}


def best_address() -> str:
    """Return the address that this machine would be reached at from outside; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that no one has
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _ipv4_of_interfaces() -> set[str]:
    """Ask Linux for the addresses of all interfaces; elsewhere none."""
    if sys.platform != "linux":
        return set()
    import array

    size, entry = 16_384, 40  # bytes of the answer, and of `struct ifreq` on 64-bit Linux
    names = array.array("B", bytes(size))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), 0x8912, struct.pack("iL", size, names.buffer_info()[0]))  # SIOCGIFCONF
        except OSError:
            return set()
    length = struct.unpack("iL", answer)[0]
    raw = names.tobytes()
    return {socket.inet_ntoa(raw[at + 20 : at + 24]) for at in range(0, length, entry)}


def _ipv6_of_interfaces() -> set[str]:
    try:
        rows = Path("/proc/net/if_inet6").read_text().split("\n")
    except OSError:
        return set()
    return {str(ipaddress.IPv6Address(int(row.split()[0], 16))) for row in rows if row.strip()}
