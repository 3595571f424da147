"""What all algorithms do alike with what they see: they leave it to their `Vision`."""

from collections.abc import Mapping

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.policies.base import Trainer
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.vision import ENCODING, Vision


class Seeing:
    """Part of an `Algorithm`; `bind` must set `_vision`."""

    _vision: Vision
    window = 1
    memory_size = 0

    def constants(self) -> dict[str, Array]:
        """See `Algorithm.constants`."""
        return self._vision.constants()

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """See `Agent.stored`."""
        return self._vision.stored(spec)

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """See `Agent.prepare`."""
        return self._vision.prepare(obs)

    @property
    def encoding(self) -> str:
        """See `Agent.encoding`."""
        return ENCODING if self._vision.cached else ""

    @property
    def encodes_at_once(self) -> bool:
        """See `Agent.encodes_at_once`."""
        return self._vision.at_once

    @property
    def frames_per_call(self) -> int:
        """See `Algorithm.frames_per_call`."""
        return self._vision.frames_per_call

    @property
    def files(self) -> Mapping[str, str]:
        """See `Agent.files`."""
        return self._vision.digests

    def encode(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.encode`: (n, views, ...), the image as it is and shifted."""
        return self._vision.encode(nn, params, batch)

    def settle(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """See `Algorithm.settle`: nothing is averaged, or what acts is the average in any case."""
        return {}
