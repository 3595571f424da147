"""Steps, of any number of actors, that are written into the learner's log at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import zmq

from robot_hil.data import codec
from robot_hil.data.step import Step
from robot_hil.errors import SpecError
from robot_hil.transport import protocol
from robot_hil.transport.sessions import Session

_FULL_BYTES = 2 << 20
"""So much is written at once, and stays in the processor's cache until then."""


@dataclass(slots=True)
class Group:
    """Checked steps in the order in which they came."""

    blobs: list[codec.Blob] = field(default_factory=list)
    """Each is the message it came in, not a copy; so are the arrays of `steps`."""
    steps: list[Step] = field(default_factory=list)
    ends: dict[tuple[bytes, int], int] = field(default_factory=dict)
    """What to acknowledge: first sequence number after those of this group, by peer and epoch."""
    size: int = 0
    """Bytes in `blobs`."""

    @property
    def full(self) -> bool:
        """True when the group is to be committed before more is taken."""
        return self.size >= _FULL_BYTES

    def add(self, peer: bytes, session: Session, frames: Sequence[zmq.Frame], check: Callable[[Step], None]) -> bool:
        """Take in the STEPS message `frames`; return False, and take nothing, when earlier ones are missing.

        Raises `SpecError` for a message that is malformed, of another actor, or damaged, and what `check` raises.
        """
        if not 2 < len(frames) <= 2 + protocol.MAX_STEPS_PER_MESSAGE:
            raise SpecError(f"message has {len(frames) - 2} steps; allowed are 1 to {protocol.MAX_STEPS_PER_MESSAGE}.")
        header = protocol.unpack(frames[1].bytes, protocol.StepsHeader)
        blobs = [frame.buffer for frame in frames[2:]]
        steps = [codec.decode(blob) for blob in blobs]
        seqs = [step.seq for step in steps]
        if seqs != sorted(set(seqs)) or seqs[0] < header.after:
            raise SpecError(f"steps have the numbers {seqs}; they must rise from {header.after}.")
        for step in steps:
            if step.actor_id != session.actor_id or step.epoch != header.epoch or step.epoch > session.epoch:
                raise SpecError(f"step of {step.actor_id}/{step.epoch} came from {session.actor_id}/{session.epoch}.")
            check(step)
        expected = session.received.get(header.epoch, 0)
        if header.after > expected:
            return False
        self.ends[peer, header.epoch] = session.received[header.epoch] = max(expected, seqs[-1] + 1)
        self.blobs += blobs
        self.steps += steps
        self.size += sum(map(len, blobs))
        return True
