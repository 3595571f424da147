"""What an algorithm sees: vectors, and images turned into features, with an estimate of how far away the goal is."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.inputs import STACKED, Inputs, spread_shifts
from robot_hil.policies.nets.conv import ConvSpec, conv, init_conv
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

ENCODER = "encoder"
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
    """The encoder's output is cached, in `shifts` views of every frame, of which a batch holds one."""
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
            conv=ConvSpec(cameras=len(inputs.images), filters=config.filters, strides=config.strides),
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
    def _cached(self) -> dict[str, ArraySpec]:
        if not self.frozen:
            return {}
        return {ENCODING: ArraySpec(shape=(self.conv.features,), dtype="float16", variants=len(self.shifts))}

    @property
    def _goal_head(self) -> MlpSpec:
        return MlpSpec(inputs=self._seen, outputs=len(self.goal), hidden=_GOAL_HIDDEN)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Make the parameters, `encoder/...` and `goal/...`; empty without images."""
        params = init_conv(ENCODER, self.conv, rng) if self.inputs.images else {}
        return params | (init_mlp(GOAL, self._goal_head, rng, out_scale=0.1) if self.goal else {})

    def reads(self, prefixes: tuple[str, ...], cached: bool) -> dict[str, tuple[str, ...]]:
        """Return the stored arrays that `see` and `distance_from` need of the observations at `prefixes`."""
        vectors = self.inputs.vectors
        images = (ENCODING if cached and self.frozen else STACKED,) if self.inputs.images else ()
        return dict.fromkeys(prefixes, (*vectors, *images)) | ({"end": vectors} if self.goal else {})

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """Return the arrays of an observation as the replay keeps them."""
        return self.inputs.stored(spec) | self._cached

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn a raw observation into `stored` arrays; an encoding is zero until `encode` is asked."""
        zeros = {name: np.zeros((a.variants, *a.shape), a.dtype) for name, a in self._cached.items()}
        return self.inputs.prepare(obs) | zeros

    def draw(self, rng: np.random.Generator, rows: int, prefixes: tuple[str, ...], cached: bool) -> dict[str, Array]:
        """Draw the shifts of an update; of what is cached the replay has drawn a view."""
        return {} if cached and self.frozen else self.inputs.draw_shifts(rng, rows, prefixes)

    def encode(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Encode stored images at `obs` -> (B, views, features), the image as it is and shifted."""
        views = []
        pad = self.inputs.shift
        stacked = batch[f"obs/{STACKED}"]
        for rows, columns in self.shifts:
            offsets = np.full((stacked.shape[0], 2), (pad - rows, pad - columns), np.int32)
            images = nn.shift_images(stacked, nn.array(offsets), pad) if pad else stacked
            views.append(conv(nn, params, ENCODER, self.conv, nn.float32(images) * (1.0 / 255.0) - 0.5))
        return nn.stack(views, 1)

    def see(self, nn: Ops, params: Params, batch: Batch, prefix: str) -> tuple[A, A | None]:
        """Return features, and the distance to the goal (B, goal) where there is one.

        Images are encoded where the batch has them, else their cached encoding is taken.
        """
        encoded = None
        if self.inputs.images and f"{prefix}/{STACKED}" in batch:
            encoded = conv(nn, params, ENCODER, self.conv, self.inputs.image_batch(nn, batch, prefix))
        elif self.inputs.images:
            encoded = nn.float32(batch[f"{prefix}/{ENCODING}"])
        return self._complete(nn, params, encoded, batch, prefix)

    def distance_from(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Return how far the goal was, (B, goal), for rows whose end is known."""
        elements = nn.array(np.asarray(self.goal, np.int32))
        end, now = (nn.take(self.inputs.vector_batch(nn, batch, p), elements, 1) for p in ("end", prefix))
        return end - now

    def _complete(self, nn: Ops, params: Params, encoded: A | None, batch: Batch, prefix: str) -> tuple[A, A | None]:
        vectors = [self.inputs.vector_batch(nn, batch, prefix)] if self.inputs.vectors else []
        parts = vectors if encoded is None else [encoded, *vectors]
        seen = parts[0] if len(parts) == 1 else nn.concat(parts, -1)
        if not self.goal:
            return seen, None
        distance = mlp(nn, params, GOAL, self._goal_head, seen)
        known = nn.stop_gradient(distance)  # what imitates or judges must not bend the estimate
        others = vectors if self.goal_only else [seen]
        return nn.concat([*others, known, nn.tanh(self.gain * known)], -1), distance
