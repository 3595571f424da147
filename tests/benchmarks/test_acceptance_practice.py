"""The acceptance experiments of progress and practice: episodes in pictures, figures, and a judge that is misled."""

import sys
from pathlib import Path

import numpy as np

from robot_hil.data.reward import Judgement
from robot_hil.policies.reward.progress import Trace

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "acceptance"))

from progress import HOLD, Seen, done, play, played
from reset_free import HalfOld, Misled, pictures


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


def test_a_misled_judge_confirms_what_looked_like_a_success_twice_running():
    always = Misled(Never(), 0.5, 1.0, np.random.default_rng(0))
    assert [always.judge({}).confirmed for _ in range(3)] == [False, True, True]
    always.begin_episode()
    assert not always.judge({}).confirmed
    seldom = Misled(Never(), 0.5, 0.05, np.random.default_rng(0))
    assert 0 < sum(seldom.judge({}).confirmed for _ in range(4000)) < 40
    assert not any(Misled(Never(), 0.5, 0.0, np.random.default_rng(0)).judge({}).confirmed for _ in range(50))


def test_half_of_what_is_imitated_is_demonstrations():
    assert HalfOld().share({"demo": 10, "online": 1000}, 5) == {"demo": 0.5, "intervention": 0.0, "online": 0.5}
