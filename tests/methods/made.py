"""Logs made by hand: a string per episode, a letter per step."""

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.methods.log import Log
from robot_hil.replay.columns import NO_ONSET

KINDS = "d.hrt"
"""Demonstration, the policy's own step, intervention, recovery of a person, release tail."""


def columns(text: str, **more: object) -> dict[str, Array]:
    """Facts of the steps in `text`, `|` between episodes, the last step of each truncated; `more` replaces columns."""
    episodes = text.split("|")
    letters = np.array(list("".join(episodes)))
    count = len(letters)
    lengths = [len(one) for one in episodes]
    index = np.concatenate([np.arange(n) for n in lengths])
    number = np.repeat(np.arange(len(lengths)), lengths)
    human = letters != "."
    onset = human & (letters != "d") & np.r_[True, ~human[:-1] | (number[1:] != number[:-1])]
    to_onset = np.full(count, NO_ONSET, np.int16)
    for row in np.flatnonzero(onset):
        back = 1
        while row - back >= 0 and number[row - back] == number[row] and not human[row - back]:
            to_onset[row - back] = back
            back += 1
    last = np.r_[number[1:] != number[:-1], True]
    nan = np.full(count, np.nan, np.float32)
    segment = np.select([letters == "d", letters == "r", human], [Segment.DEMO, Segment.RECOVERY, Segment.CORRECTION])
    base: dict[str, Array] = {f"reward/{source}": nan for source in ("env", "human", "classifier", "progress")}
    base |= {
        "terminated": np.zeros(count, bool), "truncated": last, "success": np.zeros(count, bool),
        "handover": np.r_[human[1:] != human[:-1], False] & ~last, "steps_to_onset": to_onset, "is_human": human,
        "release_tail": letters == "t", "onset": onset, "segment": segment.astype(np.uint8),
        "episode_id": number, "step_index": index, "verdict": np.zeros(count, np.uint8),
        "action_executed": np.zeros((count, 2), np.float32), "action_policy": np.zeros((count, 2), np.float32),
        "action_human": np.zeros((count, 2), np.float32),
    }  # fmt: skip
    return base | {name: np.asarray(values) for name, values in more.items()}


def log(text: str, gamma: float = 0.9, **more: object) -> Log:
    """The log of these steps."""
    begins = np.cumsum([0, *(len(one) for one in text.split("|"))])[:-1]
    return Log(columns=columns(text, **more), begins=begins, gamma=gamma)
