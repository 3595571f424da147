"""Who may talk to the console: a token per start, and only pages that the console itself served."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from robot_hil.console.address import is_loopback, machine_names

Role = Literal["pilot", "observer"]
UNAUTHORIZED = 4401
"""WebSocket close code after a wrong token."""
RELOAD = 4426
"""WebSocket close code for a page of another version."""


def new_token() -> str:
    """Return 128 random bits as text."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, repr=False)
class Tokens:
    """The pilot's token, and the observer's, which is derived from it and does not tell it."""

    pilot: str

    @property
    def observer(self) -> str:
        """Whoever has only this one may watch and stop, and never drives."""
        return hmac.new(self.pilot.encode(), b"observer", hashlib.sha256).hexdigest()[:32]

    def role(self, token: str) -> Role | None:
        """Return what `token` allows, None for a wrong one; takes the same time whichever it is."""
        given = token.encode(errors="surrogatepass")
        pilot = hmac.compare_digest(given, self.pilot.encode())
        observer = hmac.compare_digest(given, self.observer.encode())
        return "pilot" if pilot else "observer" if observer else None

    def role_of_header(self, authorization: str) -> Role | None:
        """Return what the value of an `Authorization: Bearer TOKEN` header allows."""
        scheme, _, token = authorization.partition(" ")
        return self.role(token.strip()) if scheme.lower() == "bearer" else None


class Origins:
    """Tells pages of this console from everybody else's.

    A page is the console's own when its origin is the very host and port that it asks, and that host is a name or an
    address of this machine. The second part stops a stranger's name that was made to point at this machine.
    """

    def __init__(self, scheme: str, extra: Iterable[str] = ()) -> None:
        self._scheme = scheme
        self._extra = {origin.rstrip("/").lower() for origin in extra}
        self._names = machine_names()

    def knows_host(self, host: str, local_address: str) -> bool:
        """Return whether a `Host` header names this machine; `local_address` is the connection's own end."""
        if any(origin.partition("://")[2] == host.lower() for origin in self._extra):
            return True
        name = _without_port(host)
        if name in self._names or is_loopback(name):
            return True
        try:
            local = ipaddress.ip_address(local_address.partition("%")[0])
            return ipaddress.ip_address(name) in (local, getattr(local, "ipv4_mapped", None))
        except ValueError:
            return False

    def allows(self, origin: str | None, host: str) -> bool:
        """Return whether `origin`, the header of a request to `host`, is the console's own; a missing one is not."""
        if not origin:
            return False
        return origin.lower() in self._extra or origin.lower() == f"{self._scheme}://{host.lower()}"


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
