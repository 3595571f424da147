"""Verdicts of a classifier beside the truth, episode by episode."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from reward_learning import Verdicts, verdicts_of

from robot_hil.data import codec


def test_false_and_missed_verdicts_are_counted(small_step: Any) -> None:
    def episode(flags: str, said: float) -> list[codec.Header]:
        steps = [small_step(i, seq=i) for i in range(len(flags))]
        steps = [
            replace(s, success=flag == "s", reward={"classifier": 0.0}) for s, flag in zip(steps, flags, strict=True)
        ]
        end = {"terminated": said > 0, "truncated": said == 0, "final_obs": steps[-1].obs}
        steps[-1] = replace(steps[-1], reward={"classifier": said}, **end)
        return [codec.header(codec.encode(step)) for step in steps]

    found = verdicts_of(
        [
            episode("..ss", 1.02),  # right
            episode("....", 1.02),  # false: there was no success
            episode("ss..", 1.02),  # false: it was lost again
            episode("..ss", 0.0),  # missed
            episode(".s..", 0.0),  # too short to be confirmed
            episode("....", 0.0),
        ]
    )
    assert found == Verdicts(confirmed=3, false=2, held=3, missed=1)
