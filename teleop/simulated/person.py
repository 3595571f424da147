"""The simulated person: a teleoperation device that watches, takes over, drives and lets go like a human."""

import logging
import math
from collections.abc import Callable, Mapping
from enum import Enum

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert import Expert, World, floats, to_action
from robot_hil.teleop.simulated.gates import Gate, Situation
from robot_hil.teleop.simulated.on_call import OnCall
from robot_hil.teleop.simulated.profile import Profile

_LOG = logging.getLogger(__name__)
_AR_GAIN = math.sqrt(3.0)
"""Makes d += (gain n - d) / 2 keep the standard deviation of n."""


class Mode(Enum):
    """What the person is doing."""

    WATCHING = "watching"
    REACTING = "reacting"
    DRIVING = "driving"


class SimulatedPerson:
    """A `TeleopDevice`. Call `begin_episode` at every reset and `latest` exactly once per control step.

    Equal seed, profile and worlds give equal samples, whatever happened in earlier episodes; only fatigue carries
    over, and `state` and `restore` carry it across processes.
    """

    def __init__(
        self, expert: Expert, gate: Gate, profile: Profile, world: Callable[[], World], clock: Clock,
        *, name: str = "simulated", operator: str = "simulated person",
    ) -> None:  # fmt: skip
        self._expert, self._gate, self._profile, self._world, self._clock = expert, gate, profile, world, clock
        self._name, self._operator = name, operator
        self._started = False
        self._worked = 0
        self._takeovers = 0
        self.begin_episode(0)

    @property
    def name(self) -> str:
        return self._name

    @property
    def mode(self) -> Mode:
        """What the person is doing now."""
        return self._mode

    @property
    def tiredness(self) -> float:
        """Fatigue in [0, 1)."""
        return self._profile.tiredness(self._worked)

    def start(self) -> None:
        self._started = True

    def stop(self) -> None:
        self._started = False

    def drain_events(self) -> list[TeleopEvent]:
        """Return nothing: this person presses no keys, the environment knows success by itself."""
        return []

    def begin_episode(self, seed: int) -> None:
        """Forget the last episode and draw this one's luck from `seed` alone."""
        decisions, hand, gate = (np.random.default_rng([seed, stream]) for stream in range(3))
        self._rng, self._hand = decisions, hand
        self._gate.reset(gate)
        self._lapsed = bool(decisions.random() >= self._profile.skill)
        self._mode = Mode.WATCHING
        self._proposal: Array | None = None
        self._delay = self._ignore = 0
        self._held = self._paused = self._blunder_left = 0
        self._episode_takeovers = 0
        self._cost_at_takeover = math.inf
        self._command, self._drift, self._blunder = ([0.0] * self._expert.action_dim for _ in range(3))
        self._misjudged = [0.0, 0.0, 0.0]
        self._lost_reported = False

    def come_when(self, called: Callable[[], bool]) -> None:
        """Take over while `called` says so, too, as soon as the hand is there."""
        self._gate = OnCall(self._gate, called)

    def observe_proposal(self, action: Array) -> None:
        """Tell what the policy is about to do in this step; optional, before `latest`."""
        self._proposal = action

    def state(self) -> dict[str, int]:
        """Return what outlives an episode: the work done so far."""
        return {"worked_steps": self._worked, "takeovers": self._takeovers}

    def restore(self, state: Mapping[str, int]) -> None:
        """Continue from `state()`."""
        if set(state) != {"worked_steps", "takeovers"} or any(v < 0 for v in state.values()):
            raise ConfigError(f"a person's state is worked_steps and takeovers, both >= 0; this is {dict(state)}.")
        self._worked, self._takeovers = int(state["worked_steps"]), int(state["takeovers"])

    def latest(self) -> TeleopSample:
        """Return this step's sample and move on by one step; LOST when the world cannot be read."""
        if not self._started:
            return self._sample(SampleStatus.DISCONNECTED)
        try:
            world = self._world()
            cost = self._expert.cost_to_go(world)
            proposal, self._proposal = self._proposal, None
            action = self._step(Situation(world=world, cost=cost, proposal=proposal))
        # A device never raises: whatever is wrong with the world, the loop must get LOST and hold.
        except Exception as problem:
            if not self._lost_reported:
                _LOG.exception("the simulated person cannot read the world: %r", problem)
            self._lost_reported = True
            return self._sample(SampleStatus.LOST)
        return self._sample(SampleStatus.OK, action)

    def _sample(self, status: SampleStatus, action: Array | None = None) -> TeleopSample:
        return TeleopSample(
            status=status, t=self._clock.now(), engaged=action is not None, action=action, device=self._name,
            operator=self._operator,
        )  # fmt: skip

    def _step(self, now: Situation) -> Array | None:
        if self._mode is Mode.DRIVING and self._lets_go(now):
            self._mode = Mode.WATCHING
            self._gate.restart()
        if self._mode is not Mode.DRIVING:
            self._watch(now)
        return self._drive(now.world) if self._mode is Mode.DRIVING else None

    def _watch(self, now: Situation) -> None:
        alarm = self._gate.alarm(now)
        if self._gate.always:
            self._take_over(now)
        elif self._mode is Mode.REACTING:
            self._delay -= 1
            if self._delay <= 0:
                if alarm:
                    self._take_over(now)
                else:  # it got better while the hand was on its way
                    self._mode = Mode.WATCHING
        elif self._ignore > 0:
            self._ignore -= 1
        elif alarm and self._episode_takeovers < self._profile.max_interventions:
            self._notice(now)

    def _notice(self, now: Situation) -> None:
        p, tired = self._profile, self.tiredness
        if self._rng.random() >= p.attention * (1.0 - p.fatigue_attention * tired):
            self._ignore = p.min_hold_steps
            return
        jitter = int(self._rng.integers(-p.reaction_jitter, p.reaction_jitter + 1))
        self._delay = max(0, p.reaction_steps + jitter) + round(p.fatigue_reaction * tired)
        self._mode = Mode.REACTING
        if self._delay == 0:
            self._take_over(now)

    def _take_over(self, now: Situation) -> None:
        self._mode = Mode.DRIVING
        self._held = self._paused = self._blunder_left = 0
        self._episode_takeovers += 1
        self._takeovers += not self._gate.always
        self._cost_at_takeover = now.cost
        self._command, self._drift = ([0.0] * self._expert.action_dim for _ in range(2))
        self._misjudged = self._misjudgement()

    def _lets_go(self, now: Situation) -> bool:
        p = self._profile
        if self._gate.always or self._held < p.min_hold_steps:
            return False
        # Whoever had to take over before in this episode carries it further next time.
        wanted = p.release_margin * self._episode_takeovers
        regained = now.cost <= max(0.0, self._cost_at_takeover - wanted)
        return (regained and self._expert.settled(now.world)) or self._held >= p.max_hold_steps

    def _drive(self, world: World) -> Array:
        p = self._profile
        self._held += 1
        self._worked += 1
        seen = self._perceive(world)
        wanted: list[float] = self._aim(seen).tolist()
        if not self._expert.pauses(seen):
            self._paused = 0
        elif self._paused < p.dwell_steps:
            self._paused += 1
            wanted = [0.0] * len(wanted)
        wanted = self._maybe_blunder(wanted)
        # Signal-dependent: an axis that moves little is held steadily, with some cross-talk from the others.
        effort = [min(1.0, abs(w) / p.speed) for w in wanted]
        still = 0.08 + 0.12 * max(effort[:3])
        noise = _AR_GAIN * p.noise * (1.0 + p.fatigue_noise * self.tiredness)
        draws: list[float] = self._hand.standard_normal(len(wanted)).tolist()
        for i, draw in enumerate(draws):
            change = wanted[i] - self._command[i]
            limit = max(p.slew, (1.0 - p.smoothing) * abs(change))
            self._command[i] += max(-limit, min(limit, change))
            self._drift[i] += 0.5 * (noise * (still + 0.8 * effort[i]) * draw - self._drift[i])
        return to_action([c + d for c, d in zip(self._command, self._drift, strict=True)])

    def _aim(self, seen: World) -> Array:
        """Return where a hand without inertia and noise would pull, (A,) in [-1, 1]."""
        return self._expert.action(seen, self._profile.speed)

    def _maybe_blunder(self, wanted: list[float]) -> list[float]:
        p = self._profile
        if self._blunder_left == 0 and self._hand.random() < p.blunder_rate:
            self._blunder_left = p.blunder_steps
            direction = self._hand.standard_normal(len(wanted))
            self._blunder = (p.speed / np.linalg.norm(direction) * direction).tolist()
        if self._blunder_left == 0:
            return wanted
        self._blunder_left -= 1
        return self._blunder

    def _perceive(self, world: World) -> World:
        if not any(self._misjudged):
            return world
        key = self._expert.goal_key
        return {**world, key: [a + b for a, b in zip(floats(world[key]), self._misjudged, strict=True)]}

    def _misjudgement(self) -> list[float]:
        """Return how far off the goal is seen from this takeover on: by the person's bias, by a lapse farther."""
        off = [0.0, 0.0, 0.0]
        axes, tolerance, p = self._expert.misjudged, self._expert.tolerance, self._profile
        off[axes[0]] = p.bias * tolerance
        wrong = p.wrong_corrections > 0.0 and not self._gate.always and self._hand.random() < p.wrong_corrections
        if self._lapsed or wrong:
            angle = self._hand.uniform(0.0, 2.0 * math.pi)
            size = tolerance * self._hand.uniform(1.5, 2.5)
            parts = (math.cos(angle), math.sin(angle))[: len(axes)]
            for axis, part in zip(axes, parts, strict=True):
                off[axis] += size * part / math.hypot(*parts)
        return off
