"""The acceptance experiments of RLIF and Sirius at their smallest: who drives, what is learnt from, what is claimed."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_hil.data.step import Segment
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "acceptance"))

import rlif
import sirius
from lab import Size, Workplace

TINY = Size(share=0.01)


def small(name: str) -> rlif.Arm:
    arm = rlif.ARMS[name]
    return replace(arm, agent=replace(arm.agent, hidden=(8,)))


def test_practice_goes_on_for_as_many_steps_as_it_should_and_both_drive():
    place = Workplace(make_env(), 0)
    demos = place.demonstrations(place.person(PegSlotExpert(), rlif.PERSON), 1, failures=True)
    course = rlif.practise(small("value"), demos, 0, TINY)
    assert len(course.human) == sum(map(len, course.log)) >= TINY.of(rlif.STEPS)
    assert 0.0 < rlif.share(course.human) < 1.0
    assert {step.segment for steps in course.log for step in steps} == {Segment.NONE, Segment.CORRECTION}


def test_who_takes_over_at_random_drives_nearly_all_the_time():
    course = rlif.practise(small("random"), [], 0, TINY)
    assert rlif.share(course.human) > 0.4


def test_every_claim_names_a_number_of_its_experiment(monkeypatch):
    monkeypatch.setattr(rlif, "ARMS", {name: small(name) for name in rlif.ARMS})
    for experiment in (rlif, sirius):
        found = experiment.measure(0, TINY)
        assert {claim.key for claim in experiment.CLAIMS} <= set(found)
        assert all(np.isfinite(value) for value in found.values())
