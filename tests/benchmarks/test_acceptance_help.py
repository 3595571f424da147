"""What the experiments on asking for help and on numbers are made of: a person who leans, counts, and seeds."""

import sys
from pathlib import Path

import pytest

from robot_hil.actor.seeding import Stream
from robot_hil.data.disturbance import Disturbance
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import COMPETENT

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "acceptance"))

from autonomy import AT, CHANGES, Leaning, Seen, numbers
from lab import Workplace
from tuning import seeds_of

DRIFT, GAIN = CHANGES


@pytest.mark.parametrize(
    ("kind", "change", "wins"), [(Leaning, DRIFT, True), (Leaning, GAIN, True), (SimulatedPerson, DRIFT, False)]
)
def test_only_who_leans_copes_with_a_drifting_world(
    kind: type[SimulatedPerson], change: Disturbance, wins: bool
) -> None:
    env = make_env(tolerance_m=0.006)
    start = env.reset

    def reset(**options):
        found = start(**options)
        env.disturb(change)
        return found

    env.reset = reset  # type: ignore[method-assign]
    place = Workplace(env, 100)
    person = kind(experts.make("peg_slot"), AlwaysGate(), COMPETENT, env.privileged, place.clock)
    won = [place.episode(Stream.DEMO, None, person)[-1].success for _ in range(3)]
    assert won == [wins] * 3


def seen(changed: bool, success: bool, lowered: tuple[int, ...], human: int = 0, steps: int = 20) -> Seen:
    return Seen(changed=changed, success=success, lowered=lowered, human=human, steps=steps)


def test_an_alarm_is_false_only_where_the_robot_does_it_alone() -> None:
    watched = [
        seen(False, True, ()),
        seen(False, True, (3, 9), 5),
        seen(True, True, (AT + 1,), 10),
        seen(True, False, ()),
    ]
    alone = [seen(False, True, ()), seen(False, False, ()), seen(True, False, ()), seen(True, False, ())]
    found = numbers(watched, alone)
    assert found == {
        "in time": 0.5, "false": 0.0, "foreseen": 1.0, "nominal": 0.5, "failures left": 0.5, "failures alone": 1.0,
        "human": 15 / 80, "switches": 0.75, "most switches": 2.0,
    }  # fmt: skip


def test_a_tuning_seed_judges_by_tuning_seeds() -> None:
    for seed in (100, 101):
        assert min(seeds_of(seed, 5).test) >= 100
        assert not set(seeds_of(seed, 5).test) & set(seeds_of(seed, 5).tuning)
    assert seeds_of(0, 5).test == (0, 1, 2, 3, 4)
