"""What goes over wires: ports, keys between two machines, the console's certificate, a headset's cable."""

import datetime
import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.errors import ConfigError

GROUP = "network"
PORTS = {8443: "console", 5588: "steps from the actor", 5589: "weights to the actor"}
_OTHER_PORT = {
    8443: "--console-port 8444",
    5588: "--endpoint tcp://HOST:5688",
    5589: "--weights-endpoint tcp://HOST:5689",
}


def ports(wanted: Mapping[int, str] = PORTS) -> Iterator[Finding]:
    """Try to take each port for a moment."""
    taken = {}
    for port in wanted:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that is only being closed counts as free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken[port] = "in use" if error.errno == errno.EADDRINUSE else str(error)
    for port, why in taken.items():
        fix = f"see who has it: sudo ss -ltnp 'sport = :{port}'"
        if port in _OTHER_PORT:
            fix += f"; or use another: {_OTHER_PORT[port]}"
        yield _found(f"port {port}", Verdict.WARN, f"{why}; it is for the {wanted[port]}", fix)
    if free := [f"{port} ({wanted[port]})" for port in wanted if port not in taken]:
        yield _found("ports", Verdict.PASS, f"free: {', '.join(free)}")


def keys(path: Path) -> Iterator[Finding]:
    """Read the key file, if there is one."""
    from robot_hil.transport.keys import load_keys, require_curve

    require_curve()
    if not path.exists():
        text = f"no key file {path}; only actor and learner on two machines need one"
        yield _found("keys", Verdict.ABSENT, text, f"robot-hil keys {path}")
        return
    try:
        load_keys(path)
    except ConfigError as error:
        what, _, fix = str(error).partition(". ")
        yield _found("keys", Verdict.FAIL, what, fix or str(error))
    else:
        yield _found("keys", Verdict.PASS, f"{path} is whole and readable by you only")


def certificate(folder: Path | None = None) -> Iterator[Finding]:
    """Look at the console's certificate; makes none."""
    from cryptography import x509

    from robot_hil.console.tls import default_folder, server_context

    folder = folder or default_folder()
    chain, key = folder / "server.crt", folder / "server.key"
    if not folder.exists() or not chain.exists():
        text = "none yet; the console makes one when it is first opened to the network"
        yield _found("certificate", Verdict.ABSENT, text)
        return
    open_keys = [path for path in sorted(folder.glob("*.key")) if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_keys:
        names = " ".join(map(str, open_keys))
        text = f"others can read the secret key: {names}"
        yield _found(
            "certificate", Verdict.FAIL, text, f"chmod 600 {names}   (if strangers use this machine: rm -r {folder})"
        )
        return
    try:
        ends = x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc
        server_context(chain, key)
    except (ConfigError, ValueError, OSError) as error:
        yield _found("certificate", Verdict.WARN, f"cannot be used: {error}", f"rm -r {folder}; a new one is made then")
        return
    days = (ends - datetime.datetime.now(datetime.UTC)).days
    text = (
        f"{chain} is valid for {days} more days" if days >= 0 else f"{chain} has ended; it is renewed at the next start"
    )
    yield _found("certificate", Verdict.PASS if days >= 0 else Verdict.WARN, text)


def headset_cable() -> Iterator[Finding]:
    """Look for adb, with which a headset reaches the console through its cable."""
    program = shutil.which("adb")
    if program is None:
        text = "adb is not installed; it is for a headset on a USB cable, without certificate and Wi-Fi"
        yield _found("adb", Verdict.ABSENT, text, "sudo apt-get install adb")
        return
    text = f"{program}; with the headset plugged in: adb reverse tcp:8443 tcp:8443"
    if not os.access(program, os.X_OK):
        yield _found("adb", Verdict.FAIL, f"{program} cannot be started", "sudo apt-get install --reinstall adb")
    else:
        yield _found("adb", Verdict.PASS, text)


def _found(name: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    return Finding(group=GROUP, name=name, verdict=verdict, text=text, fix=fix)
