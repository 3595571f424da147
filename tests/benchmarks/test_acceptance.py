"""The acceptance experiments' bench: episodes, imitation, trials, and rows that say what every seed gave."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_hil.actor.adversary import Schedule
from robot_hil.actor.seeding import Stream
from robot_hil.data.step import Segment
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.gates import ProgressGate
from robot_hil.teleop.simulated.profile import COMPETENT

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "acceptance"))

from adversary import REACTION, settled
from lab import Claim, Size, Workplace, first_frames, human_frames, interval, rate, rows_of, taught, trials


def test_demonstrations_teach_a_policy_that_can_be_tried_and_helped():
    env = make_env()
    place = Workplace(env, 0)
    person = place.person(PegSlotExpert(), COMPETENT)
    episodes = place.demonstrations(person, 3)
    assert len(episodes) == 3
    assert all(steps[-1].success and steps[0].segment is Segment.DEMO for steps in episodes)
    more = place.demonstrations(person, frames=50)
    assert human_frames(more) >= 50 > human_frames(more[:-1])
    policy = taught(env.env_spec, episodes, 0, 5, hidden=(8,))
    found = trials(env, policy, 1, 2)
    assert rate(found) in (0.0, 0.5, 1.0)
    assert [trial.steps for trial in found] == [trial.steps for trial in trials(env, policy, 1, 2)]
    helped = place.helped(policy, place.person(PegSlotExpert(), COMPETENT, ProgressGate(patience=4)), count=1)
    assert any(step.segment is Segment.CORRECTION for step in helped[0])
    disturbed = place.episode(Stream.DEMO, None, person, Schedule(kinds=("object",), rate=1.0, most=1))
    assert sum(bool(step.perturbation) for step in disturbed) == 1


def test_rows_say_the_mean_and_every_seed():
    claims = (Claim(key="a", what="success", target=0.5), Claim(key="b", what="effort", higher_is_better=False))
    good, bad = rows_of("lab", claims, {0: {"a": 0.25, "b": 2.0}, 1: {"a": 0.75, "b": 4.0}})
    assert (good.name, good.value, good.reached) == ("lab: success", 0.5, True)
    assert "by seed 0: 0.25, 1: 0.75" in good.note
    assert (bad.value, bad.reached) == (3.0, None)
    assert replace(good, target=0.6).reached is False


def test_an_interval_holds_the_mean_and_none_of_one_value_is_wide():
    low, high = interval([0.2, 0.4, 0.9])
    assert low < np.mean([0.2, 0.4, 0.9]) < high
    assert interval([0.3]) == pytest.approx((0.3, 0.3))


def test_a_quick_run_is_a_tenth_and_never_nothing():
    assert (Size().of(20), Size(share=0.1).of(20), Size(share=0.1).of(3)) == (20, 2, 1)


def test_the_first_episodes_with_so_many_frames():
    env = make_env()
    place = Workplace(env, 0)
    three = place.demonstrations(place.person(PegSlotExpert(), COMPETENT), 3)
    assert first_frames(three, 0) == []
    assert first_frames(three, 1) == three[:1]
    assert first_frames(three, len(three[0]) + 1) == three[:2]
    assert first_frames(three, 10_000) == three


def test_the_steps_in_which_a_person_still_reacts_are_left_out():
    env = make_env()
    place = Workplace(env, 0)
    person = place.person(PegSlotExpert(), COMPETENT)
    often = Schedule(kinds=("object",), rate=1.0, most=1, first_step=3)
    episodes = [place.episode(Stream.DEMO, None, person, schedule) for schedule in (None, often)]
    view = settled(episodes)
    columns = {
        "episode_id": np.repeat([0, 1], [len(steps) for steps in episodes]),
        "step_index": np.concatenate([[step.step_index for step in steps] for steps in episodes]),
    }
    left_out = columns["step_index"][view.aux(columns)["imitate"] == 0.0]
    assert left_out.tolist() == list(range(3, 3 + REACTION))
