"""What a person said in one period, and what follows from it."""

from dataclasses import dataclass, field

from robot_hil.actor.arbiter import Decision
from robot_hil.data.step import Segment
from robot_hil.data.teleop import EventKind, TeleopEvent, TeleopSample

VERDICTS = (EventKind.SUCCESS, EventKind.FAIL)
"""What a person may say about an episode."""


@dataclass(slots=True)
class Asked:
    """What the person said in one period, and what follows."""

    sample: TeleopSample
    decision: Decision
    events: list[TeleopEvent] = field(default_factory=list)
    waited: bool = False
    """The period was stretched by waiting for the person."""
    segment: Segment = Segment.NONE
    """What the step is; of a demonstration nothing is said."""
    rewound: bool = False
    """The robot is led back the way it came."""
    over: bool = False
    """The correction is done: the episode has ended with the step before."""

    @property
    def verdict(self) -> EventKind | None:
        """SUCCESS, FAIL or None."""
        return next((e.kind for e in self.events if e.kind in VERDICTS), None)

    @property
    def reset(self) -> bool:
        """Whether the person ends the episode."""
        return any(e.kind is EventKind.RESET for e in self.events)

    @property
    def ends(self) -> bool:
        """Whether this period is the episode's last by the person's word."""
        return self.reset or self.verdict is not None

    @property
    def goes_on(self) -> bool:
        """Whether the person said something that ends waiting for a hand at the device."""
        return self.ends or any(e.kind is EventKind.NEXT for e in self.events)
