"""What an array must be to pass."""

import numpy as np
import pytest

from robot_hil.data.specs import ArraySpec
from robot_hil.errors import SpecError

SPECS = [
    ArraySpec(shape=(4,)),
    ArraySpec(shape=(3,), low=-1.0, high=0.5),
    ArraySpec(shape=(6, 5, 3), dtype="uint8"),
    ArraySpec(shape=(7,), dtype="float16", variants=3),
    ArraySpec(shape=(2, 2, 3), dtype="uint8", variants=2),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_sample_is_valid_and_of_the_full_shape(spec):
    value = spec.sample(np.random.default_rng(0))
    assert value.shape == spec.full_shape == ((spec.variants,) if spec.variants else ()) + spec.shape
    assert value.dtype == spec.dtype
    assert spec.validate(value) is value
    assert spec.drawn.validate(value[0] if spec.variants else value).shape == spec.shape


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_another_shape_or_type_is_refused(spec):
    value = spec.sample(np.random.default_rng(0))
    with pytest.raises(SpecError, match=r"x is .*the specification says"):
        spec.validate(value[None], "x")
    with pytest.raises(SpecError, match="float64"):
        spec.validate(value.astype(np.float64))
    with pytest.raises(SpecError, match="list"):
        spec.validate(value.tolist())


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(dtype, bad):
    value = np.zeros((2, 8), dtype)
    spec = ArraySpec(shape=(8,), dtype=dtype, variants=2)
    assert spec.validate(np.full_like(value, 60_000)) is not None
    value[1, 7] = bad
    with pytest.raises(SpecError, match="NaN or infinity"):
        spec.validate(value)


@pytest.mark.parametrize("bad", [-1.01, 0.51])
def test_what_lies_outside_the_limits_is_refused(bad):
    spec = ArraySpec(shape=(3,), low=-1.0, high=0.5)
    assert spec.validate(np.array([-1.0, 0.5, 0.0], np.float32)) is not None
    with pytest.raises(SpecError, match=r"allowed are values in \[-1.0, 0.5\]"):
        spec.validate(np.array([0, bad, 0], np.float32))
