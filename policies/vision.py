"""What an algorithm sees: vectors, and images turned into features, with an estimate of how far away the goal is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.errors import SpecError
from robot_hil.policies.config import EncoderConfig
from robot_hil.policies.encoders import ENCODER, Encoder, SmallEncoder, TrunkEncoder
from robot_hil.policies.inputs import STACKED, Inputs, spread_shifts
from robot_hil.policies.nets.conv import ConvSpec
from robot_hil.policies.nets.embedding import EmbeddingSpec
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.trunks import load_trunk

__all__ = ["ENCODER", "ENCODING", "GOAL", "GoalConfig", "Vision"]

ENCODING = "encoding"
"""Name of the cached output of a frozen encoder in the replay."""
GOAL = "goal"
_GOAL_HIDDEN = (128,)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalConfig:
    """The estimate of how far away the goal is; see `AnchoredConfig.goal_features`."""

    features: tuple[str, ...] = ()
    gain: float = 1.0
    only: bool = False
    """Encoded images are no features themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """Turns observations into features (B, `size`): encoded images, distance to the goal, vectors, whichever there are.

    The distance is between the features of `goal` as they are and as they will be when the episode has succeeded. It
    is learnt for its own sake: what comes after it only reads it, and its tanh, which is steep near the goal.
    """

    inputs: Inputs
    encoder: Encoder | None
    """None without images."""
    cached: bool
    """The encoder is frozen and its output kept, in `shifts` views of every frame, of which a batch holds one."""
    at_once: bool
    """What is cached depends on nothing learnt: frames are encoded as they come, and no images are kept."""
    frames_per_call: int
    shifts: tuple[tuple[int, int], ...]
    digests: Mapping[str, str]
    """SHA-256 of the files that it was made of, by what they are."""
    goal: tuple[int, ...]
    """Elements of the concatenated vectors that tell where the goal was, once it is reached."""
    gain: float
    goal_only: bool

    @staticmethod
    def of(spec: EnvSpec, config: EncoderConfig, frozen: bool = False, goal: GoalConfig | None = None) -> "Vision":
        """Fit the environment's observations; raises `SpecError` for those that cannot be.

        `frozen` says whether the small encoder is after the warm start; a trunk always is. Its file is read here.
        """
        goal = goal or GoalConfig()
        trunk = load_trunk(config.trunk) if config.trunk.file and spec.images else None
        size = config.trunk.image_size if trunk else config.image_size
        inputs = Inputs.of(spec, size, config.shift, config.crops, config.vector_gain)
        if goal.features and not inputs.images:
            raise SpecError(f"{spec.env_id} shows no images, and goal_features are learnt from images; leave them out.")
        encoder: Encoder | None = None
        if trunk:
            head = EmbeddingSpec(
                cameras=len(inputs.images),
                places=trunk.places,
                channels=trunk.channels,
                vectors=inputs.vector_features,
                outputs=config.trunk.outputs,
                vector_outputs=config.trunk.vector_outputs,
            )
            encoder = TrunkEncoder(trunk=trunk, head=head)
        elif inputs.images:
            conv = ConvSpec(cameras=len(inputs.images), filters=config.filters, strides=config.strides)
            encoder = SmallEncoder(conv=conv, vectors=inputs.vector_features)
        cached = encoder is not None and config.views > 0 and (frozen or trunk is not None)
        return Vision(
            inputs=inputs,
            encoder=encoder,
            cached=cached,
            at_once=cached and trunk is not None,
            frames_per_call=config.trunk.frames_per_call if trunk else 1,
            shifts=tuple(spread_shifts(config.views, config.shift)),
            digests={"trunk": trunk.digest} if trunk else {},
            goal=inputs.elements(spec, goal.features),
            gain=goal.gain,
            goal_only=goal.only,
        )

    @property
    def size(self) -> int:
        """Number of features."""
        return (self.inputs.vector_features if self.goal_only else self._seen) + 2 * len(self.goal)

    @property
    def _seen(self) -> int:
        return self.encoder.features if self.encoder else self.inputs.vector_features

    @property
    def _cache(self) -> dict[str, ArraySpec]:
        if not (self.cached and self.encoder):
            return {}
        return {ENCODING: ArraySpec(shape=self.encoder.shape, dtype="float16", variants=len(self.shifts))}

    @property
    def _goal_head(self) -> MlpSpec:
        return MlpSpec(inputs=self._seen, outputs=len(self.goal), hidden=_GOAL_HIDDEN)

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Make the parameters, `encoder/...` and `goal/...`; empty without images."""
        params = self.encoder.init(rng) if self.encoder else {}
        return params | (init_mlp(GOAL, self._goal_head, rng, out_scale=0.1) if self.goal else {})

    def constants(self) -> dict[str, Array]:
        """Return the frozen trunk's parameters; see `Algorithm.constants`."""
        return self.encoder.constants() if self.encoder else {}

    # Storing ---------------------------------------------------------------------------------------------------

    def reads(self, prefixes: tuple[str, ...], warm: bool) -> dict[str, tuple[str, ...]]:
        """Return the stored arrays that `see` and `distance_from` need of the observations at `prefixes`.

        `warm` is after the warm start: what a small encoder gives is cached only then.
        """
        vectors = self.inputs.vectors
        images = (ENCODING if self._reads_cache(warm) else STACKED,) if self.inputs.images else ()
        return dict.fromkeys(prefixes, (*vectors, *images)) | ({"end": vectors} if self.goal else {})

    def stored(self, spec: EnvSpec) -> dict[str, ArraySpec]:
        """Return the arrays of an observation as the replay keeps them."""
        return self.inputs.stored(spec, images=not self.at_once) | self._cache

    def prepare(self, obs: Observation) -> dict[str, Array]:
        """Turn a raw observation into what `stored`, `encode` and `see` want; an encoding is zeros until it is made."""
        zeros = {name: np.zeros(array.full_shape, array.dtype) for name, array in self._cache.items()}
        return self.inputs.prepare(obs) | zeros

    def draw(self, rng: np.random.Generator, rows: int, prefixes: tuple[str, ...], warm: bool) -> dict[str, Array]:
        """Draw the shifts of an update; of what is cached the replay has drawn a view."""
        return {} if self._reads_cache(warm) else self.inputs.draw_shifts(rng, rows, prefixes)

    def _reads_cache(self, warm: bool) -> bool:
        return self.at_once or (self.cached and warm)

    # Seeing ----------------------------------------------------------------------------------------------------

    def encode(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Encode prepared images at `obs` -> (B, views, *shape), the image as it is and shifted."""
        assert self.encoder is not None
        images, views, pad = batch[f"obs/{STACKED}"], len(self.shifts), self.inputs.shift
        rows, shape = images.shape[0], tuple(images.shape[1:])
        every = nn.broadcast_to(images[:, None], (rows, views, *shape)).reshape(rows * views, *shape)
        if pad:
            offsets = np.tile(pad - np.array(self.shifts, np.int32), (rows, 1))
            every = nn.shift_images(every, nn.array(offsets), pad)
        return self.encoder.encode(nn, params, batch, every).reshape(rows, views, *self.encoder.shape)

    def look(self, nn: Ops, params: Params, batch: Batch, prefix: str) -> A:
        """Return what is seen without the goal, (B, seen): encoded images and vectors.

        Images are encoded where the batch has them, else their cached encoding is taken.
        """
        vectors = self.inputs.look_at_vectors(nn, batch, prefix) if self.inputs.vectors else None
        if self.encoder is None:
            return vectors
        if f"{prefix}/{STACKED}" in batch:
            encoded = self.encoder.encode(nn, params, batch, self.inputs.image_batch(nn, batch, prefix))
        else:
            encoded = nn.float32(batch[f"{prefix}/{ENCODING}"])
        return self.encoder.finish(nn, params, encoded, vectors)

    def distance(self, nn: Ops, params: Params, seen: A) -> A:
        """Estimate how far the goal is, (B, goal)."""
        return mlp(nn, params, GOAL, self._goal_head, seen)

    def join(self, nn: Ops, params: Params, batch: Batch, prefix: str, seen: A) -> tuple[A, A | None]:
        """Return features, and the distance to the goal (B, goal) where there is one, of what was seen."""
        if not self.goal:
            return seen, None
        distance = self.distance(nn, params, seen)
        known = nn.stop_gradient(distance)  # what imitates or judges must not bend the estimate
        others = [seen]
        if self.goal_only:
            others = [self.inputs.look_at_vectors(nn, batch, prefix)] if self.inputs.vectors else []
        return nn.concat([*others, known, nn.tanh(self.gain * known)], -1), distance

    def see(self, nn: Ops, params: Params, batch: Batch, prefix: str) -> tuple[A, A | None]:
        """`look` and `join`."""
        return self.join(nn, params, batch, prefix, self.look(nn, params, batch, prefix))

    def distance_from(self, nn: Ops, batch: Batch, prefix: str) -> A:
        """Return how far the goal was, (B, goal), for rows whose end is known."""
        elements = nn.array(np.asarray(self.goal, np.int32))
        end, now = (nn.take(self.inputs.vector_batch(nn, batch, p), elements, 1) for p in ("end", prefix))
        return end - now
