"""How a simulated person behaves: skill, pace, hand, attention, patience. Numbers only."""

from dataclasses import dataclass, fields, replace

from robot_hil.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of person. Times are control steps (0.1 s at 10 Hz)."""

    speed: float = 0.35
    """Largest deflection used in free space, share of full scale, in (0, 1]."""
    dwell_steps: int = 5
    """Pause before a delicate move (closing on the cube, entering the hole)."""
    smoothing: float = 0.5
    """Share of a change of command larger than `slew` that waits for the next step, in [0, 1): the hand has inertia."""
    slew: float = 0.15
    """Change of command per step that is followed at once, share of full scale."""
    noise: float = 0.08
    """Standard deviation of the hand's correlated noise, share of full scale."""
    skill: float = 1.0
    """Probability that an episode is no lapse; in a lapse the person sees the goal too far off to succeed."""
    bias: float = 0.0
    """The goal is always seen this many tolerances off, to one side."""
    wrong_corrections: float = 0.0
    """Probability that a takeover is a lapse, apart from `skill`; demonstrations are spared."""
    blunder_rate: float = 0.005
    """Probability per driven step that a short push in a wrong direction begins."""
    blunder_steps: int = 3
    """Length of such a push."""
    reaction_steps: int = 3
    """Delay between noticing and taking over."""
    reaction_jitter: int = 1
    """The delay varies uniformly by at most this many steps."""
    min_hold_steps: int = 8
    """A takeover lasts at least this long."""
    max_hold_steps: int = 60
    """A takeover lasts at most this long, then the person lets the robot try; demonstrations know no limit."""
    release_margin: float = 5.0
    """Progress (expert steps) won before letting go; grows with every takeover in the same episode."""
    attention: float = 1.0
    """Probability to answer an alarm; one that is ignored is looked at again after `min_hold_steps`."""
    max_interventions: int = 10
    """Takeovers per episode the person is willing to make."""
    fatigue_steps: float = 20_000.0
    """Driven steps after which the person is half tired."""
    fatigue_noise: float = 1.0
    """Relative growth of the noise when fully tired."""
    fatigue_reaction: float = 4.0
    """Extra delay when fully tired [steps]."""
    fatigue_attention: float = 0.5
    """Share of the attention lost when fully tired."""

    def __post_init__(self) -> None:
        shares = ("skill", "attention", "wrong_corrections", "blunder_rate", "fatigue_attention")
        for name in shares:
            self._demand(name, 0.0 <= getattr(self, name) <= 1.0, "a number in [0, 1]")
        self._demand("speed", 0.0 < self.speed <= 1.0, "a number in (0, 1]")
        self._demand("smoothing", 0.0 <= self.smoothing < 1.0, "a number in [0, 1)")
        self._demand("fatigue_steps", self.fatigue_steps > 0.0, "a number above 0")
        self._demand("min_hold_steps", self.min_hold_steps >= 1, "a whole number of at least 1")
        self._demand("max_hold_steps", self.max_hold_steps >= self.min_hold_steps, "at least min_hold_steps")
        for field in fields(self):
            self._demand(field.name, getattr(self, field.name) >= 0, "a number of at least 0")

    def _demand(self, name: str, good: bool, allowed: str) -> None:
        if not good:
            raise ConfigError(f"profile value {name}={getattr(self, name)} cannot work. Give {allowed}.")

    def tiredness(self, worked_steps: int) -> float:
        """Return fatigue in [0, 1) after `worked_steps` driven steps: w / (w + fatigue_steps)."""
        return worked_steps / (worked_steps + self.fatigue_steps)


CAREFUL = Profile()
"""The default: slow and steady, never fails."""
COMPETENT = Profile(speed=0.7, dwell_steps=1, noise=0.12, blunder_rate=0.01, reaction_steps=2)
"""Quick, a little rough."""
STEADY = Profile(speed=0.5, dwell_steps=2, noise=0.1, reaction_steps=2, release_margin=3.0)
"""Between the two: a practised operator who takes no risks."""
SIXTY_PERCENT = Profile(skill=0.62, noise=0.09, blunder_rate=0.01, reaction_steps=4)
"""Succeeds in about six of ten demonstrations."""
THIRTY_PERCENT = Profile(skill=0.32, noise=0.1, blunder_rate=0.015, reaction_steps=5)
"""Succeeds in about three of ten demonstrations."""
BIASED = Profile(speed=0.7, dwell_steps=0, noise=0.2, bias=1.3, blunder_rate=0.15, blunder_steps=1, reaction_steps=3)
"""Sees the goal a little farther off than can succeed and blunders often: about six of ten on the toy peg, by luck."""
POOR = Profile(speed=0.5, noise=0.2, wrong_corrections=0.3, blunder_rate=0.02, reaction_steps=5, reaction_jitter=2)
"""Half a second late, with an unsteady hand; three of ten corrections go wrong."""
DELAYED = replace(COMPETENT, reaction_steps=10, reaction_jitter=2)
"""Competent, but a second late."""
NOISY = replace(COMPETENT, noise=0.3)
"""Competent, but with an unsteady hand."""
TIRED = replace(COMPETENT, fatigue_steps=300.0)
"""Competent, but soon tired: unsteady, late and inattentive after a few hundred driven steps."""

PROFILES = {
    "careful": CAREFUL,
    "competent": COMPETENT,
    "steady": STEADY,
    "sixty_percent": SIXTY_PERCENT,
    "thirty_percent": THIRTY_PERCENT,
    "biased": BIASED,
    "poor": POOR,
    "delayed": DELAYED,
    "noisy": NOISY,
    "tired": TIRED,
}
"""Presets by name."""
