"""What is measured of a training, against episodes written down by hand."""

import json

import pytest
from compare.results import episode, measures
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.compare.measures import Cost, Measures, Point, measure, parse
from robot_hil.errors import StorageError
from robot_hil.report.metrics import plain

humans, goods = (
    st.lists(st.integers(0, 500), min_size=8, max_size=8),
    st.lists(st.integers(0, 10), min_size=1, max_size=8),
)
results = st.builds(lambda human, good: measures(list(zip(sorted(human), good, strict=False))), humans, goods)


def test_points_carry_what_was_spent_until_then() -> None:
    episodes = [
        episode("demo", steps=30, success=True, human=30),
        episode("train", 10, human=4, takeovers=1),
        episode("eval", 10, success=True, steps=8),
        episode("eval", 10),
        episode("train", 20, success=True, human=3, takeovers=1),
        episode("train", 30, success=True),
        episode("train", 40, success=True, human=5, takeovers=2),
        episode("eval", 40, success=True, steps=4),
        episode("eval", 40, success=True, steps=6),
    ]
    found = measure(episodes, 12.5)
    assert found.points == (
        Point(env_steps=10, human_steps=4, interventions=1, successes=1, trials=2),
        Point(env_steps=40, human_steps=12, interventions=4, successes=2, trials=2),
    )
    assert found.final.success == 1.0
    assert found.first_alone == Cost(env_steps=30, human_steps=7, interventions=2)
    assert found.cycle_steps == 5.0
    assert found.demo_steps == 30
    assert found.wall_s == 12.5


def test_a_success_that_was_helped_is_none_of_its_own() -> None:
    episodes = [episode("train", 10, success=True, human=1, takeovers=1), episode("train", 20), episode("eval", 20)]
    found = measure(episodes, 0.0)
    assert found.first_alone is None
    assert found.cycle_steps is None


def test_a_run_from_a_log_has_its_evaluation_alone() -> None:
    found = measure([episode("eval", success=True), episode("eval")], 0.0)
    assert found.points == (Point(env_steps=0, human_steps=0, interventions=0, successes=1, trials=2),)


def test_a_run_without_evaluation_has_no_measures() -> None:
    with pytest.raises(StorageError, match="no evaluation"):
        measure([episode("train", 10)], 0.0)


def test_cost_is_that_of_the_first_evaluation_that_is_good_enough() -> None:
    found = measures([(5, 7), (20, 8), (30, 6), (40, 10)])
    assert found.until(0.8) == Cost(env_steps=200, human_steps=20, interventions=2)
    assert found.until(0.0) == Cost(env_steps=100, human_steps=5, interventions=1)
    assert measures([(5, 7)]).until(0.8) is None


def test_area_weighs_success_by_the_persons_steps_until_the_next_evaluation() -> None:
    # success 0 until 10 human steps, 0.5 until 30, then 1.0 to the end at 100
    assert measures([(10, 5), (30, 10)]).area(100) == pytest.approx((0.5 * 20 + 1.0 * 70) / 100)


def test_area_ignores_what_comes_after_its_end() -> None:
    assert measures([(0, 5), (50, 10), (200, 0)]).area(100) == pytest.approx((0.5 * 50 + 1.0 * 50) / 100)


@given(found=results, budget=st.integers(1, 1000))
def test_area_is_a_mean_success(found: Measures, budget: int) -> None:
    rates = [point.success for point in found.points]
    assert 0.0 <= found.area(budget) <= max(rates) + 1e-12


@given(found=results)
def test_measures_survive_a_file(found: Measures) -> None:
    assert parse(json.loads(json.dumps(plain(found)))) == found


@pytest.mark.parametrize("content", [{}, {"points": [{"env_steps": 1}]}])
def test_what_is_no_measures_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(StorageError, match="no measures"):
        parse(content)


def test_a_result_without_processor_time_is_read_as_well() -> None:
    content = json.loads(json.dumps(plain(measures([(1, 2)]))))
    del content["cpu_s"]
    assert parse(content).cpu_s == 0.0
    assert measure([episode("eval", 10)], 1.0, 0.5).cpu_s == 0.5
