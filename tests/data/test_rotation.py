"""Quaternion arithmetic against scipy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robot_hil.data import rotation

vectors = st.tuples(*[st.floats(-1.8, 1.8, allow_subnormal=False) for _ in range(3)])


def scipy_of(q: rotation.Quat) -> Rotation:
    return Rotation.from_quat([q[1], q[2], q[3], q[0]])


@given(vectors, vectors)
def test_product_and_rotation_agree_with_scipy(a: rotation.Vec, b: rotation.Vec) -> None:
    p, q = rotation.from_rotvec(a), rotation.from_rotvec(b)
    wanted = Rotation.from_rotvec(a) * Rotation.from_rotvec(b)
    assert np.allclose(scipy_of(rotation.multiply(p, q)).as_matrix(), wanted.as_matrix(), atol=1e-9)
    assert np.allclose(rotation.rotate(p, b), Rotation.from_rotvec(a).apply(b), atol=1e-9)


@given(vectors)
def test_rotation_vector_comes_back(v: rotation.Vec) -> None:
    q = rotation.from_rotvec(v)
    again = rotation.from_rotvec(rotation.to_rotvec(q))
    assert np.allclose(scipy_of(again).as_matrix(), scipy_of(q).as_matrix(), atol=1e-9)
    assert np.allclose(rotation.to_rotvec(q), rotation.to_rotvec(tuple(-x for x in q)), atol=1e-6) or np.isclose(
        np.linalg.norm(rotation.to_rotvec(q)), np.pi, atol=1e-6
    )


@given(vectors, vectors)
def test_difference_leads_from_one_to_the_other(a: rotation.Vec, b: rotation.Vec) -> None:
    p, q = rotation.from_rotvec(a), rotation.from_rotvec(b)
    led = rotation.multiply(rotation.from_rotvec(rotation.difference(p, q)), q)
    assert abs(sum(x * y for x, y in zip(led, p, strict=True))) > 1 - 1e-9
