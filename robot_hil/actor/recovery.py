"""Recovery and correction: what a person who takes over does first and next, and when the episode is over (RaC).

RaC (Hu et al. 2025, arXiv 2509.07953) has two rules. Who takes over first brings the robot back to where it knows the
way, and only then shows how to go on; and with that the episode ends, for what the policy would do from there on says
nothing about the policy.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from robot_hil.actor.arbiter import ArbiterState, Decision
from robot_hil.actor.asked import Asked
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.seeding import Stream
from robot_hil.data.step import Segment
from robot_hil.data.teleop import EventKind, TeleopEvent, TeleopSample

_STANDING = (ArbiterState.HOLD, ArbiterState.ESTOP)


class Stage(Enum):
    """How far an episode has come."""

    AUTONOMOUS = "autonomous"
    """Nobody has taken over."""
    RECOVERY = "recovery"
    """The person brings the robot back."""
    CORRECTION = "correction"
    """The person goes on from there."""
    OVER = "over"
    """The correction is done; no step is recorded any more."""


class RecoveryCorrection:
    """Follows an episode by what was decided and pressed; asks nobody, moves nothing.

    Taking over begins the recovery; NEXT ends it, and then the correction. Going backwards is recovery whenever it
    happens. Nothing counts while the robot is held, nor before somebody took over.
    """

    def __init__(self) -> None:
        self.stage = Stage.AUTONOMOUS

    def begin_episode(self) -> None:
        """Nobody has taken over."""
        self.stage = Stage.AUTONOMOUS

    def follow(self, decision: Decision, rewound: bool, events: Sequence[TeleopEvent]) -> Segment:
        """Return what this period's step is, and move on; `rewound` says that it goes backwards."""
        if decision.state in _STANDING or self.stage is Stage.OVER:
            return Segment.NONE
        if decision.intervention_id >= 0 and (self.stage is Stage.AUTONOMOUS or rewound):
            self.stage = Stage.RECOVERY
        for event in events:
            if event.kind is EventKind.NEXT:
                self._next()
        if decision.intervention_id < 0 or self.stage is Stage.OVER:
            return Segment.NONE
        if rewound:
            return Segment.REWIND
        return Segment.RECOVERY if self.stage is Stage.RECOVERY else Segment.CORRECTION

    def _next(self) -> None:
        if self.stage is Stage.RECOVERY:
            self.stage = Stage.CORRECTION
        elif self.stage is Stage.CORRECTION:
            self.stage = Stage.OVER


class Helping:
    """What kind of help is under way in an episode of training: a correction, recovery and correction, the way back.

    Of demonstrations and of the policy's trials alone it says nothing, and there is no way back in them.
    """

    def __init__(self, rewind: Rewind | None, *, recovery: bool) -> None:
        self._rewind, self._recovery = rewind, recovery
        self._episode = RecoveryCorrection()
        self._helps = False

    @property
    def stage(self) -> Stage:
        """How far the episode has come; autonomous to the end where nobody recovers and corrects."""
        return self._episode.stage

    @property
    def keeps(self) -> bool:
        """Whether who takes over keeps the robot until the episode ends."""
        return self._recovery and self._helps

    def begin_episode(self, stream: Stream) -> None:
        """A new episode begins where the robot is."""
        self._helps = stream is Stream.TRAIN
        self._episode.begin_episode()
        if self._rewind is not None and self._helps:
            self._rewind.begin_episode()

    def back(self, sample: TeleopSample) -> TeleopSample | None:
        """Return what a person who wants to go back commands by it; None for everybody else."""
        if not (sample.engaged and sample.rewind and self._helps) or self._rewind is None:
            return None
        return replace(sample, action=self._rewind.action(), mask=None)

    def laid_aside(self, asked: Asked) -> bool:
        """Whether a person who keeps the robot has let go of it."""
        return self.stage is not Stage.AUTONOMOUS and asked.decision.state is ArbiterState.RELEASING

    def label(self, asked: Asked) -> None:
        """Say what kind of step this period makes."""
        if not self._helps:
            return
        if self._recovery:
            asked.segment = self._episode.follow(asked.decision, asked.rewound, asked.events)
            asked.over = self.stage is Stage.OVER
        elif asked.decision.intervention_id >= 0:
            asked.segment = Segment.REWIND if asked.rewound else Segment.CORRECTION

    def note(self, asked: Asked) -> None:
        """The period is over: what was commanded in it is part of the way."""
        if self._rewind is not None and self._helps:
            self._rewind.note(asked.rewound)
