"""How a person's command and the policy's proposal become one action, and which dimension of it is whose."""

from collections.abc import Callable, Sequence
from enum import Enum

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Authority

_HAND = ("gripper", "hand", "finger", "thumb")
"""How the names of actions begin that move fingers."""


class Mode(Enum):
    """How human and policy combine while the person is engaged."""

    TAKEOVER = "takeover"
    """The person drives everything."""
    RESIDUAL = "residual"
    """The person's command, scaled down, is added to the policy's, which keeps driving (DexCap, Wang et al. 2024, arXiv
    2403.07788)."""
    MASKED = "masked"
    """The person drives the dimensions of the sample's mask, the policy the rest."""
    ARM = "arm"
    """The person drives the arm, the policy the hand."""
    HAND = "hand"
    """The person drives the hand, the policy the arm."""


def hand_of(names: Sequence[str]) -> tuple[bool, ...]:
    """Return which of the action's dimensions belong to a hand, told by their names.

    >>> hand_of(("x", "z", "gripper"))
    (False, False, True)
    >>> hand_of(("left.x", "left.finger_1"))
    (False, True)
    """
    return tuple(name.rpartition(".")[2].startswith(_HAND) for name in names)


def modes_of(hand: Sequence[bool], chosen: Mode) -> tuple[Mode, ...]:
    """Return the modes that a person may switch to, `chosen` first; arm and hand only where there are both."""
    offered = [Mode.TAKEOVER, Mode.RESIDUAL]
    if any(hand) and not all(hand):
        offered += [Mode.ARM, Mode.HAND]
    return (chosen, *(mode for mode in offered if mode is not chosen))


class Sharing:
    """The mode in force, the one that was asked for, and what the person added last. An arbiter has one.

    `gain` and `limit` are those of the residual.
    """

    def __init__(self, mode: Mode, hand: Sequence[bool], gain: float, limit: float) -> None:
        self.mode = self._wanted = mode
        self._modes, self._hand = modes_of(hand, mode), np.array(hand, bool)
        self._gain, self._limit = np.float32(gain), np.float32(limit)
        self._residual: Array | None = None

    @property
    def adds(self) -> bool:
        """Whether the person added to the policy in the intervention that is open."""
        return self._residual is not None

    def ask(self, name: str) -> None:
        """Ask for the mode called `name`, or the next one if it is empty; one that is not offered changes nothing."""
        if not name:
            self._wanted = self._modes[(self._modes.index(self._wanted) + 1) % len(self._modes)]
        else:
            self._wanted = next((mode for mode in self._modes if mode.value == name), self._wanted)

    def settle(self) -> None:
        """No intervention is open: what was asked for counts from now on."""
        self.mode, self._residual = self._wanted, None

    def combine(
        self, human: Array, proposal: Callable[[], Array | None], device_mask: Array | None
    ) -> tuple[Array, Array]:
        """Return action (A,) and authority of each dimension, uint8 (A,), for what an engaged person commands.

        `proposal` is asked only if it counts: a broken one must not take the robot from who drives everything.
        """
        if self.mode is Mode.RESIDUAL and (proposed := proposal()) is not None:
            self._residual = np.clip(self._gain * human, -self._limit, self._limit)
            return self.blend(proposed, 1.0)
        mask = self._personal(device_mask)
        if mask is None or mask.all():
            return human, np.full(len(human), Authority.HUMAN, np.uint8)
        proposed = proposal()
        if proposed is None and self.mode is not Mode.MASKED:  # a demonstration: nobody else would drive the rest
            return human, np.full(len(human), Authority.HUMAN, np.uint8)
        rest = np.zeros_like(human) if proposed is None else proposed
        owner = Authority.HOLD if proposed is None else Authority.POLICY
        return np.where(mask, human, rest), np.where(mask, np.uint8(Authority.HUMAN), np.uint8(owner))

    def blend(self, proposal: Array, share: float) -> tuple[Array, Array]:
        """Return `proposal` and a `share` of the last residual, clip(gain human, +-limit); one of 0 changes no bit.

        An action is a motion within one period, so what is added over an intervention comes to `gain` times the way
        that the person's hand has gone since it began.
        """
        assert self._residual is not None
        action = np.clip(proposal + np.float32(share) * self._residual, -1.0, 1.0)
        return action, np.full(len(action), Authority.BLENDED, np.uint8)

    def _personal(self, device_mask: Array | None) -> Array | None:
        """Return which dimensions the person drives, bool (A,), None for all.

        Of an arm and a hand that the device does not drive the person has neither.
        """
        if self.mode is Mode.MASKED:
            return device_mask
        if self.mode not in (Mode.ARM, Mode.HAND):
            return None
        own = self._hand if self.mode is Mode.HAND else ~self._hand
        return own if device_mask is None else own & device_mask
