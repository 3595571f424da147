"""The acceptance experiments of progress and practice: episodes in pictures, figures, and a judge that is misled."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_hil.data.reward import Judgement
from robot_hil.experiments import registry
from robot_hil.policies.reward.progress import Trace

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "acceptance"))

from progress import HOLD, Seen, done, play, played
from reset_free import CONFIRMED, Misled, pictures

from runs import first, trained


def trace(confirmed: list[bool]) -> Trace:
    zeros = np.zeros(len(confirmed))
    return Trace(deltas=zeros[1:], values=zeros, done=zeros, confirmed=np.array(confirmed))


def seen(success: list[bool]) -> Seen:
    return Seen(frames=tuple({} for _ in success), success=np.array(success), jammed=-1)


def test_a_good_episode_is_held_at_its_success_and_a_bad_one_jams():
    (good,), (bad,) = played(1, 100, good=True), played(1, 100, good=False)
    assert good.success.tolist() == [False] * good.until + [True] * HOLD
    assert good.frames[0]["front"].shape == (64, 64, 3)
    assert not bad.success.any()
    assert bad.frames[bad.jammed]["proprio"][2] == 1.0
    assert all(obs["proprio"][2] == 0.0 for obs in bad.frames[: bad.jammed])


def test_the_way_back_can_be_seen_too():
    back = play(100, 1.0, "return")
    assert back.frames[0]["proprio"][3] == -1.0
    assert back.frames[back.until]["proprio"][1] >= 3.0  # 0.1 m


def test_done_counts_frames_and_forgives_the_first():
    win = [False, False, True, True, True]
    assert done([seen(win)], [trace([False, False, False, True, True])], []) == (1.0, 1.0)
    assert done([seen(win)], [trace([False, True, True, True, False])], [trace([True, True])]) == (0.4, 2 / 3)


def test_pictures_are_of_both_goals_and_enough():
    found = pictures(100, successes=12, failures=30)
    assert {goal for goal, _ in found} == {"insert", "return"}
    assert sum(int(one.success.sum()) for _, one in found) >= 12


class Never:
    """A judge to whom nothing is a success."""

    version = 1

    def begin_episode(self) -> None:
        """Nothing to forget."""

    def judge(self, obs: dict[str, np.ndarray]) -> Judgement:
        return Judgement(probability=0.1, confirmed=False, reward=0.0)


def test_a_misled_judge_confirms_what_looked_like_a_success_often_enough_running():
    always = Misled(Never(), 0.5, 1.0, np.random.default_rng(0))
    assert [always.judge({}).confirmed for _ in range(CONFIRMED + 1)] == [False] * (CONFIRMED - 1) + [True, True]
    always.begin_episode()
    assert not always.judge({}).confirmed
    often = Misled(Never(), 0.5, 0.3, np.random.default_rng(0))
    assert 10 < sum(often.judge({}).confirmed for _ in range(4000)) < 60  # 0.3 ** 4 of them
    assert not any(Misled(Never(), 0.5, 0.0, np.random.default_rng(0)).judge({}).confirmed for _ in range(50))


def test_a_training_is_tried_along_the_way_and_stops_where_it_is_good_enough(tmp_path):
    task = registry.get("peg_slot")
    small = replace(
        task, backend="torch", demos=1, agent=replace(task.agent, hidden=(8,)),
        person=replace(task.person, gate="never"), goal=replace(task.goal, check_episodes=0),
        learner=replace(task.learner, clone_updates=2, batch_size=8, rounds_per_step=0.01),
    )  # fmt: skip
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        points = trained(small, tmp_path / "run", 100, (60, 170), 1)
        again = trained(small, tmp_path / "other", 100, (60, 170), 1, until=0.0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert [point.env_steps >= limit for point, limit in zip(points, (60, 170), strict=True)] == [True, True]
    assert again == points[:1]  # and the same seed is the same run
    assert points[0].episodes == 1
    assert points[0].human_steps == 0
    assert first(points, 2.0) is None
    assert first(points, 0.0) == points[0]
