"""Who drives: a pure state machine from (policy proposal, human sample, events, time) to one action and its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from robot_hil.actor.sharing import Mode, Sharing, modes_of
from robot_hil.data.specs import Array
from robot_hil.data.step import Authority
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError, SafetyError, SpecError

_SLACK_S = 1e-6  # sums of periods are not exact; a time-out of six periods must not take seven


class ArbiterState(Enum):
    """Who drives, in one word for the operator's screen."""

    POLICY = "policy"
    ENGAGING = "engaging"
    HUMAN = "human"
    RELEASING = "releasing"
    HOLD = "hold"
    ESTOP = "estop"


class TailDriver(Enum):
    """Who drives in the release tail. The flag `release_tail` tells a learner not to imitate these steps."""

    HOLD = "hold"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbiterConfig:
    """Times are on the clock of `update`'s `now`."""

    action_dim: int
    mode: Mode = Mode.TAKEOVER
    """Of the first intervention; MODE events change it."""
    hand: tuple[bool, ...] = ()
    """Which dimensions are the hand's, for the modes `arm` and `hand`; empty for an action without one."""
    residual_gain: float = 0.3
    """Share of the person's command that is added in mode `residual`."""
    residual_max: float = 0.3
    """Most that is added to a dimension, share of the action's range."""
    engage_s: float = 0.0
    """The person must stay engaged this long before driving; the arm stands meanwhile [s]."""
    min_hold_s: float = 0.0
    """A takeover, release tail included, lasts at least this long [s]."""
    release_tail_s: float = 0.3
    """Time after letting go before the policy drives again, unless the device says otherwise (`TeleopSample.tail_s`);
    engaging within it continues the intervention [s]."""
    tail_driver: TailDriver = TailDriver.HOLD
    max_sample_age_s: float = 0.2
    """An older human sample means the device is lost [s]."""
    device_required: bool = False
    """Hold from the start until the device works; else a device that never worked does not block the policy."""

    def __post_init__(self) -> None:
        if self.action_dim < 1:
            raise ConfigError(f"action_dim is {self.action_dim}; an action has at least 1 dimension.")
        times = (self.engage_s, self.min_hold_s, self.release_tail_s)
        if not all(0 <= t < np.inf for t in times) or not self.max_sample_age_s > 0:
            raise ConfigError(f"arbiter times must be finite, not negative, and max_sample_age_s above 0; got {self}.")
        if not (0 < self.residual_gain < np.inf and 0 < self.residual_max <= 1):
            raise ConfigError(
                f"residual_gain is {self.residual_gain}, residual_max {self.residual_max}; give numbers above 0, the "
                "second at most 1."
            )
        if self.hand and len(self.hand) != self.action_dim:
            raise ConfigError(f"hand has {len(self.hand)} dimensions, an action {self.action_dim}.")
        if self.mode in (Mode.ARM, Mode.HAND) and self.mode not in self.modes:
            raise ConfigError(f"mode {self.mode.value!r} needs an action with an arm and a hand; choose another mode.")

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What a person may switch to, by MODE events."""
        return modes_of(self.hand, Mode.TAKEOVER if self.mode in (Mode.ARM, Mode.HAND) else self.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to execute in this period and how to label the step."""

    action: Array
    """float32 (A,) in [-1, 1], never NaN. Standing still is zeros: no-op in the space of delta actions."""
    authority: Array
    """`Authority` of each dimension, uint8 (A,)."""
    state: ArbiterState
    intervention_id: int
    """Number of the intervention within the episode; -1 outside any."""
    onset: bool
    """First step of the intervention."""
    closes_previous: bool
    """The step before this one was the last of its intervention: only now can its `offset` be known."""
    release_tail: bool
    """The person had already let go."""
    reason: str
    """Why the arm is held or stopped, with what to do; else empty."""


