"""What a step log knows besides its steps, first of all which numbers it has: bookkeeping without a disk."""

import re
from typing import Any

import msgspec

from robot_hil.data.codec import StepKey
from robot_hil.data.step import Step
from robot_hil.errors import SpecError

_ACTOR_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Mark(msgspec.Struct):
    """What of one epoch is there. A number is there, or missing, or given up, which nobody waits for any longer."""

    next: int = 0
    """First sequence number that is waited for."""
    end: int = 0
    """One more than the largest sequence number seen."""
    missing: int = 0
    """Numbers below `end` that never came."""
    above: set[int] = msgspec.field(default_factory=set)
    """Numbers after `next` that are there."""

    def has(self, seq: int) -> bool:
        """Return whether a number is there or given up."""
        return seq < self.next or seq in self.above

    def enter(self, seq: int) -> None:
        """Take in a number that `has` did not know."""
        self.missing += seq - self.end if seq >= self.end else -1
        self.end = max(self.end, seq + 1)
        self.above.add(seq)
        self._advance()

    def give_up(self, seq: int) -> int:
        """Wait no longer for what is missing below `seq`; return how many numbers these are."""
        if seq <= self.next:
            return 0
        kept = {number for number in self.above if number >= seq}
        lost = seq - self.next - (len(self.above) - len(kept))
        self.missing += max(0, seq - self.end)
        self.next, self.end, self.above = seq, max(self.end, seq), kept
        self._advance()
        return lost

    def _advance(self) -> None:
        while self.next in self.above:
            self.above.remove(self.next)
            self.next += 1


def check_actor(actor_id: str) -> None:
    """Raise `SpecError` unless this can be the name of an actor."""
    if not _ACTOR_ID.fullmatch(actor_id):
        raise SpecError(f"actor id {actor_id!r} is not 1 to 64 letters, digits, '_', '.' or '-'.")


class LogState(msgspec.Struct):
    """What a step log knows besides its steps."""

    marks: dict[str, dict[int, Mark]] = msgspec.field(default_factory=dict)
    """By actor and epoch."""
    last_episodes: dict[str, int] = msgspec.field(default_factory=dict)
    epochs: dict[str, int] = msgspec.field(default_factory=dict)
    """The newest number that `new_epoch` gave."""
    values: dict[str, Any] = msgspec.field(default_factory=dict)

    def mark(self, actor_id: str, epoch: int) -> Mark:
        """Return what is known of an epoch, to be changed."""
        return self.marks.setdefault(actor_id, {}).setdefault(epoch, Mark())

    def enter(self, key: StepKey | Step) -> None:
        """Take in a step that was not there."""
        self.mark(key.actor_id, key.epoch).enter(key.seq)
        self.last_episodes[key.actor_id] = max(self.last_episodes.get(key.actor_id, -1), key.episode_id)
