"""Frozen pretrained trunks: read from a local file, checked, and brought into the form in which they are computed."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, StorageError
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.nets.resnet import ResNetSpec, resnet
from robot_hil.policies.nets.vit import HEAD_WIDTH, VitSpec, resample_positions, vit
from robot_hil.policies.ops import A, Ops, Params
from robot_hil.policies.trunk_names import PREFIXES, UNUSED, Layout, resnet_layouts, vit_layouts

TRUNK = "constant/trunk"
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pixels, by which all these trunks were trained."""
_BATCH_NORM_EPSILON = 1e-5
Raw = dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A trunk as it is computed."""

    spec: ResNetSpec | VitSpec
    params: Mapping[str, Array]
    """Float32, under `TRUNK`."""
    digest: str
    """SHA-256 of its file."""
    image_size: int

    @property
    def places(self) -> int:
        """Places of a map, or tokens."""
        return self.spec.places(self.image_size)

    @property
    def channels(self) -> int:
        """Features of a place."""
        return self.spec.channels

    def maps(self, nn: Ops, params: Params, images: A) -> A:
        """Turn uint8 images (B, H, W, 3) into features (B, places, channels)."""
        scale, shift = 1.0 / (255.0 * _DEVIATION), -_MEAN / _DEVIATION
        scaled = nn.float32(images) * nn.array(scale) + nn.array(shift)
        if isinstance(self.spec, VitSpec):
            return vit(nn, params, TRUNK, self.spec, scaled)
        return resnet(nn, params, TRUNK, self.spec, scaled)


def load_trunk(config: TrunkConfig) -> Trunk:
    """Read the trunk that `config` names; nothing is ever downloaded.

    Raises `StorageError` for a file that is not there or not what it should be, by hash, names or shapes.
    """
    path = Path(config.file).expanduser()
    digest = check_file(config)
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"trunk file {path} cannot be read: {error}. It must be a safetensors file with float32 or float16 arrays."
        ) from error
    named = {_plain(name): array for name, array in arrays.items()}
    spec: ResNetSpec | VitSpec
    spec, params = (_make_vit if config.kind == "vit" else _make_resnet)(str(path), named, config)
    _check_shapes(str(path), params, spec.shapes())
    own = {f"{TRUNK}/{name}": np.ascontiguousarray(value, np.float32) for name, value in params.items()}
    if bad := sorted(name for name, value in own.items() if not np.isfinite(value).all()):
        raise StorageError(f"trunk file {path} holds NaN or infinity in {_few(bad)}; it is damaged.")
    return Trunk(spec=spec, params=own, digest=digest, image_size=config.image_size)


def check_file(config: TrunkConfig) -> str:
    """Return the SHA-256 of the trunk's file; raises `StorageError` if it is another than `config` wants."""
    path = Path(config.file).expanduser()
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(
            f"trunk file {path} cannot be read: {error.strerror}. Put a safetensors file with the weights of a "
            f"{config.kind} there; none is downloaded."
        ) from error
    if config.sha256 and digest != config.sha256.lower():
        raise StorageError(
            f"trunk file {path} has the SHA-256 {digest}, and {config.sha256} is wanted: these are other weights, for "
            f"which nothing was trained. Give the file of that hash, or begin a new run with this one."
        )
    return digest


def _plain(name: str) -> str:
    plain = name.replace("/", ".")
    for prefix in PREFIXES:
        plain = plain.removeprefix(prefix)
    return plain


def _take(path: str, kind: str, arrays: Mapping[str, Array], layouts: list[Layout]) -> Raw:
    """Return the arrays under our raw names, by the layout that fits."""
    used = {name for name in arrays if not (name.startswith(UNUSED) or name.endswith(UNUSED))}
    best = min(layouts, key=lambda layout: len(set(layout.names.values()) ^ used))
    missing, foreign = sorted(set(best.names.values()) - used), sorted(used - set(best.names.values()))
    if missing or foreign:
        raise StorageError(
            f"trunk file {path} is no {kind}: by the names of {best.title}, {len(missing)} of {len(best.names)} arrays "
            f"are missing ({_few(missing)}) and {len(foreign)} are unknown ({_few(foreign)}). Known names are those of "
            f"{', '.join(layout.title for layout in layouts)}; give another file, or another trunk.kind."
        )
    turn = (3, 2, 0, 1) if best.flax else None
    return {
        ours: arrays[theirs].transpose(turn) if turn and arrays[theirs].ndim == 4 else arrays[theirs]
        for ours, theirs in best.names.items()
    }


