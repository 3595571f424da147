"""One pool of everything: what methods share that make no difference between demonstrations and trials in drawing."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_hil.methods.base import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled(Method):
    """All rows are drawn alike."""

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """As much of each pool as there is; the online pool has the interventions in it."""
        demo = pools["demo"] / max(1, pools["demo"] + pools["online"])
        return {"demo": demo, "intervention": 0.0, "online": 1.0 - demo}
