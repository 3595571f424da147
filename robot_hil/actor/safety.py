"""The safety gate: the only object that holds a driver, between every command source and the arm.

It adds to the vendor's controller and the hardware stop chain; it is not safety-rated. See docs/safety.md.
"""

import logging
import threading
from dataclasses import dataclass
from enum import Enum
from math import inf, sqrt

from robot_hil.actor.limits import TargetLimiter
from robot_hil.clock import Clock
from robot_hil.data.robot import ArmLimits, ArmState, Target
from robot_hil.errors import SafetyError
from robot_hil.protocols import Arm

_log = logging.getLogger(__name__)


class GateState(Enum):
    """What the gate lets through."""

    RUN = "run"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecord:
    """Why and where the gate left RUN; kept for the person who has to decide."""

    state: GateState
    reason: str
    t: float
    """Time on the gate's clock [s]."""
    arm_state: ArmState | None
    """Newest state the gate had seen, None before the first."""
    target: Target | None
    """The command being handled, None when there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInfo:
    """Counters since construction."""

    state: GateState
    sent: int
    """Commands that reached the driver."""
    limited_box: int
    """Commands whose position, joint or gripper value was moved into its allowed range."""
    limited_rate: int
    """Commands shortened to the allowed speed or acceleration."""
    refused: int
    """Commands that did not reach the driver."""
    holds: int
    stops: int
    last_stop: StopRecord | None


class SafetyGate:
    """An `Arm` that checks every command before `driver` sees it.

    Order: finite and well-formed, age, box and joint limits, speed and acceleration, fault and measured force,
    send. Malformed input is refused, never repaired, and latches STOP; finite targets outside a limit are moved to it
    and counted.

    `clock` must be the time in which the arm moves: for a simulated arm a clock whose `now` returns simulation time,
    so that the limits hold for any speed of simulation. Call `sync` after the arm was placed somewhere
    else than by a command (a simulated reset). `period_s` is the expected time between commands: no command may
    move the target further than one such period at full speed, however late it comes.

    Threads: `stop`, `hold`, `emergency_stop` and `check` may be called beside `command`; the driver's `stop` must then
    be callable beside its `command`. The state is written before the driver is stopped and read again after each
    send, so every interleaving ends with a stopped arm.
    """

    def __init__(self, driver: Arm, limits: ArmLimits, clock: Clock, *, period_s: float = 0.05) -> None:
        self.limits = limits
        self._driver = driver
        self._clock = clock
        self._limiter = TargetLimiter(limits, period_s)
        self._state = GateState.RUN
        self._last_stop: StopRecord | None = None
        self._sent = self._refused = self._holds = self._stops = 0
        self._arm_state: ArmState | None = None
        self._transition = threading.Lock()
        self._last_t = -inf
        self._interrupted = False

    # -- the Arm contract ------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect the driver and start from the measured pose; legal twice."""
        self._driver.connect()
        self.sync()

    def state(self) -> ArmState:
        """Return the driver's state; a fault or too much force in it latches STOP (reading still works then)."""
        state = self._driver.state()
        self._arm_state = state
        problem = self._arm_problem(state)
        if problem and self._state is not GateState.STOP:
            self._latch(GateState.STOP, problem, None)
        return state

    def command(self, target: Target, stamp: float | None = None) -> None:
        """Check `target` and send it, possibly limited.

        `stamp` is when the command was decided on the gate's clock [s]; None means now. Raises `SafetyError` when
        refused: malformed (STOP), too old (HOLD), fault or force (STOP), or not in RUN.
        """
        if self._state is not GateState.RUN:
            self._refused += 1
            raise SafetyError(f"command refused: the gate is in {self._describe()}")
        now = self._clock.now()
        problem = self._limiter.malformed(target)
        if problem:
            self._refuse(GateState.STOP, problem, target)
        age = 0.0 if stamp is None else now - stamp
        if not age <= self.limits.max_command_age:
            self._refuse(
                GateState.HOLD, f"the command is {age:.3f} s old, allowed are {self.limits.max_command_age} s", target
            )
        state = self._fresh_state(now)
        problem = self._arm_problem(state)
        if problem:
            self._refuse(GateState.STOP, problem, target)
        sent = self._limiter.limit(target, state, now)
        try:
            self._driver.command(sent)
        except Exception as error:
            self._refused += 1
            self._latch(GateState.STOP, f"the driver refused the command: {error}", target)
            raise SafetyError(f"the driver refused the command: {error}. The gate is in {self._describe()}") from error
        self._last_t = now
        self._sent += 1
        self._interrupted = False
        if self._state is not GateState.RUN:  # another thread stopped the arm meanwhile: its stop must come last
            self._driver.stop()

    def stop(self) -> None:
        """Stop moving, at once, without latching; the next command starts from the measured pose."""
        self._interrupted = True
        self._forget_motion()
        self._driver.stop()

    def recover(self, reason: str) -> None:
        """Clear HOLD or STOP after a person decided so. Nothing moves until the next command.

        Raises `SafetyError` when `reason` is empty or the arm still reports a fault; the gate then stays as it is.
        """
        self._require_reason("recover", reason)
        stops = self._stops
        self._driver.recover(reason)
        self._clear("recovered", reason, stops)

    def close(self) -> None:
        """Stop and disconnect the driver; legal twice."""
        self._forget_motion()
        self._driver.close()

    # -- states ----------------------------------------------------------------------------------------------------

    def resume(self, reason: str) -> None:
        """Leave HOLD after a person decided so. Nothing to do in RUN; raises `SafetyError` in STOP."""
        self._require_reason("resume", reason)
        stops = self._stops
        if self._state is GateState.STOP:
            raise SafetyError(f"resume does not clear {self._describe()}")
        if self._state is GateState.HOLD:
            self._clear("resumed", reason, stops)

    def hold(self, reason: str) -> None:
        """Stop moving until a person calls `resume`; STOP stays STOP."""
        if self._state is GateState.RUN:
            self._latch(GateState.HOLD, reason, None)

    def emergency_stop(self, reason: str) -> None:
        """Latch STOP: nothing moves until a person calls `recover`."""
        self._latch(GateState.STOP, reason, None)

    def check(self, now: float | None = None) -> GateState:
        """Hold when a moving arm got no command for longer than `max_command_age`; call it at least that often.

        `now` is on the gate's clock [s]; None reads it.
        """
        silence = (self._clock.now() if now is None else now) - self._last_t
        if self._state is GateState.RUN and self._limiter.moving and silence > self.limits.max_command_age:
            self.hold(f"no command for {silence:.3f} s while moving, allowed are {self.limits.max_command_age} s")
        return self._state

    def sync(self) -> None:
        """Make the measured pose the one from which the next command is limited."""
        self._interrupted = False
        self._forget_motion()
        self.state()

    @property
    def interrupted(self) -> bool:
        """Whether the arm was stopped since the last command or `sync`: what was commanded before no longer counts."""
        return self._interrupted

    @property
    def mode(self) -> GateState:
        """RUN, HOLD or STOP."""
        return self._state

    def info(self) -> GateInfo:
        """Return the counters and the last reason for leaving RUN."""
        return GateInfo(
            state=self._state,
            sent=self._sent,
            limited_box=self._limiter.limited_box,
            limited_rate=self._limiter.limited_rate,
            refused=self._refused,
            holds=self._holds,
            stops=self._stops,
            last_stop=self._last_stop,
        )

    # -- checks ----------------------------------------------------------------------------------------------------

    def _arm_problem(self, state: ArmState) -> str:
        """Say why the arm must not move, or return an empty string. A NaN reading is a problem."""
        if state.fault:
            return f"the arm reports a fault: {state.fault}"
        fx, fy, fz, tx, ty, tz = state.wrench_tcp.tolist()
        force, torque = sqrt(fx * fx + fy * fy + fz * fz), sqrt(tx * tx + ty * ty + tz * tz)
        if not force <= self.limits.max_force:
            return f"measured force is {force:.1f} N, allowed are {self.limits.max_force} N"
        if not torque <= self.limits.max_torque:
            return f"measured torque is {torque:.1f} N m, allowed are {self.limits.max_torque} N m"
        return ""

    def _fresh_state(self, now: float) -> ArmState:
        """Return the state for `now`; in simulation no time passed since an observation, so that one serves."""
        state = self._arm_state
        if state is None or state.t != now:
            state = self._arm_state = self._driver.state()
        return state

    # -- transitions -----------------------------------------------------------------------------------------------

    def _refuse(self, state: GateState, reason: str, target: Target) -> None:
        self._refused += 1
        self._latch(state, reason, target)
        raise SafetyError(f"command refused: {reason}. The gate is in {self._describe()}")

    def _latch(self, state: GateState, reason: str, target: Target | None) -> None:
        """Leave RUN, or raise HOLD to STOP, and stop the arm, even when it was stopped already."""
        with self._transition:
            if self._state is GateState.STOP:
                state = GateState.STOP  # never lowered by a machine
            self._state = state  # before the driver is stopped: see the note on threads
            self._stops += state is GateState.STOP
            self._holds += state is GateState.HOLD
            self._last_stop = StopRecord(
                state=state, reason=reason, t=self._clock.now(), arm_state=self._arm_state, target=target
            )
        _log.error("safety gate: %s: %s; command %s; arm %s", state.name, reason, target, self._arm_state)
        self._interrupted = True
        self._forget_motion()
        try:
            self._driver.stop()
        except Exception:  # the latch must hold whatever a broken driver does
            _log.exception("safety gate: the driver failed to stop; use the hardware stop")

    def _clear(self, how: str, reason: str, stops: int) -> None:
        """Go to RUN, unless the arm has a problem or was stopped again since `stops` was read."""
        problem = self._arm_problem(self._driver.state())
        if problem:
            raise SafetyError(f"not {how}: {problem}. Remove the cause, then recover with a reason.")
        self._forget_motion()
        with self._transition:
            if self._stops != stops:
                raise SafetyError(f"not {how}: stopped again meanwhile. The gate is in {self._describe()}")
            _log.warning("safety gate: %s from %s by a person: %s", how, self._state.name, reason)
            self._state = GateState.RUN

    def _forget_motion(self) -> None:
        """Drop the last target: the next command starts from the measured pose with one period's motion."""
        self._limiter.reset()
        self._last_t = -inf
        self._arm_state = None

    def _require_reason(self, what: str, reason: str) -> None:
        if not reason.strip():
            raise SafetyError(f"{what} needs a reason, in words, from the person who decided; got {reason!r}.")

    def _describe(self) -> str:
        record = self._last_stop
        why = f" ({record.reason})" if record else ""
        clear = "resume(reason)" if self._state is GateState.HOLD else "recover(reason)"
        return f"{self._state.name}{why}; a person clears it with {clear}."
