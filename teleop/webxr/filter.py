"""The one-euro filter for poses: calm at rest, quick in motion."""

from math import hypot, pi
from typing import NamedTuple

from robot_hil.data.rotation import Quat, Vec, difference, from_rotvec, multiply
from robot_hil.teleop.webxr.pose import HandPose


class FilterConfig(NamedTuple):
    """Cut-off frequency = `min_cutoff` + beta x speed; noise of 0.5 mm is halved at rest, 0.1 m/s lags 15 ms."""

    min_cutoff: float = 1.0
    """At rest [Hz]; infinity turns the filter off."""
    beta: float = 100.0
    """Of positions [Hz per m/s]."""
    beta_rotation: float = 20.0
    """Of orientations [Hz per rad/s]."""
    speed_cutoff: float = 3.0
    """For the estimate of the speed [Hz]."""


class PoseFilter:
    """Filters one hand's pose. The first pose after `reset` comes through unchanged."""

    def __init__(self, config: FilterConfig) -> None:
        self._config = config
        self._t = 0.0
        self._pose: HandPose | None = None
        self._raw: HandPose | None = None
        self._velocity: Vec = (0.0, 0.0, 0.0)
        self._spin: Vec = (0.0, 0.0, 0.0)

    def reset(self) -> None:
        """Forget the past."""
        self._pose = self._raw = None
        self._velocity = self._spin = (0.0, 0.0, 0.0)

    def __call__(self, t: float, raw: HandPose) -> HandPose:
        """Return the filtered pose for the `raw` one made at `t` [s], later than the last."""
        if self._pose is None or self._raw is None:
            self._t, self._pose, self._raw = t, raw, raw
            return raw
        dt = max(t - self._t, 1e-4)
        config = self._config
        share = _share(config.speed_cutoff, dt)
        self._velocity = _blend(self._velocity, _difference(raw.pos, self._raw.pos, dt), share)
        turned = difference(raw.quat, self._raw.quat)
        self._spin = _blend(self._spin, (turned[0] / dt, turned[1] / dt, turned[2] / dt), share)
        pos = _blend(self._pose.pos, raw.pos, _share(config.min_cutoff + config.beta * hypot(*self._velocity), dt))
        quat = _slerp(
            self._pose.quat, raw.quat, _share(config.min_cutoff + config.beta_rotation * hypot(*self._spin), dt)
        )
        self._t, self._raw, self._pose = t, raw, HandPose(pos, quat)
        return self._pose


def _share(cutoff: float, dt: float) -> float:
    """Return the weight of a new value in a first-order low-pass."""
    return 1.0 if cutoff == float("inf") else 1.0 / (1.0 + 1.0 / (2 * pi * cutoff * dt))


def _difference(a: Vec, b: Vec, dt: float) -> Vec:
    return (a[0] - b[0]) / dt, (a[1] - b[1]) / dt, (a[2] - b[2]) / dt


def _blend(a: Vec, b: Vec, share: float) -> Vec:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])


def _slerp(a: Quat, b: Quat, share: float) -> Quat:
    x, y, z = difference(b, a)
    return multiply(from_rotvec((share * x, share * y, share * z)), a)