class Arbiter:
    """Decides once per period. Holds no time, device or thread of its own.

    *Lost is not released*: when the device is stale, invalid or disconnected after it once worked, the arm is held
    until a RESUME event comes while the device works and nobody pulls it; the policy never takes over by itself. An
    ESTOP event latches until `clear_estop`. A proposal with NaN is never executed: the arm is held, unless
    a person drives every dimension anyway. ENGAGE and DISENGAGE events are for display: `engaged` decides.
    A CLEAR event with a reason turns ESTOP into HOLD; before anything moves a RESUME must follow. A MODE event asks for
    another mode, by name or, without one, for the next; it counts once no intervention is open, so that each is of one.
    """

    def __init__(self, config: ArbiterConfig) -> None:
        self.config = config
        self.reason = ""
        self._state = ArbiterState.POLICY
        self._requested = ""
        self._device_seen = config.device_required
        self._next_id = 0
        self._open = False  # an intervention is open, with number _next_id - 1
        self._keeps = self._kept = False
        self._engaged_at = 0.0
        self._onset_at = 0.0
        self._last_engaged = 0.0
        self._tail_s = config.release_tail_s
        self._sharing = Sharing(config.mode, config.hand, config.residual_gain, config.residual_max)
        self._zero = np.zeros(config.action_dim, np.float32)
        self._authority = {a: np.full(config.action_dim, a, np.uint8) for a in Authority}

    @property
    def state(self) -> ArbiterState:
        """Who drives now; may be read by any thread."""
        return ArbiterState.HOLD if self._requested and self._state is not ArbiterState.ESTOP else self._state

    @property
    def mode(self) -> Mode:
        """How person and policy combine; while a person drives, how they do now. Any thread may ask."""
        return self._sharing.mode

    @property
    def hold_requested(self) -> bool:
        """Whether a hold was asked for that `update` has not seen yet."""
        return bool(self._requested)

    def request_hold(self, reason: str) -> None:
        """Hold from the next `update` on, until a person resumes; for other threads, e.g. one that watches a device.

        `reason` says why, and what to do.
        """
        self._requested = reason or "asked to hold; resume to go on"

    def begin_episode(self, attended: bool = True, keeps: bool = False) -> None:
        """Number interventions from 0 again; HOLD and ESTOP stay. Not `attended`: no device is expected to work.

        `keeps`: once a person has taken over the policy does not drive again in this episode; let go, the arm stands.
        """
        self._next_id = 0
        self._keeps, self._kept = keeps, False
        self._open = False
        if not attended:
            self._device_seen = False
        elif self.config.device_required:
            self._device_seen = True
        if self._state not in (ArbiterState.HOLD, ArbiterState.ESTOP):
            self._state = ArbiterState.POLICY

    def forget_device(self) -> None:
        """Expect no device until one works: nothing moves without a person now, so none can be missed."""
        self._device_seen = False

    def emergency_stop(self, reason: str) -> None:
        """Latch ESTOP, as an ESTOP event would."""
        self._stop(ArbiterState.ESTOP, reason)

    def clear_estop(self, reason: str) -> None:
        """Go from ESTOP to HOLD after a person decided so; a RESUME event is still needed before anything moves."""
        if not reason.strip():
            raise SafetyError(f"clearing an e-stop needs a reason, in words; got {reason!r}.")
        if self._state is ArbiterState.ESTOP:
            self._stop(ArbiterState.HOLD, f"e-stop cleared ({reason}); resume to go on")

    def update(
        self, now: float, proposal: Array | None, sample: TeleopSample, events: Sequence[TeleopEvent] = ()
    ) -> Decision:
        """Decide for this period. `proposal` is the policy's action (A,), None when no policy is asked."""
        was_open, onset = self._open, False
        requested, self._requested = self._requested, ""
        if requested and self._state is not ArbiterState.ESTOP:
            self._stop(ArbiterState.HOLD, requested)
        problem = self._sample_problem(now, sample)
        self._device_seen |= not problem
        lost = problem if self._device_seen else ""  # a device that never worked blocks nothing, and drives nothing
        engaged = sample.engaged and not problem
        self._handle_events(events, lost, engaged)
        self._settle_mode()
        if self._state not in (ArbiterState.HOLD, ArbiterState.ESTOP):
            if lost:
                self._stop(ArbiterState.HOLD, f"{lost}; make it work, let go of it and resume")
            else:
                onset = self._follow(now, engaged, sample.action is not None, sample.tail_s)
        self._settle_mode()
        try:
            action, authority = self._compose(now, proposal, sample)
        except SpecError as error:
            self._stop(ArbiterState.HOLD, f"{error} Resume to try again")
            onset = False
            action, authority = self._zero, self._authority[Authority.HOLD]
        return Decision(
            action=action.copy(),
            authority=authority.copy(),
            state=self._state,
            intervention_id=self._next_id - 1 if self._open else -1,
            onset=onset,
            closes_previous=was_open and not self._open,
            release_tail=self._state is ArbiterState.RELEASING and self._open,
            reason=self.reason,
        )

    # -- transitions -----------------------------------------------------------------------------------------------

    def _handle_events(self, events: Sequence[TeleopEvent], lost: str, engaged: bool) -> None:
        for event in events:
            if event.kind is EventKind.ESTOP:
                self._stop(ArbiterState.ESTOP, f"e-stop by {event.source or 'a person'}")
            elif event.kind is EventKind.CLEAR and event.reason.strip():
                self.clear_estop(event.reason)
            elif event.kind is EventKind.MODE:
                self._sharing.ask(event.value)
            elif self._state is ArbiterState.ESTOP:
                continue
            elif event.kind is EventKind.PAUSE:
                self._stop(ArbiterState.HOLD, f"paused by {event.source or 'a person'}; resume to go on")
            elif event.kind is EventKind.RESUME and self._state is ArbiterState.HOLD:
                if lost:
                    self.reason = f"cannot resume: {lost}"
                elif engaged:
                    # A device found deflected after a pause must not move the arm: let go first.
                    self.reason = "cannot resume while the device is engaged: let go of it, then resume"
                else:
                    self._state, self.reason = ArbiterState.POLICY, ""

    def _follow(self, now: float, engaged: bool, commanding: bool, tail_s: float | None) -> bool:
        """Follow the person's intent; return True at the first step of an intervention."""
        if engaged:
            if self._state is ArbiterState.POLICY or (self._state is ArbiterState.RELEASING and not self._open):
                self._state, self._engaged_at = ArbiterState.ENGAGING, now
            self._last_engaged = now
            self._tail_s = self.config.release_tail_s if tail_s is None else tail_s
            if self._open:
                self._state = ArbiterState.HUMAN
            elif commanding and now - self._engaged_at >= self.config.engage_s - _SLACK_S:
                self._state, self._onset_at = ArbiterState.HUMAN, now
                self._open, self._kept = True, self._keeps
                self._next_id += 1
                return True
        elif self._kept:
            self._state = ArbiterState.RELEASING
        elif self._open:
            tail_over = now - self._last_engaged >= self._tail_s - _SLACK_S
            if tail_over and now - self._onset_at >= self.config.min_hold_s - _SLACK_S:
                self._state, self._open = ArbiterState.POLICY, False
            else:
                self._state = ArbiterState.RELEASING
        else:
            self._state = ArbiterState.POLICY
        return False

    def _settle_mode(self) -> None:
        if not self._open:
            self._sharing.settle()

    def _stop(self, state: ArbiterState, reason: str) -> None:
        self._state, self.reason, self._open = state, reason, False

    def _sample_problem(self, now: float, sample: TeleopSample) -> str:
        """Say why the sample cannot be trusted, or return an empty string."""
        if sample.status is not SampleStatus.OK:
            return sample.problem or f"the device {sample.device!r} is {sample.status.value}"
        if not abs(now - sample.t) <= self.config.max_sample_age_s:  # from the future: not on this clock
            return f"the sample of the device {sample.device!r} is {now - sample.t:.3f} s old"
        if sample.action is not None and not self._is_action(sample.action):
            return f"the device {sample.device!r} commands {sample.action}"
        if sample.mask is not None and sample.mask.shape != (self.config.action_dim,):
            return f"the device {sample.device!r} masks {sample.mask}"
        return ""

    # -- composing -------------------------------------------------------------------------------------------------

    def _compose(self, now: float, proposal: Array | None, sample: TeleopSample) -> tuple[Array, Array]:
        """Return action and authority; raises `SpecError` when a broken proposal would be needed."""
        state, hold = self._state, (self._zero, self._authority[Authority.HOLD])
        if state is ArbiterState.RELEASING and self._kept:
            return hold
        if state is ArbiterState.RELEASING and self._sharing.adds and proposal is not None:
            return self._sharing.blend(self._checked(proposal), self._left(now))
        if state is ArbiterState.POLICY or (
            state is ArbiterState.RELEASING and self.config.tail_driver is TailDriver.POLICY
        ):
            if proposal is None:
                return hold
            return self._checked(proposal), self._authority[Authority.POLICY]
        if state is not ArbiterState.HUMAN or sample.action is None:
            return hold
        human = np.clip(np.asarray(sample.action, np.float32), -1.0, 1.0)
        if sample.rewind:  # the whole way back, however authority is shared on the way out
            return human, self._authority[Authority.HUMAN]
        return self._sharing.combine(human, lambda: None if proposal is None else self._checked(proposal), sample.mask)

    def _left(self, now: float) -> float:
        """Return the share of what the person added that is left in the release tail: it falls evenly to 0."""
        return max(0.0, 1.0 - (now - self._last_engaged) / self._tail_s) if self._tail_s > 0 else 0.0

    def _checked(self, proposal: Array) -> Array:
        if not self._is_action(proposal):
            raise SpecError(f"the policy proposed {proposal}; allowed are {self.config.action_dim} finite numbers.")
        return np.clip(np.asarray(proposal, np.float32), -1.0, 1.0)

    def _is_action(self, action: Array) -> bool:
        return np.shape(action) == (self.config.action_dim,) and bool(np.isfinite(action).all())
