"""The networks of an ensemble as one: every layer holds all members, so that more of them cost no further calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.nets.conv import ConvSpec, init_conv, soft_argmax
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params

ENCODER, HEAD, SCALE = "encoder", "head", "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Members that share nothing but the batch: a small encoder and a head each. See `nets.conv` for the encoder."""

    members: int
    cameras: int
    """0 where a frozen trunk has encoded the images."""
    filters: tuple[int, ...]
    """Of each member and camera."""
    strides: tuple[int, ...]
    vectors: int
    """Numbers beside the images."""
    features: int = 0
    """Numbers that a frozen trunk makes of a frame."""
    sharpness: float = 4.0

    @property
    def encoded(self) -> int:
        """Numbers in one member's encoding of a frame."""
        return 3 * self.filters[-1] * self.cameras + self.features + self.vectors

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return the encoder's parameters, kernels (camera, member, out, in, 3, 3), and the scale of other inputs."""
        params: dict[str, Array] = {}
        if self.cameras:
            conv = ConvSpec(cameras=self.cameras * self.members, filters=self.filters, strides=self.strides)
            params = {
                name: value.reshape(self.cameras, self.members, *value.shape[1:])
                for name, value in init_conv(ENCODER, conv, rng).items()
            }
        return params | self.scale(np.zeros((1, self.features + self.vectors)))

    @staticmethod
    def scale(rows: Array) -> dict[str, Array]:
        """Return the scale of inputs that are no images, from rows of them (n, features + vectors)."""
        measured = {f"{SCALE}/mean": rows.mean(0), f"{SCALE}/deviation": np.maximum(rows.std(0), 1e-3)}
        return {name: value.astype(np.float32) for name, value in measured.items()}

    def encode(self, nn: Ops, params: Params, frames: Batch) -> A:
        """Encode frames -> (K, B, encoded).

        Frames are `images` (B, H, W, 3 * cameras) uint8 or `features` (B, d) of a trunk, and `vectors` (B, v).
        """
        parts = []
        if self.cameras:
            images = nn.float32(frames["images"]) * (1.0 / 255.0) - 0.5
            parts = [self._look(nn, params, images, camera) for camera in range(self.cameras)]
        plain = [frames[name] for name in ("features", "vectors") if name in frames and frames[name].shape[-1]]
        if plain:
            given = plain[0] if len(plain) == 1 else nn.concat(plain, -1)
            scaled = nn.clip((given - params[f"{SCALE}/mean"]) / params[f"{SCALE}/deviation"], -5.0, 5.0)
            parts.append(nn.broadcast_to(scaled[None], (self.members, *scaled.shape)))
        return parts[0] if len(parts) == 1 else nn.concat(parts, -1)

    def _look(self, nn: Ops, params: Params, images: A, camera: int) -> A:
        x = images[..., 3 * camera : 3 * camera + 3]
        for i, stride in enumerate(self.strides):
            kernel, bias = params[f"{ENCODER}/conv{i}/kernel"][camera], params[f"{ENCODER}/conv{i}/bias"][camera]
            if i == 0:  # all members see the same
                wide = kernel.reshape(self.members * kernel.shape[1], *kernel.shape[2:])
            else:
                x, wide = nn.relu(x), _beside(nn, kernel)
            x = nn.conv2d(x, wide, bias.reshape(-1), stride=stride, padding=1)
        places = soft_argmax(nn, x, self.sharpness)  # columns, rows, peaks, each of all members
        split = places.reshape(len(images), 3, self.members, self.filters[-1])
        return nn.transpose(split, (2, 0, 1, 3)).reshape(self.members, len(images), 3 * self.filters[-1])


def _beside(nn: Ops, kernel: A) -> A:
    """Put kernels (K, out, in, h, w) on the diagonal of one (K * out, K * in, h, w): no member sees another's maps.

    With a few channels each, one wide convolution takes no longer than a grouped one, or K of them.
    """
    members, out, fan, height, width = kernel.shape
    diagonal = nn.array(np.eye(members, dtype=np.float32)).reshape(members, 1, members, 1, 1, 1)
    return (kernel[:, :, None] * diagonal).reshape(members * out, members * fan, height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """Scores classes of single frames. A routine and functions for an engine."""

    ensemble: Ensemble
    hidden: tuple[int, ...]
    classes: int
    rate: float
    smoothing: float
    shift: int

    @property
    def _head(self) -> MlpSpec:
        return MlpSpec(inputs=self.ensemble.encoded, outputs=self.classes, hidden=self.hidden)

    @property
    def groups(self) -> dict[str, Group]:
        """What is trained by which optimiser."""
        return {"reward": Group(names=(f"{ENCODER}/", f"{HEAD}/"), rate=self.rate)}

    @property
    def counters(self) -> tuple[str, ...]:
        """Nothing is counted."""
        return ()

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return fresh parameters."""
        return self.ensemble.init(rng) | init_mlp(HEAD, self._head, rng, members=self.ensemble.members)

    def logits(self, nn: Ops, params: Params, frames: Batch) -> A:
        """Return (K, B, classes)."""
        return mlp(nn, params, HEAD, self._head, self.ensemble.encode(nn, params, frames))

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Take one step on frames with `label` (B, classes), members' `weight` (K, B) and shifts `offset` (B, 2)."""
        frames = shifted(nn, batch, self.shift)
        target = batch["label"] * (1.0 - self.smoothing) + self.smoothing / self.classes
        loss, _ = trainer.minimise("reward", partial(self._loss, nn, frames, target, batch["weight"]))
        return {"loss": loss / self.ensemble.members}

    def _loss(self, nn: Ops, frames: Batch, target: A, weight: A, params: Params) -> tuple[A, dict[str, A]]:
        log_probability = nn.log_softmax(self.logits(nn, params, frames), -1)
        entropy = -nn.sum(log_probability * target, -1)  # (K, B)
        return nn.sum(nn.mean(entropy * weight, -1)), {}


def shifted(nn: Ops, batch: Batch, pad: int, names: Sequence[str] = ("images",)) -> Batch:
    """Return `batch` with its images shifted by `offset` - pad pixels each."""
    if not pad or "offset" not in batch:
        return batch
    return {k: nn.shift_images(v, batch["offset"], pad) if k in names else v for k, v in batch.items()}
