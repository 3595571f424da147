"""The servos' bus: Dynamixel X servos (protocol 2) at a serial port. A dead bus is an error, never a position."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from robot_hil.errors import ConfigError, DependencyError, TransportError

PRESENT_POSITION, TORQUE_ENABLE = 132, 64
"""Addresses in the control table of the X series."""
TRIES = 5
"""For what must succeed once, when a bus is opened."""
_POSITION_BYTES = 4
_SLICE_S = 0.001  # the library asks again and again in a tight loop; waiting in the kernel leaves Python to the others


class BusError(TransportError):
    """No positions could be read; the message says why."""


class ServoBus(Protocol):
    """Anything that reads positions of servos."""

    def open(self) -> None:
        """Open the port, see that all servos answer, and switch their torque off."""
        ...

    def read(self) -> tuple[int, ...]:
        """Return all positions [ticks], of one moment, in the order of the ids; raises `BusError`."""
        ...

    def close(self) -> None:
        """Release the port; legal twice."""
        ...


class DynamixelBus:
    """Servos of the X series at a serial port, e.g. /dev/ttyUSB0; raises `BusError` whenever one does not answer.

    A problem on the line spoils one reading, and no more: what is left of a late or broken answer is thrown away before
    the next question. Nothing is ever written but "torque off", when the bus is opened.
    """

    def __init__(self, port: str, baudrate: int = 1_000_000, ids: Sequence[int] = (1, 2, 3, 4, 5, 6, 7)) -> None:
        self.port, self.baudrate, self.ids = port, baudrate, tuple(ids)
        self._handler: Any = None
        self._group: Any = None

    def open(self) -> None:
        self.close()
        try:
            import dynamixel_sdk as sdk
        except ImportError as error:
            raise DependencyError(
                f"a leader arm needs dynamixel-sdk, which cannot be loaded ({error}); pip install robot_hil[leader]"
            ) from error
        handler = sdk.PortHandler(self.port)
        if handler.getCFlagBaud(self.baudrate) <= 0:
            raise ConfigError(f"baud rate {self.baudrate} is unknown; use the servos' own, e.g. 57600 or 1000000.")
        handler.baudrate = self.baudrate
        try:
            handler.openPort()
            self._handler = handler
            handler.ser.exclusive = True
        except OSError as error:
            self.close()
            raise BusError(
                f"{self.port} cannot be opened: {error}. Is it plugged in, used by another program, and may this user "
                "read it (group dialout)?"
            ) from error
        handler.ser.timeout = _SLICE_S
        self._quicken()
        packets = sdk.PacketHandler(2.0)
        self._group = sdk.GroupSyncRead(handler, packets, PRESENT_POSITION, _POSITION_BYTES)
        for servo in self.ids:
            self._group.addParam(servo)
        try:
            self._prepare(sdk, packets)
        except BaseException:
            self.close()
            raise

    def read(self) -> tuple[int, ...]:
        if self._handler is None:
            raise BusError(f"the bus at {self.port} is not open")
        handler, group = self._handler, self._group
        try:
            result = group.txRxPacket()
            # Asked for data that is not there the library answers 0, which is a position: look before.
            whole = result == 0 and all(
                group.isAvailable(servo, PRESENT_POSITION, _POSITION_BYTES)
                and len(group.data_dict[servo]) == _POSITION_BYTES
                for servo in self.ids
            )
            if not whole:
                self._quiet()
                why = group.ph.getTxRxResult(result) if result != 0 else "an answer is incomplete"
                raise BusError(f"{self.port}: {why}")
            ticks = [group.getData(servo, PRESENT_POSITION, _POSITION_BYTES) for servo in self.ids]
        except BusError:
            raise
        except Exception as error:  # the port is gone, or noise that the library cannot take apart
            raise BusError(f"{self.port}: {error or type(error).__name__}") from error
        finally:
            handler.is_using = False  # left behind by exceptions; nothing could be sent any more
        return tuple(tick - (1 << 32) if tick >= 1 << 31 else tick for tick in ticks)

    def close(self) -> None:
        handler, self._handler, self._group = self._handler, None, None
        if handler is not None:
            handler.closePort()

    def _prepare(self, sdk: Any, packets: Any) -> None:
        """See that everybody is there and can be moved by hand."""
        silent = [servo for servo in self.ids if self._ask(packets.ping, servo)[-2] != sdk.COMM_SUCCESS]
        if silent:
            raise BusError(
                f"servos {silent} do not answer at {self.port} with {self.baudrate} baud: check power, cables, "
                "baud rate and ids."
            )
        for servo in self.ids:
            result, error = self._ask(packets.write1ByteTxRx, servo, TORQUE_ENABLE, 0)
            if result != sdk.COMM_SUCCESS or error & 0x7F:
                raise BusError(f"servo {servo} at {self.port} does not let its torque be switched off; restart it.")

    def _ask(self, question: Any, *what: int) -> Any:
        """Ask again where need be: the first answers after a port was opened may be spoilt, or a computer busy."""
        for _ in range(TRIES):
            try:
                answer = question(self._handler, *what)
            except (OSError, IndexError) as error:
                raise BusError(f"{self.port} fails: {error}") from error
            if answer[-2] == 0:
                break
            self._quiet()
        return answer

    def _quiet(self) -> None:
        """Let late answers pass, so that they are not taken for the next ones."""
        time.sleep(0.002 + 15.0 * len(self.ids) * 10.0 / self.baudrate)
        self._handler.clearPort()

    def _quicken(self) -> None:
        """Ask a USB adapter not to collect bytes for 16 ms; not every port can."""
        try:
            self._handler.ser.set_low_latency_mode(True)
        except (AttributeError, NotImplementedError, OSError, ValueError):
            return
