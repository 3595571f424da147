"""The person's place at the robot: devices asked, arbiter obeyed, and waiting where only a person may go on."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from robot_hil.actor.arbiter import ArbiterState, Decision
from robot_hil.actor.arms import AnyArbiter
from robot_hil.actor.asked import VERDICTS, Asked
from robot_hil.actor.recovery import Helping
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.actor.seeding import Stream
from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import OperatorAbsentError, SafetyError
from robot_hil.protocols import Standby, TeleopDevice

_log = logging.getLogger(__name__)
_STANDING = (ArbiterState.HOLD, ArbiterState.ESTOP)
_IDLE_DEMO_S = 0.5
"""A demonstration goes on so long after the person let go: what was commanded shall finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskConfig:
    """How the loop treats the person."""

    operated: bool = False
    """A person with a real device is there. The loop then waits in place while held, and after an e-stop until a person
    clears and resumes; verdicts may come a moment late."""
    demos_wait: bool = False
    """A demonstration begins when the person does, and stands still while the person does nothing."""
    hold_timeout_s: float = 600.0
    """A hold that nobody resumes ends the run with an error after this time [s]; on the machine's clock if operated."""
    late_verdict_s: float = 1.0
    """A verdict this soon after an episode began is about the one before [s]: people need time to press a key."""
    marks: bool = False
    """Verdicts end nothing: they go to `on_mark`, for a person who marks what can be seen now."""
    recovery: bool = False
    """Who takes over in training recovers, then corrects, and with that the episode ends: see `actor.recovery`."""
    period_s: float = 0.1
    """How often devices are asked while waiting [s]."""


