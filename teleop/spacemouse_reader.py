"""The thread that listens to a SpaceMouse: every report at once, signs of life in between, and what rest looks like."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from robot_hil.clock import Clock
from robot_hil.errors import ConfigError, RobotHilError
from robot_hil.teleop.base import RateMeter
from robot_hil.teleop.deflection import DeflectionConfig
from robot_hil.teleop.spacemouse_puck import MOTION, Heard, Puck, Source

_LOG = logging.getLogger(__name__)
_BATCH = 256
"""Reports taken before the newest is shown; more than a HID queue holds."""
_FEW = 10
"""A puck with a bias keeps reporting it; fewer reports in the look at rest were a passing touch."""
Twist = tuple[float, ...]
_STILL: Twist = (0.0,) * 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """Times of the reader."""

    rest_s: float = 0.5
    """Length of the look at the untouched puck, after it was opened [s]."""
    max_bias: float = 0.05
    """The largest mean deflection per axis that is taken for a bias and not for a hand."""
    poll_s: float = 0.005
    """Longest wait for a report: the reader shows that it is alive this often [s]."""
    retry_s: float = 0.3
    """Between attempts to find an unplugged device [s]."""
    led: bool = True
    """Whether the ring light shows that the puck is in use."""
    urgent: bool = True
    """Whether the thread asks for the real-time scheduler, as the control loop does; it is granted to few users."""

    def __post_init__(self) -> None:
        if not 0 <= self.rest_s < np.inf or not 0 <= self.max_bias < 1:
            raise ConfigError(
                f"rest_s is {self.rest_s}, max_bias {self.max_bias}; give a time >= 0 and a share in [0, 1)."
            )
        if not 0.001 <= self.poll_s <= 0.05 or not 0 < self.retry_s < np.inf:
            raise ConfigError(
                f"poll_s is {self.poll_s}, retry_s {self.retry_s}; poll_s must be 0.001 to 0.05 s, retry_s above 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the reader knows. `problem` is not empty while there is no device; times are those of the reader's clock."""

    t: float
    """The reader was alive [s]."""
    twist: Twist = _STILL
    """x, y, z, roll, pitch, yaw in [-1, 1], without bias."""
    t_translation: float = -np.inf
    """Last report of translation."""
    t_rotation: float = -np.inf
    """Last report of rotation."""
    t_rest: float = -np.inf
    """The puck was at rest since this device was opened."""
    battery: float | None = None
    problem: str = ""


NOTHING = Reading(t=-np.inf, problem="not started")


class Rest:
    """What the puck says when nobody touches it: the mean of the first quiet `rest_s` after it was opened.

    Anything larger than `max_bias`, or less steady than the dead-zone, is a hand: then the next stretch is looked at.
    """

    def __init__(self, config: ReaderConfig, spread: float, t: float) -> None:
        self.bias = _STILL
        self.known = False
        self._config, self._spread = config, spread
        self._began = t
        self._heard: list[Twist] = []

    def hear(self, twist: Twist) -> None:
        """Take a report."""
        if not self.known:
            self._heard.append(twist)

    def tick(self, t: float, twist: Twist) -> None:
        """Judge once the time is over; `twist` is what the puck said last, perhaps long ago."""
        if self.known or t - self._began < self._config.rest_s:
            return
        heard = np.array([*self._heard, twist])
        mean = heard.mean(axis=0)
        self.known = bool((abs(mean) <= self._config.max_bias).all() and (abs(heard - mean) <= self._spread).all())
        if self.known and len(heard) > _FEW:
            self.bias = tuple(mean.tolist())
        self._began, self._heard = t, []


