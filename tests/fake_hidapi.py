"""SpaceMice that a test serves: the library in `fake_hidapi.c` connects each to a socket of this process."""

import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix(".c")
COMPACT, WIRELESS, PRO = (0x256F, 0xC635), (0x256F, 0xC62E), (0x046D, 0xC62B)
FULL = 350
REST = (0, 0, 0, 0, 0, 0)


def motion(raw: Sequence[int], *, combined: bool = False) -> list[bytes]:
    """Return the reports of one sample: raw counts X, Y, Z, RX, RY, RZ in the device's own frame."""
    if combined:
        return [b"\x01" + struct.pack("<6h", *raw)]
    return [b"\x01" + struct.pack("<3h", *raw[:3]), b"\x02" + struct.pack("<3h", *raw[3:])]


def build(folder: Path) -> Path:
    """Compile the library into `folder`; it can be found there through LD_LIBRARY_PATH as well."""
    if shutil.which("gcc") is None:
        import pytest

        pytest.skip("gcc is missing: it builds the HID library that stands in for a SpaceMouse")
    library = folder / "libhidapi-hidraw.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    (folder / "libhidapi-hidraw.so.0").symlink_to(library.name)
    return library


@contextmanager
def installed(library: Path, devices: Path) -> Iterator[None]:
    """Let easyhid of this process use `library`, with the devices in the folder `devices`."""
    from easyhid import easyhid

    before, folder = easyhid.hidapi, os.environ.get("FAKE_HIDAPI")
    easyhid.hidapi = easyhid.ffi.dlopen(str(library))
    os.environ["FAKE_HIDAPI"] = str(devices)
    try:
        yield
    finally:
        easyhid.hidapi = before
        if folder is None:
            del os.environ["FAKE_HIDAPI"]
        else:
            os.environ["FAKE_HIDAPI"] = folder


class FakePuck:
    """A device that is plugged in as long as its socket listens. Anything that opened it gets every report."""

    def __init__(self, folder: Path, name: str, ids: tuple[int, int] = COMPACT) -> None:
        self.ids = ids
        self.path = folder / f"{name}.{ids[0]:x}.{ids[1]:x}"
        self._listener: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._lock = threading.Lock()
        self._written: list[bytes] = []
        self.plug()

    def plug(self) -> None:
        """Appear."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def unplug(self) -> None:
        """Disappear, for everybody who has it open as well."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self.path.unlink()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def send(self, *reports: bytes) -> None:
        """Send reports to all who have it open."""
        with self._lock:
            for client in tuple(self._clients):
                try:
                    for report in reports:
                        client.send(report)
                except OSError:
                    self._clients.remove(client)
                    client.close()

    @property
    def opened(self) -> int:
        """How many have it open."""
        self._written += self._collect()
        return len(self._clients)

    def written(self) -> list[bytes]:
        """Return what was written to it since the last call, by anybody."""
        out, self._written = self._written + self._collect(), []
        return out

    def _collect(self) -> list[bytes]:
        """Take what was written, and forget those who closed it."""
        out: list[bytes] = []
        with self._lock:
            for client in tuple(self._clients):
                try:
                    while data := client.recv(64, socket.MSG_DONTWAIT):
                        out.append(data)
                    self._clients.remove(client)
                    client.close()
                except BlockingIOError:
                    continue
        return out

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.append(client)


class FakeHidraw:
    """Module `hidraw` of the hidapi wheel, over the same sockets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.device = _WheelDevice

    def enumerate(self) -> list[dict[str, Any]]:
        """Return what the wheel's function of this name returns."""
        found = []
        for path in self._folder.iterdir():
            vendor, product = (int(part, 16) for part in path.name.split(".")[1:])
            found.append({
                "path": os.fsencode(path), "vendor_id": vendor, "product_id": product, "serial_number": "",
                "product_string": "A fake", "usage_page": 1, "usage": 8,
            })  # fmt: skip
        return found


class _WheelDevice:
    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._nonblocking = False

    def open_path(self, path: bytes) -> None:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            opened.connect(path)
        except OSError:
            opened.close()
            raise OSError("open failed") from None
        self._socket = opened

    def set_nonblocking(self, flag: int) -> int:
        self._nonblocking = bool(flag)
        return 0

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        if self._socket is None:
            raise ValueError("not open")
        waiting = timeout_ms / 1000 if timeout_ms > 0 else (0.0 if self._nonblocking else None)
        self._socket.settimeout(waiting)
        try:
            data = self._socket.recv(max_length)
        except (TimeoutError, BlockingIOError):
            return []
        if not data:
            raise OSError("read error")
        return list(data)

    def write(self, data: bytes) -> int:
        if self._socket is None:
            raise ValueError("not open")
        return self._socket.send(bytes(data))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
