"""What the parameters of pretrained trunks are called in the files that people have, and where they go here."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_hil.policies.nets.resnet import ResNetSpec

PREFIXES = ("resnet.", "dinov2.", "model.", "backbone.", "module.", "pretrained_encoder.")
"""Put before all names by models that hold a trunk and more."""
UNUSED = (
    "fc.", "head.", "classifier.", "pooler.", "linear_head.",
    "mask_token", "embeddings.mask_token", "num_batches_tracked",
)  # fmt: skip
"""Beginnings, or ends, of the names of what only training or another task needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names in a file, `/` written as `.`, by our own raw names."""

    title: str
    names: Mapping[str, str]
    flax: bool = False
    """Kernels are (kh, kw, in, out) instead of (out, in, kh, kw)."""


def resnet_layouts(spec: ResNetSpec) -> list[Layout]:
    """Return the layouts of a residual network; raw names are `<conv>/kernel` and `<conv>/norm/<part>`."""
    return [_hugging_face_10(spec), _flax_10(spec)] if spec.grouped else [_torchvision(spec), _hugging_face(spec)]


def _hugging_face_10(spec: ResNetSpec) -> Layout:
    convs = {"stem": ("embedder.0.weight", "embedder.1")}
    for i in range(len(spec.layers())):
        stage = f"encoder.stages.{i}"
        convs[f"block{i}/first"] = (f"{stage}.conv1.conv.weight", f"{stage}.norm1")
        convs[f"block{i}/second"] = (f"{stage}.conv2.conv.weight", f"{stage}.norm2")
        convs[f"block{i}/around"] = (f"{stage}.shortcut.0.conv.weight", f"{stage}.shortcut.1")
    return _layout("Hugging Face", spec, convs, {"weight": "weight", "bias": "bias"})


def _flax_10(spec: ResNetSpec) -> Layout:
    convs = {"stem": ("conv_init.kernel", "norm_init")}
    for i in range(len(spec.layers())):
        block = f"ResNetBlock_{i}"
        convs[f"block{i}/first"] = (f"{block}.Conv_0.kernel", f"{block}.MyGroupNorm_0")
        convs[f"block{i}/second"] = (f"{block}.Conv_1.kernel", f"{block}.MyGroupNorm_1")
        convs[f"block{i}/around"] = (f"{block}.conv_proj.kernel", f"{block}.norm_proj")
    return _layout("HIL-SERL (flax)", spec, convs, {"weight": "scale", "bias": "bias"}, flax=True)


_BATCH_NORM = {name: name for name in ("weight", "bias", "running_mean", "running_var")}


def _torchvision(spec: ResNetSpec) -> Layout:
    convs = {"stem": ("conv1.weight", "bn1")}
    for i in range(len(spec.layers())):
        block = f"layer{1 + i // spec.blocks}.{i % spec.blocks}"
        convs[f"block{i}/first"] = (f"{block}.conv1.weight", f"{block}.bn1")
        convs[f"block{i}/second"] = (f"{block}.conv2.weight", f"{block}.bn2")
        convs[f"block{i}/around"] = (f"{block}.downsample.0.weight", f"{block}.downsample.1")
    return _layout("timm and torchvision", spec, convs, _BATCH_NORM)


def _hugging_face(spec: ResNetSpec) -> Layout:
    def pair(stem: str) -> tuple[str, str]:
        return f"{stem}.convolution.weight", f"{stem}.normalization"

    convs = {"stem": pair("embedder.embedder")}
    for i in range(len(spec.layers())):
        block = f"encoder.stages.{i // spec.blocks}.layers.{i % spec.blocks}"
        convs[f"block{i}/first"] = pair(f"{block}.layer.0")
        convs[f"block{i}/second"] = pair(f"{block}.layer.1")
        convs[f"block{i}/around"] = pair(f"{block}.shortcut")
    return _layout("Hugging Face", spec, convs, _BATCH_NORM)


def _layout(
    title: str, spec: ResNetSpec, convs: Mapping[str, tuple[str, str]], norm: Mapping[str, str], flax: bool = False
) -> Layout:
    names: dict[str, str] = {}
    for conv, (kernel, norm_stem) in convs.items():
        if f"{conv}/kernel" in spec.shapes():
            names[f"{conv}/kernel"] = kernel
            names |= {f"{conv}/norm/{ours}": f"{norm_stem}.{theirs}" for ours, theirs in norm.items()}
    return Layout(title=title, names=names, flax=flax)


def vit_layouts(depth: int, registers: bool) -> list[Layout]:
    """Return the layouts of a vision transformer with `depth` blocks."""
    hugging_face = {
        "cls": "embeddings.cls_token",
        "positions": "embeddings.position_embeddings",
        "patch/weight": "embeddings.patch_embeddings.projection.weight",
        "patch/bias": "embeddings.patch_embeddings.projection.bias",
        "norm/weight": "layernorm.weight",
        "norm/bias": "layernorm.bias",
    }
    timm = {
        "cls": "cls_token",
        "positions": "pos_embed",
        "patch/weight": "patch_embed.proj.weight",
        "patch/bias": "patch_embed.proj.bias",
        "norm/weight": "norm.weight",
        "norm/bias": "norm.bias",
    }
    older = {"q": "attention.query", "k": "attention.key", "v": "attention.value", "out": "output.dense"}
    newer = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "o_proj"}
    theirs = {"norm1": "norm1", "norm2": "norm2", "up": "mlp.fc1", "down": "mlp.fc2"}
    layouts = []
    for title, parts in (("Hugging Face", older), ("Hugging Face, in memory", newer)):
        names = hugging_face | ({"registers": "embeddings.register_tokens"} if registers else {})
        for i in range(depth):
            dense = theirs | {name: f"attention.{part}" for name, part in parts.items()}
            names |= _block(f"block{i}", f"encoder.layer.{i}", dense, "layer_scale{}.lambda1")
        layouts.append(Layout(title=title, names=names))
    for title, name in (("timm", "reg_token"), ("DINOv2's own", "register_tokens")):
        names = timm | ({"registers": name} if registers else {})
        for i in range(depth):
            dense = theirs | {"qkv": "attn.qkv", "out": "attn.proj"}
            names |= _block(f"block{i}", f"blocks.{i}", dense, "ls{}.gamma")
        layouts.append(Layout(title=title, names=names))
    return layouts


def _block(ours: str, theirs: str, dense: Mapping[str, str], scale: str) -> dict[str, str]:
    names = {f"{ours}/{a}/{part}": f"{theirs}.{b}.{part}" for a, b in dense.items() for part in ("weight", "bias")}
    return names | {f"{ours}/scale{i}": f"{theirs}.{scale.format(i)}" for i in (1, 2)}