class Desk:
    """Between loop and person. One thread uses it; `stopped` says that the run is to end.

    `rewind` knows the way back, where there is one; else the button for it holds the robot. `idle` is called once per
    period while it waits, e.g. to show fresh camera images. `on_late_verdict` gets verdicts on the episode before;
    without it they are dropped with a warning. `on_false_positive` is told that a success was none and says whether
    that is about the episode under way, which then is a failure.
    """

    def __init__(
        self,
        arbiter: AnyArbiter,
        teleop: TeleopDevice | None,
        gate: SafetyGate | None,
        clock: Clock,
        config: DeskConfig,
        *,
        rewind: Rewind | None = None,
        stopped: Callable[[], bool] = lambda: False,
        idle: Callable[[], object] = lambda: None,
        on_late_verdict: Callable[[TeleopEvent], object] | None = None,
        on_false_positive: Callable[[TeleopEvent], bool] | None = None,
        on_mark: Callable[[TeleopEvent], object] = lambda event: None,
    ) -> None:
        self.last_decision: Decision | None = None
        """The newest decision, for displays."""
        self.last_sample: TeleopSample | None = None
        """What the devices said last."""
        self.waiting = ""
        """What is waited for: `start`, `resume`, `clear`; empty while running."""
        self._arbiter, self._teleop, self._gate, self._clock, self._config = arbiter, teleop, gate, clock, config
        self.helping = Helping(rewind, recovery=config.recovery)
        """What kind of help is under way."""
        self._stopped, self._idle, self._on_late_verdict = stopped, idle, on_late_verdict
        self._on_false_positive, self._on_mark = on_false_positive, on_mark
        self._began = self._now()
        self._idle_since: float | None = None

    def begin_episode(self, stream: Stream) -> None:
        """A new episode begins now."""
        self.helping.begin_episode(stream)
        self._arbiter.begin_episode(attended=self._teleop is not None, keeps=self.helping.keeps)
        if stream is Stream.DEMO:
            self._arbiter.forget_device()
        self._began = self._now()
        self._idle_since = None

    def ask(self, stream: Stream, proposal: Array | None) -> Asked:
        """Ask the person and decide; raises `SafetyError` on an e-stop, after stopping the arm."""
        sample, events = self._person(stream)
        events = self._heard(self._sort_out(events))
        held = self.last_decision is not None and self.last_decision.state is ArbiterState.HOLD
        back = self.helping.back(sample)
        asked = Asked(sample, self._update(proposal, back or sample, events), events)
        asked.rewound = back is not None and asked.decision.state is ArbiterState.HUMAN
        if asked.decision.state is ArbiterState.ESTOP:
            self._emergency_stop(asked.decision.reason)
        if asked.decision.state is ArbiterState.HOLD and not held and self._gate is not None:
            self._gate.stop()  # where it is, not where it was going
        if self._config.operated and asked.decision.state is ArbiterState.HOLD:
            self._stand(asked)
        elif self._config.demos_wait and (stream is Stream.DEMO or self.helping.laid_aside(asked)):
            self._idle_demonstration(asked)
        if self._gate is not None:
            self._gate.check()
        self.helping.label(asked)
        return asked

    def done(self, asked: Asked) -> None:
        """The period of `asked` is over: what was commanded in it is part of the way."""
        self.helping.note(asked)

    def wait_while_held(self) -> None:
        """Let no reset move a held arm: wait until a person resumes, and clears before that after an e-stop.

        Raises `SafetyError` after `hold_timeout_s`, and at once on an e-stop where nobody is there to clear it.
        """
        give_up = self._now() + self._config.hold_timeout_s
        while self._arbiter.state in _STANDING and not self._stopped():
            asked = self._wait("clear" if self._arbiter.state is ArbiterState.ESTOP else "resume")
            if asked.decision.state is ArbiterState.ESTOP and not self._config.operated:
                self._emergency_stop(asked.decision.reason)
            self._pass_late(asked.events)
            if self._now() >= give_up:
                raise OperatorAbsentError(
                    f"nobody resumed within {self._config.hold_timeout_s} s: {asked.decision.reason}"
                )
        self.waiting = ""

    def wait_for_start(self) -> None:
        """Wait until the person begins to drive; returns at once unless `demos_wait`."""
        began = not self._config.demos_wait
        while not began and not self._stopped():
            asked = self._wait("start")
            self._pass_late(asked.events)
            began = asked.sample.engaged and asked.decision.state not in _STANDING
        self.waiting = ""
        self._began = self._now()

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _stand(self, asked: Asked) -> None:
        """Stay in the period in which the arm was held until a person goes on; its action stays standing still."""
        give_up = self._now() + self._config.hold_timeout_s
        while self._arbiter.state is ArbiterState.HOLD and not asked.ends and not self._stopped():
            more = self._wait("resume")
            asked.waited = True
            asked.events += more.events
            if more.decision.state is ArbiterState.ESTOP:
                self._emergency_stop(more.decision.reason)
            if self._now() >= give_up:
                raise OperatorAbsentError(
                    f"nobody resumed within {self._config.hold_timeout_s} s: {more.decision.reason}"
                )
        self.waiting = ""

    def _idle_demonstration(self, asked: Asked) -> None:
        """Let no time pass in a demonstration, or a correction, that the person has laid aside for a moment."""
        if asked.sample.engaged or asked.goes_on:
            self._idle_since = None
            return
        self._idle_since = self._now() if self._idle_since is None else self._idle_since
        if self._now() - self._idle_since < _IDLE_DEMO_S:
            return
        engaged = False
        while not engaged and not asked.goes_on and not self._stopped():
            more = self._wait("start")
            asked.waited = True
            asked.events += more.events
            if more.decision.state is ArbiterState.ESTOP:
                self._emergency_stop(more.decision.reason)
            engaged = more.sample.engaged and more.decision.state is not ArbiterState.HOLD
        self.waiting = ""
        self._idle_since = None

    def _wait(self, what: str) -> Asked:
        """Let a period pass, then ask; an e-stop has stopped the arm on return."""
        self.waiting = what
        self._idle()
        if self._config.operated:
            time.sleep(self._config.period_s)  # a person takes real time, whatever clock the robot has
        else:
            self._clock.sleep_until(self._clock.now() + self._config.period_s)
        sample, events = self._person(Stream.TRAIN, waiting=True)
        if what == "start" and not sample.engaged:
            self._arbiter.forget_device()  # an idle device may come and go: the arm stands until the person drives
        events = self._heard(self._clear(events))
        decision = self._update(None, sample, events)
        if decision.state is ArbiterState.ESTOP:
            self._stop_arm(decision.reason)
        return Asked(sample, decision, events)

    def _now(self) -> float:
        return time.monotonic() if self._config.operated else self._clock.now()

    def _clear(self, events: list[TeleopEvent]) -> list[TeleopEvent]:
        """Clear the gate as a person asks for it; a CLEAR that the gate refuses is taken out, and said."""
        kept, gate = [], self._gate
        for event in events:
            if event.kind is EventKind.CLEAR and gate is not None and gate.mode is not GateState.RUN:
                if not event.reason.strip():
                    continue
                try:
                    gate.recover(f"{event.source}: {event.reason}")
                except SafetyError as error:
                    self._arbiter.reason = str(error)
                    continue
            kept.append(event)
        return kept

    # -- asking ------------------------------------------------------------------------------------------------------

    def _person(self, stream: Stream, waiting: bool = False) -> tuple[TeleopSample, list[TeleopEvent]]:
        """Return the newest sample and all edges; while the policy is alone the sample never asks for control."""
        if self._teleop is None:
            return TeleopSample(status=SampleStatus.DISCONNECTED, t=self._clock.now()), []
        teleop = self._teleop
        sample = teleop.standby() if waiting and isinstance(teleop, Standby) else teleop.latest()
        self.last_sample = sample
        if stream.autonomous:
            sample = replace(sample, engaged=False, action=None, rewind=False)
        return sample, teleop.drain_events()

    def _sort_out(self, events: list[TeleopEvent]) -> list[TeleopEvent]:
        """Take out verdicts that are about the episode before."""
        if not self._config.operated or self._config.marks:
            return events
        early = [e for e in events if e.t < self._began + self._config.late_verdict_s]
        self._pass_late(early)
        return [e for e in events if e.kind not in VERDICTS or e not in early]

    def _heard(self, events: list[TeleopEvent]) -> list[TeleopEvent]:
        """Take out marks, and false positives; one of the episode under way becomes its failure."""
        kept = []
        for event in events:
            if event.kind is EventKind.FALSE_POSITIVE:
                if self._on_false_positive is None:
                    _log.warning("%s says false positive, but no reward model judges here", event.source)
                elif self._on_false_positive(event):
                    kept.append(replace(event, kind=EventKind.FAIL))
            elif self._config.marks and event.kind in VERDICTS:
                self._on_mark(event)
            else:
                kept.append(event)
        return kept

    def _pass_late(self, events: list[TeleopEvent]) -> None:
        for event in events:
            if event.kind not in VERDICTS:
                continue
            if self._on_late_verdict is not None:
                self._on_late_verdict(event)
            else:
                _log.warning("nobody takes the late verdict %s of %s", event.kind.value, event.source)

    def _update(self, proposal: Array | None, sample: TeleopSample, events: list[TeleopEvent]) -> Decision:
        before = self.last_decision
        decision = self.last_decision = self._arbiter.update(self._clock.now(), proposal, sample, events)
        if before is None or decision.state is not before.state:
            _log.info("arbiter: %s %s", decision.state.name, decision.reason)
        gate = self._gate
        if gate is not None and gate.mode is GateState.HOLD and decision.state is not ArbiterState.HOLD:
            resumer = next((e for e in events if e.kind is EventKind.RESUME), None)
            if resumer is not None:
                gate.resume(f"resumed by {resumer.source or 'a person'}")
        return decision

    def _stop_arm(self, reason: str) -> None:
        if self._gate is not None and self._gate.mode is not GateState.STOP:
            self._gate.emergency_stop(reason)

    def _emergency_stop(self, reason: str) -> None:
        self._stop_arm(reason)
        raise SafetyError(f"{reason}; make the cell safe, then clear it with a reason and resume.")
