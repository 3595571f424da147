"""A real browser for tests and benchmarks: headless Chromium, a certificate it trusts, and a simulated headset.

One Chromium per `chromium()` block. Playwright's own driver process is shared within a process, because its
synchronous interface allows one at a time; so use blocks from one thread only.
"""

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

ROOT = Path(__file__).resolve().parent.parent
IWER = ROOT / ".venv/node/node_modules/iwer/build/iwer.min.js"
FLAGS = (
    "--no-sandbox",  # runs as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium_path() -> str:
    """Return where Chromium is; empty without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def require(*programs: str) -> None:
    """Skip the test, naming what is missing of `programs`: chromium, iwer, certutil."""
    if "chromium" in programs and not chromium_path():
        pytest.skip("Chromium is missing: apt-get install chromium")
    if "iwer" in programs and not IWER.is_file():
        pytest.skip(f"iwer is missing ({IWER}): npm install --prefix .venv/node iwer@2.5.0")
    if "certutil" in programs and not shutil.which("certutil"):
        pytest.skip("certutil is missing: apt-get install libnss3-tools")


class _Driver:
    """Playwright's driver, started for the first block and stopped after the last."""

    users = 0
    handle: Any = None


@contextmanager
def chromium(home: Path | None = None, *flags: str) -> Iterator[Any]:
    """Give a headless `playwright.sync_api.Browser`; `home` is its HOME, e.g. `Trust.home`, for a certificate."""
    from playwright.sync_api import sync_playwright

    if _Driver.users == 0:
        _Driver.handle = sync_playwright().start()
    _Driver.users += 1
    try:
        env: dict[str, str | float | bool] = {**os.environ, **({"HOME": str(home)} if home else {})}
        browser = _Driver.handle.chromium.launch(executable_path=chromium_path(), args=[*FLAGS, *flags], env=env)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        _Driver.users -= 1
        if _Driver.users == 0:
            _Driver.handle.stop()
            _Driver.handle = None


@dataclass(frozen=True)
class Trust:
    """A certificate authority of our own, and a HOME whose Chromium trusts it: no flag that ignores errors."""

    home: Path
    """For `chromium(home)`."""
    server: ssl.SSLContext
    """For a server at localhost or 127.0.0.1."""
    certificate: Path
    """PEM chain of the server."""
    key: Path
    """PEM key of the server."""


def make_trust(folder: Path) -> Trust:
    """Make authority, server certificate and Chromium's NSS database in `folder`; needs certutil."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    pem = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(pem))
    chain, key = folder / "server.pem", folder / "server.key"
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(str(chain), append=number > 0)
    leaf.private_key_pem.write_to_path(str(key))
    database = folder / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "test", "-i", str(pem)]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *command], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    return Trust(folder, context, chain, key)
