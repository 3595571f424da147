"""Several arms, one arbiter each: taking over one leaves the others as they are configured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, Decision
from robot_hil.actor.sharing import Mode
from robot_hil.data.specs import Array
from robot_hil.data.step import Authority
from robot_hil.data.teleop import TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError

_GRAVITY = (
    ArbiterState.ESTOP, ArbiterState.HOLD, ArbiterState.HUMAN, ArbiterState.ENGAGING, ArbiterState.RELEASING,
    ArbiterState.POLICY,
)  # fmt: skip
"""States by how much an operator must know of them."""


class FreeArm(Enum):
    """What an arm does while the person drives another one."""

    POLICY = "policy"
    """Its policy goes on."""
    HOLD = "hold"
    """It stands until nobody drives."""


def arms_of(names: Sequence[str]) -> dict[str, slice]:
    """Return the dimensions of each arm from action names such as `left.x`, in their order; empty for one arm.

    >>> arms_of(("left.x", "left.gripper", "right.x"))
    {'left': slice(0, 2, None), 'right': slice(2, 3, None)}
    >>> arms_of(("x", "y"))
    {}
    """
    owners = [name.partition(".")[0] if "." in name else "" for name in names]
    arms: dict[str, slice] = {}
    for i, owner in enumerate(owners):
        if owner in arms and arms[owner].stop != i:
            raise ConfigError(f"the dimensions of arm {owner!r} are not next to each other: {list(names)}.")
        arms[owner] = slice(arms[owner].start if owner in arms else i, i + 1)
    if "" in arms and len(arms) > 1:
        raise ConfigError(f"action names {list(names)} name arms for some dimensions only; write ARM.AXIS for all.")
    return {} if "" in arms else arms


class ArmsArbiter:
    """Decides as `Arbiter` does, for each arm by itself; loss of the device, pause and e-stop concern all of them.

    `TeleopSample.mask` says which dimensions the person drives, None all: an arm is engaged when it has one of them.
    The step's intervention is open while that of any arm is. `config.action_dim` is the sum over arms.
    """

    def __init__(self, config: ArbiterConfig, arms: Mapping[str, slice], free: FreeArm = FreeArm.POLICY) -> None:
        sizes = [part.stop - part.start for part in arms.values()]
        if not arms or sum(sizes) != config.action_dim:
            raise ConfigError(f"arms {dict(arms)} do not share out the {config.action_dim} dimensions of an action.")
        self.config = config
        self._arms = dict(arms)
        self._free = free
        self._arbiters = {
            name: Arbiter(replace(config, action_dim=size, hand=config.hand[part] if config.hand else ()))
            for (name, part), size in zip(arms.items(), sizes, strict=True)
        }
        self._next_id = 0
        self._open = self._keeps = self._kept = False

    @property
    def state(self) -> ArbiterState:
        """The gravest state of any arm."""
        states = {arbiter.state for arbiter in self._arbiters.values()}
        return next(state for state in _GRAVITY if state in states)

    @property
    def states(self) -> dict[str, ArbiterState]:
        """State of each arm."""
        return {name: arbiter.state for name, arbiter in self._arbiters.items()}

    @property
    def reason(self) -> str:
        """Why an arm is held or stopped; else empty."""
        return next((arbiter.reason for arbiter in self._arbiters.values() if arbiter.reason), "")

    @reason.setter
    def reason(self, text: str) -> None:
        for arbiter in self._arbiters.values():
            arbiter.reason = text

    @property
    def mode(self) -> Mode:
        """See `Arbiter.mode`; that of an arm with an intervention stays until it is over."""
        return next(iter(self._arbiters.values())).mode

    @property
    def hold_requested(self) -> bool:
        """See `Arbiter.hold_requested`."""
        return any(arbiter.hold_requested for arbiter in self._arbiters.values())

    def request_hold(self, reason: str) -> None:
        """See `Arbiter.request_hold`."""
        for arbiter in self._arbiters.values():
            arbiter.request_hold(reason)

    def begin_episode(self, attended: bool = True, keeps: bool = False) -> None:
        """See `Arbiter.begin_episode`; the first arm that is taken over keeps the others standing, too."""
        self._next_id, self._open = 0, False
        self._keeps, self._kept = keeps, False
        for arbiter in self._arbiters.values():
            arbiter.begin_episode(attended, keeps)

    def forget_device(self) -> None:
        """See `Arbiter.forget_device`."""
        for arbiter in self._arbiters.values():
            arbiter.forget_device()

    def emergency_stop(self, reason: str) -> None:
        """See `Arbiter.emergency_stop`."""
        for arbiter in self._arbiters.values():
            arbiter.emergency_stop(reason)

    def clear_estop(self, reason: str) -> None:
        """See `Arbiter.clear_estop`."""
        for arbiter in self._arbiters.values():
            arbiter.clear_estop(reason)

    def update(
        self, now: float, proposal: Array | None, sample: TeleopSample, events: Sequence[TeleopEvent] = ()
    ) -> Decision:
        """Decide for this period, as `Arbiter.update`, for all arms."""
        decisions = {
            name: self._arbiters[name].update(now, _part(proposal, part), self._share(sample, part), events)
            for name, part in self._arms.items()
        }
        was_open = self._open
        self._open = any(decision.intervention_id >= 0 for decision in decisions.values())
        onset = self._open and not was_open
        self._next_id += onset
        self._kept |= self._keeps and self._open
        driven = any(decision.state is ArbiterState.HUMAN for decision in decisions.values())
        action, authority = [], []
        for decision in decisions.values():
            free = decision.state is ArbiterState.POLICY
            stands = free and (self._kept or (driven and self._free is FreeArm.HOLD))
            action.append(np.zeros_like(decision.action) if stands else decision.action)
            authority.append(np.full_like(decision.authority, Authority.HOLD) if stands else decision.authority)
        opened = [decision for decision in decisions.values() if decision.intervention_id >= 0]
        return Decision(
            action=np.concatenate(action),
            authority=np.concatenate(authority),
            state=self.state,
            intervention_id=self._next_id - 1 if self._open else -1,
            onset=onset,
            closes_previous=was_open and not self._open,
            release_tail=bool(opened) and all(decision.release_tail for decision in opened),
            reason=self.reason,
        )

    def _share(self, sample: TeleopSample, part: slice) -> TeleopSample:
        """Return what the sample says to one arm; a malformed one is passed on whole, for the arbiter to refuse."""
        action, mask = sample.action, sample.mask
        whole = (self.config.action_dim,)
        if (action is not None and np.shape(action) != whole) or (mask is not None and np.shape(mask) != whole):
            return sample
        driven = mask is None or bool(mask[part].any())
        return replace(
            sample,
            engaged=sample.engaged and driven,
            action=None if action is None or not driven else action[part],
            mask=None if mask is None or not driven else mask[part],
        )


def _part(proposal: Array | None, part: slice) -> Array | None:
    """Return one arm's part of a proposal; one of another shape as it is, for the arbiter to refuse."""
    if proposal is None or np.ndim(proposal) != 1:
        return proposal
    return proposal[part]


AnyArbiter = Arbiter | ArmsArbiter
"""Of one arm or of several: a loop need not know."""
