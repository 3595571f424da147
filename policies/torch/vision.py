"""What an agent sees: its vectors, and images turned into features, with an estimate of how far away the goal is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.torch.common import ENCODER, STACKED, Inputs, shifted, spread_shifts
from robot_hil.policies.torch.networks import ConvSpec, MlpSpec, Params, conv, init_conv, init_mlp, mlp

ENCODING = "encoding"
"""Name of the cached output of a frozen encoder in the replay."""
GOAL = "goal"
_GOAL_HIDDEN = (128,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """Turns observations into features (B, `size`): encoded images, distance to the goal, vectors, whichever there are.

    The distance is between the features of `goal` as they are and as they will be when the episode has succeeded. It
    is learnt for its own sake: what comes after it only reads it, and its tanh, which is steep near the goal.
    """

    inputs: Inputs
    conv: ConvSpec
    frozen: bool
    """The encoder's output is cached, in `shifts` views of every frame, of which an update draws one."""
    shifts: tuple[tuple[int, int], ...]
    goal: tuple[int, ...]
    """Elements of the concatenated vectors that tell where the goal was, once it is reached."""
    gain: float
    goal_only: bool
    """Encoded images are no features themselves."""

    @staticmethod
    def of(spec: EnvSpec, config: AnchoredConfig) -> "Vision":
        """Fit the environment's observations; raises `SpecError` for those that cannot be."""
        inputs = Inputs.of(spec, config.image_size, config.shift)
        if config.goal_features and not inputs.images:
            raise SpecError(f"{spec.env_id} shows no images, and goal_features are learnt from images; leave them out.")
        return Vision(
            inputs=inputs,
            conv=inputs.conv_spec(config.filters, config.strides),
            frozen=config.freeze_encoder and bool(inputs.images),
            shifts=tuple(spread_shifts(config.views, config.shift)),
            goal=inputs.elements(spec, config.goal_features),
            gain=config.goal_gain,
            goal_only=config.goal_only,
        )

    @property
    def size(self) -> int:
        """Number of features."""
        return (self.inputs.vector_size if self.goal_only else self._seen) + 2 * len(self.goal)

    @property
    def _seen(self) -> int:
        return self.inputs.vector_size + (self.conv.features if self.inputs.images else 0)

    @property
    def _encoding_shape(self) -> tuple[int, int]:
        return len(self.shifts), self.conv.features

    @property
    def _goal_head(self) -> MlpSpec:
        return MlpSpec(inputs=self._seen, outputs=len(self.goal), hidden=_GOAL_HIDDEN)

    def init(self, generator: torch.Generator) -> Params:
        """Make the parameters, `encoder/...` and `goal/...`; empty without images."""
        params: Params = init_conv(ENCODER, self.conv, generator) if self.inputs.images else {}
        return params | (init_mlp(GOAL, self._goal_head, generator, out_scale=0.1) if self.goal else {})

    def reads(self, prefixes: tuple[str, ...], cached: bool) -> dict[str, tuple[str, ...]]:
        """Return the stored arrays that `see` and `distance_from` need of the observations at `prefixes`."""
        vectors = self.inputs.vectors
        images = (ENCODING if cached and self.frozen else STACKED,) if self.inputs.images else ()
        return dict.fromkeys(prefixes, (*vectors, *images)) | ({"end": vectors} if self.goal else {})

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """Return the arrays of an observation as the replay keeps them."""
        cached = {ENCODING: ArraySpec(shape=self._encoding_shape)} if self.frozen else {}
        return self.inputs.stored(spec) | cached

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn a raw observation into `stored` arrays; an encoding is zero until `encode` is asked."""
        cached = {ENCODING: np.zeros(self._encoding_shape, np.float32)} if self.frozen else {}
        return self.inputs.prepare(obs) | cached

    def encode(self, params: Params, stacked: Array) -> Array:
        """Encode stored images (n, H, W, 3N) -> (n, views, features), the image as it is and shifted."""
        views = np.concatenate([shifted(stacked, rows, columns) for rows, columns in self.shifts])
        with torch.inference_mode():
            images = self.inputs.image_batch({f"obs/{STACKED}": views}, "obs", None)
            encoded = conv(params, ENCODER, self.conv, images)
            return encoded.reshape(len(self.shifts), len(stacked), -1).transpose(0, 1).contiguous().numpy()

    def see(
        self, params: Params, batch: Mapping[str, Array], prefix: str, shift: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return features, and the distance to the goal (B, goal) where there is one; shifts images if told how."""
        encoded = None
        if self.inputs.images:
            encoded = conv(params, ENCODER, self.conv, self.inputs.image_batch(batch, prefix, shift))
        return self._complete(params, encoded, batch, prefix)

    def learn_from(
        self, params: Params, batch: Mapping[str, Array], prefix: str, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """As `see`, for an update: shifted at random, or one of the cached views; without generator as images are."""
        if not self.frozen:
            return self.see(params, batch, prefix, generator)
        views = torch.from_numpy(batch[f"{prefix}/{ENCODING}"])  # (B, views, features)
        if generator is None:
            return self._complete(params, views[:, 0], batch, prefix)
        drawn = torch.randint(0, views.shape[1], (len(views),), generator=generator)
        return self._complete(params, views[torch.arange(len(views)), drawn], batch, prefix)

    def distance_from(self, batch: Mapping[str, Array], prefix: str) -> Tensor:
        """Return how far the goal was, (B, goal), for rows whose end is known."""
        end, now = (self.inputs.vector_batch(batch, p)[:, list(self.goal)] for p in ("end", prefix))
        return end - now

    def _complete(
        self, params: Params, encoded: Tensor | None, batch: Mapping[str, Array], prefix: str
    ) -> tuple[Tensor, Tensor | None]:
        vectors = [self.inputs.vector_batch(batch, prefix)] if self.inputs.vectors else []
        parts = vectors if encoded is None else [encoded, *vectors]
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        if not self.goal:
            return seen, None
        distance = mlp(params, GOAL, self._goal_head, seen)
        known = distance.detach()  # what imitates or judges must not bend the estimate
        others = vectors if self.goal_only else [seen]
        return torch.cat([*others, known, torch.tanh(self.gain * known)], dim=-1), distance
