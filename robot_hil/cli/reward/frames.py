"""Which frames of an episode go into a data set, and with which label."""

from collections.abc import Sequence
from dataclasses import dataclass

from robot_hil.data.codec import Header
from robot_hil.data.labels import Verdict
from robot_hil.data.reward import BINARY, THREE_WAY
from robot_hil.data.specs import EnvSpec
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.config import Crop

Labels = list[int | None]
"""Label of each observation of an episode, its last one included; None where nobody can tell."""


def success_of(classes: Sequence[str]) -> int:
    """Return which class is success: the one of that name, else the last."""
    return classes.index("success") if "success" in classes else len(classes) - 1


def classes_of(stages: int, three_way: bool) -> tuple[str, ...]:
    """Return the classes of a data set; raises `ConfigError`."""
    if three_way and stages:
        raise ConfigError("give --three-way or --stages, not both: stages end in success, and know no failure.")
    if stages and stages < 2:
        raise ConfigError(f"--stages is {stages}; give at least 2, the last of which is success, or leave it out.")
    if three_way:
        return THREE_WAY
    return (*(f"stage_{number}" for number in range(1, stages)), "success") if stages else BINARY


def unlike(ours: EnvSpec, theirs: EnvSpec, names: Sequence[str]) -> str:
    """Say in what the arrays `names` of two specifications differ; empty when they do not."""
    for name in names:
        pair = [spec.observation.get(name) for spec in (ours, theirs)]
        words = ["nothing" if one is None else f"{one.dtype}{one.shape}" for one in pair]
        if words[0] != words[1]:
            return f"{name} is {words[0]} there and {words[1]} here"
    return ""


def crops_of(words: Sequence[str]) -> dict[str, Crop]:
    """Return the crops that `CAMERA:TOP,LEFT,HEIGHT,WIDTH` name; raises `ConfigError`.

    >>> crops_of(["wrist:10,20,64,48"])
    {'wrist': Crop(top=10, left=20, height=64, width=48)}
    """
    found: dict[str, Crop] = {}
    for word in words:
        camera, _, numbers = word.rpartition(":")
        parts = numbers.split(",")
        if not camera or len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
            raise ConfigError(
                f"--crop is {word!r}; write CAMERA:TOP,LEFT,HEIGHT,WIDTH [pixels], e.g. wrist:10,20,64,64."
            )
        top, left, height, width = map(int, parts)
        found[camera] = Crop(top=top, left=left, height=height, width=width)
    return found


@dataclass(frozen=True, kw_only=True)
class Taking:
    """How much is taken of each episode."""

    last_frames: int = 1
    """Frames at the end of a successful episode that show the success. An environment that ends at the moment of its
    success leaves one; a person who presses the key leaves a few more."""
    margin: int = 2
    """Frames before these that are left out: nobody can tell what they are."""
    negatives_per_episode: int = 20
    """Frames of an episode that are no success, spread over it; its last one is always among them."""

    def __post_init__(self) -> None:
        for name, low in (("last_frames", 1), ("margin", 0), ("negatives_per_episode", 1)):
            if getattr(self, name) < low:
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} is {getattr(self, name)}; it must be at least {low}.")


def labels_of(
    steps: Sequence[Header], verdict: Verdict | None, classes: Sequence[str], taking: Taking
) -> tuple[Labels, bool]:
    """Return the labels of a complete episode's observations, of which there is one more than steps, and its success.

    The newest verdict on the episode stands above the key that ended it, and that above the environment's own flag.
    A frame that the environment alone calls a success, in an episode that was none in the end, gets no label.
    """
    last, end, won = steps[-1], len(steps), success_of(classes)
    said = {Verdict.SUCCESS: True, Verdict.FAIL: False}.get(verdict or Verdict.NONE)
    if said is None and "human" in last.reward:
        said = last.reward["human"] > 0
    flagged = {index + 1 for index, step in enumerate(steps) if step.success} if said is None else set()
    success = last.success if said is None else said
    labels: Labels = [0] * (end + 1)
    if not success:
        for index in flagged:
            labels[index] = None
        if tuple(classes) == THREE_WAY and last.terminated:
            labels[end] = THREE_WAY.index("failure")
        return labels, False
    shown = flagged | set(range(max(0, end + 1 - taking.last_frames), end + 1))
    first = min(shown)
    for index in range(max(0, first - taking.margin), end + 1):
        labels[index] = won if index in shown else None
    return labels, True


def chosen(labels: Labels, won: int, negatives: int) -> list[int]:
    """Return which observations to take, in order: all successes, and `negatives` of the others, evenly spread.

    >>> chosen([0, 0, 0, 0, 0, None, 1], won=1, negatives=3)
    [0, 2, 4, 6]
    """
    rest = [index for index, label in enumerate(labels) if label is not None and label != won]
    taken = {index for index, label in enumerate(labels) if label == won}
    count = min(negatives, len(rest))
    if count == 1:
        taken.add(rest[-1])
    elif count:
        taken |= {rest[round(place * (len(rest) - 1) / (count - 1))] for place in range(count)}
    return sorted(taken)
