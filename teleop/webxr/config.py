"""Settings of the headset's device."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

from robot_hil.errors import ConfigError
from robot_hil.teleop.webxr.filter import FilterConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class WebXRConfig:
    """How hands drive the robot, and when they may not."""

    hand: Literal["", "left", "right"] = ""
    """Which hand drives a single arm; empty: whichever squeezes first."""
    facing: float = 0.0
    """Direction that is *away from the operator*, about the base's z axis [rad]: 0 for an operator behind the robot's
    base, pi for one who faces the robot."""
    keep_heading: bool = False
    """False: the operator's heading is taken at each squeeze. True: at the first, and when a stick is clicked: for
    an operator who looks aside, at a screen."""
    scale: float = 1.0
    """Metres of the tool per metre of the hand; rotations are always one to one."""
    lead_s: float = 0.1
    """How long the arm may go on at full speed after a hand that ran ahead of it stopped [s]."""
    filter: FilterConfig = FilterConfig()
    silence_s: float = 0.12
    """Longest time without a valid frame [s]."""
    max_age_s: float = 0.2
    """Largest age of the newest frame, by the page's clock [s]."""
    max_hand_speed: float = 2.0
    """A hand that is faster jumped: tracking failed [m/s]."""
    max_hand_spin: float = 25.0
    """The same for its orientation [rad/s]."""

    def __post_init__(self) -> None:
        if self.hand not in ("", "left", "right"):
            raise ConfigError(f"hand is {self.hand!r}; choose 'left', 'right' or '' for whichever squeezes first.")
        if not isfinite(self.facing):
            raise ConfigError(f"facing is {self.facing}; give an angle in radians.")
        if not 0 < self.scale <= 10:
            raise ConfigError(f"scale is {self.scale}; give metres of the tool per metre of the hand, up to 10.")
        times = (self.lead_s, self.silence_s, self.max_age_s)
        if not all(0 < t <= 1 for t in times):
            raise ConfigError(f"lead_s, silence_s and max_age_s are {times}; give times above 0, at most 1 s.")
        if not (0 < self.max_hand_speed < inf and 0 < self.max_hand_spin < inf):
            raise ConfigError(
                f"max_hand_speed is {self.max_hand_speed}, max_hand_spin {self.max_hand_spin}; give limits above 0."
            )
        if not (self.filter.min_cutoff > 0 and self.filter.speed_cutoff > 0 and min(self.filter[1:3]) >= 0):
            raise ConfigError(f"{self.filter}: cut-off frequencies must be above 0, beta and beta_rotation at least 0.")