def _check_shapes(path: str, params: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [
        f"{name} is {params[name].shape}, expected {shape}"
        for name, shape in sorted(shapes.items())
        if params[name].shape != shape
    ]
    if wrong:
        raise StorageError(f"trunk file {path} has arrays of other shapes: {_few(wrong)}. Give another file or kind.")


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") if names else "none"


# Residual networks ---------------------------------------------------------------------------------------------


def _make_resnet(path: str, arrays: dict[str, Array], config: TrunkConfig) -> tuple[ResNetSpec, Raw]:
    grouped = config.kind == "resnet10"
    spec = ResNetSpec(blocks=1 if grouped else 2, grouped=grouped)
    raw = _take(path, config.kind, arrays, resnet_layouts(spec))
    kernels = {name: shape for name, shape in spec.shapes().items() if name.endswith("/kernel")}
    _check_shapes(path, raw, kernels | {_norm(name): (shape[0],) for name, shape in kernels.items()})
    params: Raw = {}
    for name in kernels:
        conv = name.removesuffix("/kernel")
        scale, shift = raw[f"{conv}/norm/weight"], raw[f"{conv}/norm/bias"]
        if grouped:
            params |= {name: raw[name], f"{conv}/scale": scale, f"{conv}/shift": shift}
            continue
        mean, variance = (raw[f"{conv}/norm/running_{part}"].astype(np.float64) for part in ("mean", "var"))
        gain = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
        params |= {name: raw[name] * gain[:, None, None, None], f"{conv}/shift": shift - mean * gain}
    return spec, params


def _norm(kernel: str) -> str:
    return kernel.removesuffix("kernel") + "norm/weight"


# Vision transformers -------------------------------------------------------------------------------------------


def _make_vit(path: str, arrays: dict[str, Array], config: TrunkConfig) -> tuple[VitSpec, Raw]:
    blocks = [int(found[1]) for name in arrays if (found := re.match(r"(?:encoder\.layer|blocks)\.(\d+)\.", name))]
    depth = 1 + max(blocks, default=0)
    raw = _take(path, "vit", arrays, vit_layouts(depth, any("reg" in name for name in arrays)))
    width, patch = raw["patch/weight"].shape[0], raw["patch/weight"].shape[-1]
    if width % HEAD_WIDTH:
        raise StorageError(f"trunk file {path} has tokens of {width} numbers; heads of {HEAD_WIDTH} do not fit in.")
    side, rest = divmod(config.image_size, patch)
    if rest or side < config.grid:
        fitting = max(config.grid, round(config.image_size / patch)) * patch
        raise ConfigError(
            f"trunk.image_size is {config.image_size}; patches of {patch} pixels, at least {config.grid} a side, do "
            f"not fill it. Give a multiple of {patch}, e.g. {fitting}."
        )
    registers = raw["registers"].reshape(-1, width) if "registers" in raw else np.zeros((0, width), np.float32)
    cls, positions = raw["cls"].reshape(1, width), raw["positions"].reshape(-1, width)
    if round(len(positions) ** 0.5) ** 2 != len(positions):  # the class token has one, too
        cls, positions = cls + positions[:1], positions[1:]
    spec = VitSpec(
        depth=depth, width=width, patch=patch, registers=len(registers), side=side, grid=config.grid
    )  # fmt: skip
    params: Raw = {
        "patch/kernel": raw["patch/weight"],
        "patch/bias": raw["patch/bias"],
        "positions": resample_positions(positions, side, antialias=len(registers) > 0),
        "prefix": np.concatenate([cls, registers]),
        "norm/scale": raw["norm/weight"],
        "norm/shift": raw["norm/bias"],
    }
    for i in range(depth):
        params |= _block(partial(_of, raw, f"block{i}"), f"block{i}", "block0/qkv/weight" in raw)
    return spec, params


def _of(raw: Raw, block: str, name: str) -> Array:
    return raw[f"{block}/{name}"].astype(np.float64)


def _block(of: Callable[[str], Array], name: str, joined: bool) -> Raw:
    """Return a block's dense layers, with the norm's gain and shift before them and the layer scale after them."""

    def dense(weight: Array, bias: Array, norm: str = "", scale: str = "") -> tuple[Array, Array]:
        kernel = weight.T
        if norm:
            kernel, bias = of(f"{norm}/weight")[:, None] * kernel, bias + of(f"{norm}/bias") @ kernel
        gain = of(scale) if scale else 1.0
        return kernel * gain, bias * gain

    weight, bias = (
        of(f"qkv/{part}") if joined else np.concatenate([of(f"{x}/{part}") for x in "qkv"])
        for part in ("weight", "bias")
    )
    made = {
        "qkv": dense(weight, bias, norm="norm1"),
        "out": dense(of("out/weight"), of("out/bias"), scale="scale1"),
        "up": dense(of("up/weight"), of("up/bias"), norm="norm2"),
        "down": dense(of("down/weight"), of("down/bias"), scale="scale2"),
    }
    kernels = {f"{name}/{part}/kernel": kernel for part, (kernel, _) in made.items()}
    return kernels | {f"{name}/{part}/bias": bias for part, (_, bias) in made.items()}
