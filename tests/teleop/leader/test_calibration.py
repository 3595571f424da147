"""From ticks to angles: zeros, signs, turns, the trigger, and the file."""

import math
from pathlib import Path

import numpy as np
import pytest

from robot_hil.errors import ConfigError
from robot_hil.teleop.leader.calibration import (
    RAD_PER_TICK,
    TURN,
    Calibration,
    GripperServo,
    JointServo,
    calibrate,
    find_signs,
)

GRIPPER = GripperServo(id=8, open_tick=1000, closed_tick=2000)
POSE = (0.0, 0.3, 0.0, -2.4, 0.0, 2.7, 0.8)
SIGNS = (1, -1, 1, -1, 1, 1, -1)


def arm() -> Calibration:
    return calibrate(range(1, 8), [2048, 100, 4000, 0, 4095, 3000, -5000], POSE, SIGNS, GRIPPER)


def test_the_known_pose_comes_out_again() -> None:
    angles = arm().joint_pos([2048, 100, 4000, 0, 4095, 3000, -5000])
    assert angles == pytest.approx(POSE, abs=RAD_PER_TICK)


def test_signs_and_scale() -> None:
    two = Calibration(joints=(JointServo(id=1, zero_tick=2048), JointServo(id=2, zero_tick=2048, sign=-1)))
    assert two.joint_pos([3072, 3072]) == pytest.approx((math.pi / 2, -math.pi / 2))


@pytest.mark.parametrize("turns", [-3, -1, 0, 1, 15])
def test_a_servo_that_forgot_its_turn_is_taken_next_to_the_middle(turns: int) -> None:
    ticks = [tick + turns * TURN for tick in (2048, 100, 4000, 0, 4095, 3000, -5000)]
    assert arm().joint_pos(ticks) == pytest.approx(POSE, abs=RAD_PER_TICK)


def test_angles_go_on_over_the_wrap_of_the_ticks() -> None:
    one = Calibration(joints=(JointServo(id=1, zero_tick=2048),))
    before = one.joint_pos([4090])
    after = one.joint_pos([4 - 0], before)  # 10 ticks on, counted from 0 again
    assert after[0] - before[0] == pytest.approx(10 * RAD_PER_TICK)
    back = one.joint_pos([4090], after)
    assert back == pytest.approx(before)


@pytest.mark.parametrize(
    ("tick", "squeeze"), [(1000, 0.0), (1500, 0.5), (2000, 1.0), (900, 0.0), (2100, 1.0), (1500 - TURN, 0.5)]
)
def test_the_trigger_is_a_share_of_its_way(tick: int, squeeze: float) -> None:
    one = Calibration(joints=(JointServo(id=1, zero_tick=0),), gripper=GRIPPER)
    assert one.squeeze([0, tick]) == pytest.approx(squeeze)
    turned = Calibration(joints=one.joints, gripper=GripperServo(id=8, open_tick=2000, closed_tick=1000))
    assert turned.squeeze([0, tick]) == pytest.approx(1 - squeeze)


def test_an_arm_without_trigger_squeezes_nothing() -> None:
    assert Calibration(joints=(JointServo(id=1, zero_tick=0),)).squeeze([0]) is None


def test_the_file_gives_the_same_calibration(tmp_path: Path) -> None:
    for calibration in (arm(), Calibration(joints=arm().joints)):
        calibration.save(tmp_path / "leader.toml")
        assert Calibration.load(tmp_path / "leader.toml") == calibration
    assert np.asarray(calibration.ids).tolist() == list(range(1, 8))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[joint]]\nid = 1", "zero_tick"),
        ("[[joint]]\nid = 1\nzero_tick = 0\ncolour = 3", "colour"),
        ("[gripper", "damaged"),
        ("", "joint"),
        ("[[joint]]\nid = 300\nzero_tick = 0", "300"),
        ("[[joint]]\nid = 1\nzero_tick = 0\nsign = 2", "sign 2"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "leader.toml").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        Calibration.load(tmp_path / "leader.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        Calibration.load(tmp_path / "nowhere.toml")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="7 ids, 1 ticks"):
        calibrate(range(7), [0], POSE, SIGNS)
    with pytest.raises(ConfigError, match="differ"):
        Calibration(joints=(JointServo(id=1, zero_tick=0), JointServo(id=1, zero_tick=0)))
    with pytest.raises(ConfigError, match="apart"):
        GripperServo(id=8, open_tick=1000, closed_tick=1001)
    with pytest.raises(ConfigError, match="without joints"):
        Calibration(joints=())


def test_signs_come_from_two_poses_also_over_the_wrap() -> None:
    moved = [0.5, 0.5, -0.5, -0.5]
    ticks = [2048, 2048, 10, 4090]
    other = [2048 + 326, 2048 - 326, (10 - 326) % TURN, (4090 + 326) % TURN]
    assert find_signs(ticks, [0.0] * 4, other, moved) == (1, -1, 1, -1)
    with pytest.raises(ConfigError, match=r"joint 2 moved by 0\.10 rad"):
        find_signs(ticks[:2], [0.0] * 2, other[:2], [0.5, 0.1])
    with pytest.raises(ConfigError, match="joint 1"):
        find_signs(ticks[:1], [0.0], [2048 + 326], [1.5])
