"""Dynamixel servos at one end of a pseudo-terminal: whoever opens the other end cannot tell them from a serial port."""

import os
import select
import struct
import threading
import time
import tty
from collections.abc import Iterable

PING, READ, WRITE, STATUS, SYNC_READ = 0x01, 0x02, 0x03, 0x55, 0x82
POSITION, TORQUE = 132, 64
_HEADER = b"\xff\xff\xfd\x00"
_TABLE = 147  # bytes of the control table that anybody asks for


def crc16(data: bytes) -> int:
    """Return the checksum of protocol 2: polynomial 0x8005, from 0, high bit first."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class ServoRig:
    """Servos that answer at `port` until `silent`; positions are set with `move`, torque read from `torque`.

    `baudrate` makes answers take as long as on a wire, and `latency_s` as long as a USB adapter needs; without them
    they come at once.
    """

    def __init__(self, ids: Iterable[int], ticks: int = 2048, baudrate: int = 0, latency_s: float = 0.0) -> None:
        self._tables = {servo: bytearray(_TABLE) for servo in ids}
        for servo in self._tables:
            self.move({servo: ticks})
            self._tables[servo][TORQUE] = 1
        self.silent = False
        """Cut the servos' power."""
        self.answered = 0
        """Sync reads answered in full."""
        self.asked = 0
        self._spoil: list[str] = []
        self._wire_s, self._latency_s = (10.0 / baudrate if baudrate else 0.0), latency_s
        self._master, slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave  # stays open: a program that closes its end does not hang up the line
        self._thread = threading.Thread(target=self._run, name="servos", daemon=True)
        self._running = True
        self._thread.start()

    def move(self, ticks: dict[int, int]) -> None:
        """Put servos at positions."""
        for servo, tick in ticks.items():
            self._tables[servo][POSITION : POSITION + 4] = struct.pack("<i", tick)

    def ticks(self, servo: int) -> int:
        """Return where a servo is."""
        return int(struct.unpack("<i", self._tables[servo][POSITION : POSITION + 4])[0])

    def torque(self, servo: int) -> bool:
        """Return whether the servo holds its position by force."""
        return bool(self._tables[servo][TORQUE])

    def spoil(self, how: str, times: int = 1) -> None:
        """Damage one servo's answer in each of the next sync reads: `crc`, `cut`, `noise` before it, or `empty`."""
        self._spoil += [how] * times

    def close(self) -> None:
        """Pull the cable; legal twice."""
        if self._running:
            self._running = False
            self._thread.join()
            os.close(self._master)
            os.close(self._slave)

    def _run(self) -> None:
        buffer = b""
        while self._running:
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            buffer += os.read(self._master, 4096)
            while (start := buffer.find(_HEADER)) >= 0 and len(buffer) >= start + 7:
                end = start + 7 + int.from_bytes(buffer[start + 5 : start + 7], "little")
                if len(buffer) < end:
                    break
                packet, buffer = buffer[start:end], buffer[end:]
                if crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little"):
                    self._answer(packet[4], packet[7], packet[8:-2])

    def _answer(self, target: int, instruction: int, parameters: bytes) -> None:
        self.asked += instruction == SYNC_READ
        if self.silent:
            return
        if instruction == PING and target in self._tables:
            self._send(self._status(target, b"\x06\x04\x2c"))
        elif instruction == WRITE and target in self._tables:
            address = int.from_bytes(parameters[:2], "little")
            self._tables[target][address : address + len(parameters) - 2] = parameters[2:]
            self._send(self._status(target, b""))
        elif instruction == SYNC_READ:
            address, length = struct.unpack("<HH", parameters[:4])
            spoil = self._spoil.pop(0) if self._spoil else ""
            answers = []
            for servo in parameters[4:]:
                if servo not in self._tables:
                    break  # the next one waits for this one's answer
                data = bytes(self._tables[servo][address : address + length])
                last = servo == parameters[-1]
                answers.append(self._spoilt(servo, data, spoil) if last else self._status(servo, data))
            self._send(b"".join(answers))
            self.answered += not spoil

    def _spoilt(self, servo: int, data: bytes, how: str) -> bytes:
        packet = self._status(servo, b"" if how == "empty" else data)
        if how == "crc":
            return packet[:-1] + bytes([packet[-1] ^ 0x40])
        if how == "cut":
            return packet[:-4]
        return b"\x00\xff\x13" + packet if how == "noise" else packet

    def _status(self, servo: int, data: bytes) -> bytes:
        body = bytes([STATUS, 0]) + data
        packet = _HEADER + bytes([servo]) + struct.pack("<H", len(body) + 2) + body
        return packet + struct.pack("<H", crc16(packet))

    def _send(self, answer: bytes) -> None:
        if delay := self._wire_s * len(answer) + self._latency_s:
            time.sleep(delay)
        os.write(self._master, answer)