class Reader:
    """Listens to one puck in a thread of its own, and looks for it again when it was unplugged.

    Whoever looks at `reading` needs no help to see that the reader is dead: `Reading.t` stands still. A reader that
    hangs in the library is left behind by `stop`; it can reach nobody any more.
    """

    def __init__(
        self,
        source: Source,
        puck: Puck,
        clock: Clock,
        config: ReaderConfig,
        zone: DeflectionConfig,
        pressed: Callable[[str, float], None],
    ) -> None:
        self.meter = RateMeter()
        self.dropped = 0
        """Reports that were refused."""
        self._source, self._clock, self._config, self._zone = source, clock, config, zone
        self._pressed = pressed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spacemouse", daemon=True)
        self._adopt(puck)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end, and wait for it for a second."""
        self._ended.set()
        self._thread.join(timeout=1.0)

    def _adopt(self, puck: Puck) -> None:
        now = self._clock.now()
        self._puck: Puck | None = puck
        self._down: frozenset[str] = frozenset()
        self._heard = Heard(0)
        self._rest = Rest(self._config, self._zone.enter, now)
        self.reading = Reading(t=now)

    def _run(self) -> None:
        problem = "its reader ended"
        if self._config.urgent:
            _hurry()
        try:
            if self._config.led and self._puck is not None:
                self._puck.light(True)
            while not self._ended.is_set():
                if self._puck is None:
                    self._look_again()
                else:
                    self._listen(self._puck)
        except Exception as error:
            _LOG.exception("the SpaceMouse's reader ended: %r", error)
            problem = f"its reader ended by {error!r}; start it again"
        finally:
            # However this thread ends, nobody may go on with what it said last.
            self.reading = replace(self.reading, problem=problem)
            if self._puck is not None:
                if self._config.led:
                    self._puck.light(False)
                self._puck.close()

    def _listen(self, puck: Puck) -> None:
        """Wait for reports, take all there are, and show the newest."""
        reading = self.reading
        translation_t, rotation_t = reading.t_translation, reading.t_rotation
        try:
            for i in range(_BATCH):
                heard = puck.read(0 if i else round(1000 * self._config.poll_s))
                if heard is None:
                    break
                now = self._clock.now()
                self._count(puck, heard, now)
                translation_t = now if Heard.TRANSLATION in heard else translation_t
                rotation_t = now if Heard.ROTATION in heard else rotation_t
        except OSError as error:
            self._lose(puck, error)
            return
        now = self._clock.now()
        self._rest.tick(now, puck.twist)
        twist = tuple(min(1.0, max(-1.0, v - b)) for v, b in zip(puck.twist, self._rest.bias, strict=True))
        told = self._rest.known or MOTION in self._heard  # a puck that has said nothing yet may be held
        at_rest = told and max(map(abs, twist)) <= self._zone.leave
        self.reading = Reading(
            t=now,
            twist=twist,
            t_translation=translation_t,
            t_rotation=rotation_t,
            t_rest=now if at_rest else reading.t_rest,
            battery=puck.battery,
        )

    def _count(self, puck: Puck, heard: Heard, now: float) -> None:
        """Take what a report says beyond the state it leaves."""
        if Heard.BROKEN in heard:
            self.dropped += 1
            return
        self.meter.count(now)
        self._heard |= heard
        if heard & MOTION:
            self._rest.hear(puck.twist)
        if Heard.BUTTONS in heard:
            edges, self._down = puck.pressed - self._down, puck.pressed
            for button in puck.buttons:
                if button in edges and not self._ended.is_set():
                    self._pressed(button, now)

    def _lose(self, puck: Puck, error: OSError) -> None:
        """Say at once that the device is gone."""
        self.reading = replace(self.reading, problem="unplugged: plug it in again, then let go of it once")
        _LOG.warning("the SpaceMouse %s is gone: %s", puck.model, error)
        self._puck = None
        puck.close()

    def _look_again(self) -> None:
        if self._ended.wait(self._config.retry_s):
            return
        try:
            puck = self._source.open()
        except (OSError, RobotHilError) as error:
            self.reading = replace(self.reading, problem=str(error))
            return
        if self._config.led:
            puck.light(True)
        self._adopt(puck)
        _LOG.info("the SpaceMouse %s is back", puck.model)


def _hurry() -> None:
    """Keep other processes from delaying this thread where that is permitted; what it starts does not inherit it."""
    with contextlib.suppress(AttributeError, OSError):  # not on this system, or not for this user
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
