"""Works take turns, and none is measured too little."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from timing import CpuUse, in_turns


def test_works_take_turns_until_each_has_enough_calls() -> None:
    order: list[str] = []
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    times = in_turns(works, 0.0, block=1e-12, at_least=3)  # every call fills a turn
    assert order == ["a", "b"] * 4
    assert {name: len(taken) for name, taken in times.items()} == {"a": 3, "b": 3}  # the first calls do not count


def test_processor_time_is_shared_out() -> None:
    steal, others = CpuUse().shares()
    assert 0.0 <= steal <= 1.0
    assert 0.0 <= others <= 1.0
