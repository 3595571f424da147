"""Unit quaternions (wxyz) as tuples of Python floats: ten times faster than small numpy arrays in the control loop."""

from collections.abc import Sequence
from math import acos, atan2, cos, sin, sqrt

Quat = tuple[float, float, float, float]
Vec = tuple[float, float, float]


def multiply(a: Sequence[float], b: Sequence[float]) -> Quat:
    """Return the rotation `b` followed by `a`, both in the same fixed frame; the result has unit norm."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    w = aw * bw - ax * bx - ay * by - az * bz
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    return unit((w, x, y, z))


def unit(q: Sequence[float]) -> Quat:
    """Return `q` with norm 1."""
    w, x, y, z = q
    scale = 1.0 / sqrt(w * w + x * x + y * y + z * z)
    return w * scale, x * scale, y * scale, z * scale


def conjugate(q: Sequence[float]) -> Quat:
    """Return the inverse rotation."""
    return q[0], -q[1], -q[2], -q[3]


def from_rotvec(v: Sequence[float]) -> Quat:
    """Return the rotation by |v| rad about v; the identity for the zero vector."""
    angle = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    if angle < 1e-12:
        return 1.0, 0.5 * v[0], 0.5 * v[1], 0.5 * v[2]
    scale = sin(0.5 * angle) / angle
    return cos(0.5 * angle), v[0] * scale, v[1] * scale, v[2] * scale


def to_rotvec(q: Sequence[float]) -> Vec:
    """Return axis times angle [rad], the angle in [0, pi]."""
    w, x, y, z = q if q[0] >= 0 else (-q[0], -q[1], -q[2], -q[3])
    norm = sqrt(x * x + y * y + z * z)
    if norm < 1e-12:
        return 2.0 * x, 2.0 * y, 2.0 * z
    scale = 2.0 * atan2(norm, w) / norm
    return x * scale, y * scale, z * scale


def difference(a: Sequence[float], b: Sequence[float]) -> Vec:
    """Return the rotation vector, in the fixed frame, that leads from `b` to `a` [rad]."""
    return to_rotvec(multiply(a, conjugate(b)))


def angle_between(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the angle between two orientations [rad]; q and -q are the same."""
    return 2.0 * acos(min(1.0, abs(sum(x * y for x, y in zip(a, b, strict=True)))))


def rotate(q: Sequence[float], v: Sequence[float]) -> Vec:
    """Return `v` turned by `q`."""
    w, x, y, z = q
    vx, vy, vz = v
    tx, ty, tz = 2.0 * (y * vz - z * vy), 2.0 * (z * vx - x * vz), 2.0 * (x * vy - y * vx)
    return vx + w * tx + y * tz - z * ty, vy + w * ty + z * tx - x * tz, vz + w * tz + x * ty - y * tx
